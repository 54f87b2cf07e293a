"""Accuracy against compute and parameters: fronts one can see by hand."""

import math

import pytest
from matplotlib import pyplot

from analysis.common import style
from analysis.common.method_accuracies import accuracies
from analysis.figures import budget
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import check_products, figure_text, row_of
from tests.helpers.fake_entrants import PLAIN, everywhere, run
from vpbench.spec.methods import METHODS

MADE = [
    *everywhere("text_prompt", 20.0, PLAIN, seconds=1.0, images=700, parameters=0),
    *everywhere("linear_probe", 50.0, PLAIN, seconds=3.0, images=1200, parameters=900),
    *everywhere("visual_prompt", 45.0, PLAIN, seconds=8.0, images=4000, parameters=4000),
    *everywhere("vpt", 60.0, PLAIN, seconds=9.0, images=4000, parameters=300, variant="shallow"),
]


def test_the_front_has_what_nothing_else_beats_in_cost_and_accuracy_together():
    assert list(budget.front([1, 2, 3, 4], [10, 30, 20, 40])) == [True, True, False, True]
    assert list(budget.front([1, 1, 2], [10, 20, 20])) == [False, True, False]
    assert list(budget.front([5, 5], [10, 10])) == [True, True]  # neither is better
    assert list(budget.front([math.nan, 2, 1], [90, 10, math.nan])) == [False, True, False]


def test_a_row_has_accuracy_costs_and_the_fronts_it_is_on():
    frame = budget.budgets(MADE)
    probe = row_of(frame, method="linear_probe")
    assert (probe.accuracy, probe.seconds, probe.passes) == (55.5, 3, 1800)  # 50 to 61
    assert (probe.low, probe.high) == tuple(
        row_of(accuracies(MADE), method="linear_probe", task="average")[["low", "high"]]
    )
    fronts = {
        cost: set(frame[frame[f"front_{cost}"]].method)
        for cost in ("seconds", "passes", "trained_parameters")
    }
    assert fronts["seconds"] == fronts["passes"] == {"text_prompt", "linear_probe", "vpt"}
    assert fronts["trained_parameters"] == {"text_prompt", "vpt"}


def test_a_method_without_all_datasets_is_on_no_front_and_is_named():
    made = [one for one in MADE if one["spec"]["task"] != "svhn_twin"]
    made += [run("fine_tune", 99.0, seconds=0.1, images=1)]
    frame = budget.budgets(MADE[:12] + made[-1:])
    assert not row_of(frame, method="fine_tune").front_seconds
    assert math.isnan(row_of(frame, method="fine_tune").accuracy)
    assert any("FT" in said for said in budget.gaps_of(frame))
    assert not budget.budgets(made)[["front_seconds", "front_passes"]].any(axis=None)


def test_seconds_of_two_devices_are_not_compared():
    slow = everywhere("evp", 10.0, PLAIN, seconds=0.5, device="cuda:0")
    frame = budget.budgets(MADE + slow)
    assert row_of(frame, method="evp").front_seconds
    assert row_of(frame, method="text_prompt").front_seconds
    text = figure_text(budget.draw(frame, LAB, []))
    assert "CLIP (cpu)" in text and "CLIP (cuda:0)" in text
    pyplot.close("all")


def test_the_figure_names_the_front_and_the_methods():
    frame = budget.budgets(MADE)
    text = figure_text(budget.draw(frame, LAB, budget.gaps_of(frame)))
    for words in ("Front: TP, LP, VPT, shallow", "Front: TP, VPT, shallow", "Variants",
                  "Pareto front", "Lab scale", "Trained parameters"):  # fmt: skip
        assert words in text
    assert "Not run: CLIP EVP, AR, FT" in text
    pyplot.close("all")


def test_a_cost_that_was_not_measured_is_said_to_be_so():
    made = everywhere("text_prompt", 50.0, PLAIN, images=None, parameters=0)
    for one in made:
        one["measured"]["seconds"] = None
    frame = budget.budgets(made)
    assert "Not measured" in figure_text(budget.draw(frame, LAB, []))
    pyplot.close("all")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [(1.0, 10.0, [1, 2, 5, 10]), (0.5, 70.0, [1, 10]), (1200, 4000, [1000, 2000, 5000])],
)
def test_ticks_are_round_numbers_within_the_costs(low, high, expected):
    assert style.round_places(low, high) == expected


def test_the_script_writes_the_csv_and_the_figure(tmp_path):
    frame = check_products(budget, MADE, tmp_path)
    assert len(frame) == len(METHODS) + 1
    assert frame.accuracy.notna().sum() == 4
    assert check_products(budget, [], tmp_path / "empty").empty
    pyplot.close("all")
