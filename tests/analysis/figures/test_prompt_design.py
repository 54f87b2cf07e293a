"""Figures 6 and 7 on made-up records."""

import math

import numpy as np
import pandas
import pytest
from matplotlib import pyplot
from scipy.stats import f_oneway

from analysis.figures import ablation_prompt_size, single_pixel
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import (
    check_lost_predictions,
    check_products,
    default,
    figure_text,
    prompt,
    row_of,
    text,
)
from tests.helpers.fake_sides import beside, examples
from tests.helpers.intervals import with_seeds
from vpbench.common.errors import RecordError


def size_runs():
    """Returns runs of two templates: at the fixed rate 10 and, better on validation, at 1."""
    made = [text(30.0), default()]
    for seed, shift in enumerate((-2.0, 0.0, 2.0)):
        made += [
            prompt(40.0 + shift, 41.0, seed, size=3),
            prompt(44.0 + shift, 45.0, seed, size=3, lr=1),
            prompt(20.0 + shift, 21.0, seed, template="fixed_patch", size=1),
            prompt(35.0 + shift, 33.0, seed, template="fixed_patch", size=1, lr=1),
            prompt(99.0 + shift, 32.0, seed, template="fixed_patch", size=1, lr=0.1),
        ]
    return made


def test_each_size_has_the_recipes_rate_and_the_one_that_is_best_on_validation():
    frame = ablation_prompt_size.accuracies(size_runs())
    assert list(frame.template) == ["padding"] * 2 + ["fixed_patch"] * 2
    fixed = row_of(frame, template="fixed_patch", rate="fixed")
    assert (fixed.lr, fixed.measured, fixed.parameters, fixed.seeds) == (10, 20.0, 3, 3)
    chosen = row_of(frame, template="fixed_patch", rate="validated")
    assert (chosen.lr, chosen.measured) == (1, 35.0)  # not 0.1, which only the test split likes
    assert (chosen.text_prompt, chosen.gain, chosen.spread) == (30.0, 5.0, 2.0)
    assert (chosen.low, chosen.high) == pytest.approx(
        with_seeds([33.0, 35.0, 37.0], freedom=6)  # of three rates, which vary alike
    )
    assert chosen.seed_variance == "own"
    assert row_of(frame, template="padding", rate="fixed").parameters == 1908


def test_sizes_are_compared_with_what_seeds_change():
    apart = [[40.0, 42.0, 44.0], [20.0, 23.0, 20.0], [31.0, 30.0]]
    alike = [[40.0, 42.0, 44.0], [41.0, 46.0, 42.0]]
    for sizes, said in ((apart, "sizes differ"), (alike, "seeds differ as much as sizes")):
        p_value, deviation = ablation_prompt_size.between_sizes(sizes)
        assert p_value == pytest.approx(f_oneway(*sizes).pvalue)
        squares = sum((len(each) - 1) * np.var(each, ddof=1) for each in sizes)
        assert deviation == pytest.approx(math.sqrt(squares / (sum(map(len, sizes)) - len(sizes))))
        assert said in ablation_prompt_size.said_of("Padding", sizes)
    for sizes in ([[40.0], [41.0]], [[40.0, 42.0]]):
        assert math.isnan(ablation_prompt_size.between_sizes(sizes)[0])
        said = ablation_prompt_size.said_of("Padding", sizes)
        assert said == "Padding: no seeds to compare the sizes with"


def test_figure_6_shows_every_seed_beside_the_means():
    frame = ablation_prompt_size.accuracies(size_runs())
    assert row_of(frame, template="padding", rate="fixed").accuracies == "38.000 40.000 42.000"
    axes = ablation_prompt_size.draw(frame, LAB, "eurosat", []).axes[0]
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "none"]
    shown = sorted(value for line in hollow for value in line.get_ydata())
    assert shown == [18, 20, 22, 38, 40, 42]
    pyplot.close("all")


def test_ties_on_validation_go_to_the_recipes_rate_then_to_the_smallest():
    tied = [prompt(40.0 + lr, 50.0 + 1e-9 * lr, size=3, lr=lr) for lr in (25, 10, 1)]
    frame = ablation_prompt_size.accuracies([text(30.0), default(), *tied])
    assert row_of(frame, rate="validated").lr == 10
    frame = ablation_prompt_size.accuracies([text(30.0), default(lr=100), *tied])
    assert list(frame.rate) == ["validated"] and frame.lr.iloc[0] == 1


def test_the_recipe_itself_is_a_point_only_if_it_was_trained_alike():
    small = prompt(40.0, size=3)
    longer = ablation_prompt_size.accuracies([text(30.0), default(60.0), small])
    assert set(longer["size"]) == {3}
    alike = ablation_prompt_size.accuracies([text(30.0), default(60.0, epochs=4), small])
    assert row_of(alike, size=7, rate="fixed").measured == 60.0


def test_text_prompts_of_another_figure_are_left_out():
    other = prompt(90.0, size=3, text_prompt="a {}", variant="words")
    frame = ablation_prompt_size.accuracies([text(99.0, text_prompt="a {}"), other, *size_runs()])
    pandas.testing.assert_frame_equal(frame, ablation_prompt_size.accuracies(size_runs()))


def test_prompts_that_were_trained_differently_are_not_mixed():
    made = [*size_runs(), prompt(40.0, size=14, epochs=8)]
    with pytest.raises(RecordError, match=r"differ in settings.epochs too: 4 and 8"):
        ablation_prompt_size.accuracies(made)
    made = [*size_runs(), prompt(40.0, size=14, task="svhn_twin")]
    with pytest.raises(RecordError, match="records of 2 tasks, eurosat_twin, svhn_twin"):
        ablation_prompt_size.accuracies(made)


def test_figure_6_says_what_was_not_run():
    made = [one for one in size_runs() if one["spec"]["variant"] != "default"]
    missing = " ".join(ablation_prompt_size.gaps_of(made))
    assert "so no rate is the fixed one" in missing and "text prompt only" in missing
    assert "patch at a random place" in missing
    frame = ablation_prompt_size.accuracies(made)
    assert set(frame.rate) == {"validated"} and frame.text_prompt.isna().all()
    made = [one for one in size_runs() if one["spec"]["settings"].get("lr") != 10]
    missing = ablation_prompt_size.gaps_of([*made, default()])
    assert "padding p = 3, fixed rate" in missing
    without = [prompt(40.0, size=3), default()]
    without[0]["selection"]["best_validation"]["validation"] = None
    assert "padding p = 3, validated rate" in ablation_prompt_size.gaps_of(without)


def test_names_of_sizes_that_would_touch_are_joined():
    names = [(0.1, "1"), (0.5, "3"), (0.9, "14"), (0.93, "21"), (0.95, "28")]
    assert [text for _, text in ablation_prompt_size.apart(names)] == ["1", "3", "14, 21, 28"]
    assert ablation_prompt_size.apart(names)[0] == (0.1, "1")


# Figure 7


def pixel_runs(folder, seeds=(0, 1, 2)):
    """Returns runs of one-pixel prompts; seed s is right on 33 + s % of the images, TP on 30 %."""
    made = [beside(text(30.0), folder), default()]
    for seed in seeds:
        one = prompt(33.0 + seed, seed=seed, template="fixed_patch", size=1)
        made.append(beside(one, folder, examples=examples()))
    return made


def test_a_pixel_gains_the_mean_over_the_seeds_with_a_paired_interval(tmp_path):
    frame = single_pixel.gains(pixel_runs(tmp_path))
    row = row_of(frame, rate="fixed")
    assert (row.measured, row.gain, row.seeds) == (34.0, pytest.approx(4.0), 3)
    seeds = 4.302653 * 1 / math.sqrt(3)  # 2.5; the gains are 3, 4 and 5
    images = 1.96 * 100 * math.sqrt((0.04 - 0.04**2) / 1000)  # 1.2; unpaired, it would be 4
    assert (row.gain_low, row.gain_high) == pytest.approx(
        (4 - math.hypot(seeds, images), 4 + math.hypot(seeds, images)), abs=0.1
    )
    assert float(row.p_value) == pytest.approx(2 / 2**30, rel=1e-2)  # of seed 0, 30 against none
    assert row.published == 3
    alone = row_of(single_pixel.gains(pixel_runs(tmp_path, [0])), rate="fixed")
    assert (alone.gain, alone.seeds) == (pytest.approx(3.0), 1)
    assert math.isnan(alone.spread) and alone.gain_low < 3 < alone.gain_high


def test_a_pixel_of_few_seeds_borrows_the_variance_of_other_sizes(tmp_path):
    others = [prompt(50.0 + seed, seed=seed, template="fixed_patch", size=8) for seed in (0, 1)]
    row = row_of(single_pixel.gains(pixel_runs(tmp_path, [0]) + others), size=1, rate="fixed")
    seeds = 12.706205 * math.sqrt(0.5)  # of 50 and 51, one degree of freedom
    images = 1.96 * 100 * math.sqrt((0.03 - 0.03**2) / 1000)
    assert row.gain_low == pytest.approx(3 - math.hypot(seeds, images), abs=0.1)
    assert row.seed_variance == "pooled"


def test_the_pixel_is_found_in_the_prompt():
    canvas = np.zeros((3, 8, 8))
    assert single_pixel.pixel(canvas) is None
    canvas[1, 2, 5] = -0.3
    assert single_pixel.pixel(canvas) == (2, 5)
    canvas[0, 0, 0] = 1
    with pytest.raises(RecordError, match="changes 2 pixels"):
        single_pixel.pixel(canvas)


@pytest.mark.parametrize("value", [2.5, 0.0])
def test_figure_7_shows_the_picture_before_and_after(tmp_path, value):
    made = pixel_runs(tmp_path)[:3]
    sides = examples("random_patch", value=value)
    made[2] = beside(made[2], tmp_path, examples=sides)
    frame = single_pixel.gains(made)
    figure = single_pixel.draw(frame, single_pixel.shown(made), LAB, "eurosat", [])
    pictures = [axes.images[0].get_array() for axes in figure.axes if axes.images]
    assert (pictures[0] == sides["images"][0]).all() and (pictures[1] == sides["prompted"][0]).all()
    if value:
        middle = single_pixel.ZOOM // 2
        assert (pictures[2][middle, middle] == sides["prompted"][0, 28, 28]).all()
    assert ("The prompt is zero" in figure_text(figure)) == (value == 0)
    pyplot.close("all")


def test_without_text_prompt_a_pixel_has_no_gain_and_the_figure_says_so(tmp_path):
    made = pixel_runs(tmp_path)[1:]
    frame = single_pixel.gains(made)
    assert frame.gain.isna().all() and (frame.measured == 34.0).all()
    figure = single_pixel.draw(frame, single_pixel.shown(made), LAB, "eurosat", [])
    assert "Text prompt only was not run" in figure_text(figure)
    assert "text prompt only" in single_pixel.gaps_of(made)
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_ablation_prompt_size_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = size_runs() if some else []
    assert bool(len(check_products(ablation_prompt_size, made, tmp_path))) == some
    assert some or capsys.readouterr().err.startswith("warning: not run: ")


@pytest.mark.parametrize("some", [True, False])
def test_single_pixel_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = pixel_runs(tmp_path / "runs") if some else []
    assert bool(len(check_products(single_pixel, made, tmp_path))) == some
    assert some or capsys.readouterr().err.startswith("warning: not run: ")


def test_lost_predictions_of_single_pixel_are_one_line(tmp_path, capsys):
    check_lost_predictions(single_pixel, pixel_runs(tmp_path / "runs"), tmp_path, capsys)
