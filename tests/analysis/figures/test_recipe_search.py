"""The search for recipes: what is compared with what, and which rate is marked."""

import pandas
import pytest
from matplotlib import pyplot

from analysis.figures import recipe_search
from tests.helpers.analyses import LAB, NOWHERE
from tests.helpers.fake_records import record


def tried(variant, accuracy, task="svhn_twin", method="visual_prompt", **settings):
    """Returns a run of a recipe at some rate, with this validation accuracy and another on test."""
    made = record(task, "clip_micro", method, accuracy, last=accuracy, variant=variant)
    made["selection"]["last"]["test"] = dict(
        made["selection"]["last"]["test"], accuracy=99 - accuracy
    )
    made["spec"]["settings"] = settings
    return made


def test_the_rate_with_the_best_mean_on_validation_is_marked_for_each_recipe():
    made = [tried(f"plain_lr_{lr}", value, lr=lr) for lr, value in ((1, 40.0), (10, 50.0))]
    made += [tried(f"unit_lr_{lr}", value, lr=lr) for lr, value in ((1, 30.0), (10, 20.0))]
    rows = recipe_search.search(made)
    best = rows[rows.best].set_index("recipe")["lr"]
    assert best.to_dict() == {"plain": 10, "unit": 1}
    assert rows.set_index(["recipe", "lr"]).svhn_twin["plain", 10] == 50


def test_a_mean_needs_every_dataset_and_the_rate_of_a_map_is_one_too():
    made = [tried(f"linear_lr_25_map_lr_{m}", 40.0 + m, lr=25, map_lr=m) for m in (1, 2)]
    made.append(tried("linear_lr_25_map_lr_1", 10.0, "eurosat_twin", lr=25, map_lr=1))
    rows = recipe_search.search(made).set_index("map_lr")
    assert rows["mean"][1] == pytest.approx((41 + 10) / 2) and pandas.isna(rows["mean"][2])
    assert rows["best"].to_dict() == {1: True, 2: False}
    assert "prompt_lr" not in rows  # no run has one


def test_the_smallest_rates_are_written_with_all_their_digits(tmp_path):
    made = [tried(f"linear_map_lr_{m}", 40.0, map_lr=m) for m in ("0_0001", "0_001")]
    for one, rate in zip(made, (0.0001, 0.001)):
        one["spec"]["settings"] = {"map_lr": rate}
    made.append(tried("plain_lr_2_5", 40.0, lr=2.5))
    recipe_search.write(made, tmp_path / "search.csv", tmp_path)
    written = pandas.read_csv(tmp_path / "search.csv", dtype=str, keep_default_na=False)
    assert set(zip(written.recipe, written.lr, written.map_lr)) == {
        ("linear", "", "0.0001"),
        ("linear", "", "0.001"),
        ("plain", "2.5", ""),
    }
    pyplot.close("all")


def test_each_recipe_has_a_panel_whose_ticks_are_its_rates():
    made = [tried(f"plain_lr_{lr}", 40.0, lr=lr) for lr in (1, 10)]
    made += [tried(f"map_lr_25_map_lr_0_{m}", 40.0, lr=25, map_lr=m / 10) for m in (1, 5)]
    figure = recipe_search.draw(recipe_search.search(made), LAB)
    ticks = {axes.get_title(): list(axes.get_xticks()) for axes in figure.axes}
    assert ticks == {"plain": [1, 10], "map": [0.1, 0.5]}
    assert recipe_search.search([]).empty
    recipe_search.draw(recipe_search.search([]), NOWHERE)
    pyplot.close("all")


def test_runs_without_a_common_dataset_have_no_mean_yet_and_are_drawn(tmp_path):
    made = [tried("plain_lr_1", 40.0, lr=1), tried("plain_lr_10", 50.0, "eurosat_twin", lr=10)]
    recipe_search.write(made, tmp_path / "search.csv", tmp_path)
    rows = pandas.read_csv(tmp_path / "search.csv")
    assert list(rows["mean"].isna()) == [True, True] and list(rows.best) == [False, False]
    pyplot.close("all")
