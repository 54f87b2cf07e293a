"""Figures 6 to 9 and section 6.3 on made-up records."""

import math

import numpy as np
import pandas
import pytest
from fake_records import record, write_all
from fake_sides import beside, examples
from matplotlib import pyplot
from scipy.stats import pearsonr, spearmanr

from analysis import (
    ablation_architecture,
    ablation_prompt_size,
    label_mapping,
    single_pixel,
    text_prompt_quality,
)
from vpbench import records
from vpbench.records import RecordError

RECIPE = {"template": "padding", "size": 7, "lr": 10, "epochs": 4, "label_map": "text"}
RECIPE |= {"text_prompt": None, "class_names": None, "position_range": "full"}
SIDE = 56


def parameters(template, size):
    """Returns the paper's number of trainable parameters."""
    return 6 * size * (2 * SIDE - 2 * size) if template == "padding" else 3 * size**2


def prompt(accuracy, validation=None, seed=0, variant="changed", task="eurosat_twin", **settings):
    """Returns a run of a visual prompt of CLIP with these settings and accuracies."""
    settings = RECIPE | settings
    made = record(task, "clip_micro", "visual_prompt", accuracy, seed=seed, variant=variant)
    made["spec"]["settings"] = settings
    chosen = made["selection"]["best_validation"]
    chosen["validation"] = chosen["test"] | {"accuracy": validation or accuracy}
    made["trained_parameters"] = parameters(settings["template"], settings["size"])
    return made


def text(accuracy, variant="default", **settings):
    """Returns a run of the text prompt alone."""
    made = record("eurosat_twin", "clip_micro", "text_prompt", accuracy, variant=variant)
    made["spec"]["settings"] = {"text_prompt": None, "class_names": None} | settings
    return made


def default(accuracy=50.0, **settings):
    """Returns a run of the recipe itself, longer than those of the ablation."""
    return prompt(accuracy, variant="default", **{"epochs": 10} | settings)


def row_of(frame, **values):
    """Returns the only row with these values."""
    for key, value in values.items():
        frame = frame[frame[key] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def figure_text(figure):
    """Returns all that a figure says."""
    texts = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return " ".join(" ".join(artist.get_text() for artist in texts).split())


# Figure 6


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
    half = 4.302653 * 2 / math.sqrt(3)
    assert (chosen.low, chosen.high) == pytest.approx((35 - half, 35 + half), abs=1e-4)
    assert row_of(frame, template="padding", rate="fixed").parameters == 1908


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
    assert 2.5 < row.gain_low < 4 < row.gain_high < 5.5  # unpaired, it would be 4 either way
    assert float(row.p_value) == pytest.approx(2 / 2**30, rel=1e-2)  # of seed 0, 30 against none
    assert row.published == 3
    alone = row_of(single_pixel.gains(pixel_runs(tmp_path, [0])), rate="fixed")
    assert (alone.gain, alone.seeds) == (pytest.approx(3.0), 1)
    assert math.isnan(alone.spread) and alone.gain_low < 3 < alone.gain_high


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
    figure = single_pixel.draw(frame, single_pixel.shown(made), "lab", "eurosat", [])
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
    figure = single_pixel.draw(frame, single_pixel.shown(made), "lab", "eurosat", [])
    assert "Text prompt only was not run" in figure_text(figure)
    assert "text prompt only" in single_pixel.gaps_of(made)
    pyplot.close("all")


# Section 6.3


def mapping_runs(folder, accuracies, seeds=(0,)):
    """Returns runs of variant -> accuracy; seeds differ by a point."""
    sources = {"semantic": ["siamese", "chihuahua"], "swapped": ["chihuahua", "siamese"]}
    made = []
    for variant, accuracy in accuracies.items():
        for seed in seeds:
            one = record(
                "eurosat_twin", "rn50_micro", "visual_prompt", accuracy + seed, seed=seed,
                variant=variant, settings={"source_classes": sources.get(variant), "lr": 25},
            )  # fmt: skip
            one["task"] |= {"classes": 2, "class_names": ["cat", "dog"], "chance": 50.0}
            made.append(beside(one, folder))
    return made


def test_mappings_stand_beside_the_papers_accuracies(tmp_path):
    made = mapping_runs(tmp_path, {"arbitrary": 80.0, "swapped": 60.0, "semantic": 95.0}, (0, 1, 2))
    frame = label_mapping.accuracies(made)
    assert list(frame.variant) == ["semantic", "swapped", "arbitrary"]
    assert list(frame.measured) == [96.0, 61.0, 81.0]
    assert list(frame.published[:2]) == [100, 62.5] and math.isnan(frame.published[2])
    assert list(frame.source_classes[:2]) == ["siamese, chihuahua", "chihuahua, siamese"]
    assert list(frame.difference[1:]) == pytest.approx([35.0, 15.0])
    assert (frame.difference_low[1:] < frame.difference[1:]).all()
    assert float(frame.p_value[1]) == pytest.approx(2 / 2.0**350, rel=1e-2)


def test_one_seed_has_the_interval_of_its_images(tmp_path):
    frame = label_mapping.accuracies(mapping_runs(tmp_path, {"semantic": 50.0}))
    assert (frame.low[0], frame.high[0]) == pytest.approx((46.907, 53.093), abs=1e-3)
    assert frame.difference.isna().all()


def test_a_missing_mapping_is_named(tmp_path):
    made = mapping_runs(tmp_path, {"semantic": 95.0})
    assert label_mapping.gaps_of(made) == ["swapped mapping"]
    frame, found = label_mapping.accuracies(made), label_mapping.mappings(made)
    figure = label_mapping.draw(frame, found, "lab", label_mapping.gaps_of(made))
    assert "Not run: swapped mapping." in figure_text(figure)
    pyplot.close("all")


# Figure 8

ZERO_SHOT = (10.0, 20.0, 30.0, 40.0, 25.0)
PROMPTED = (60.0, 62.0, 71.0, 72.0, 66.0)


def quality_runs(folder, prompted=PROMPTED):
    """Returns runs of text prompts with these accuracies of TP and VP."""
    made = []
    for number, (plain, accuracy) in enumerate(zip(ZERO_SHOT, prompted)):
        words = {
            "text_prompt": f"{number} {{}}",
            "class_names": ["a", "b"] if number == 3 else None,
        }
        made.append(beside(text(plain, f"words{number}", **words), folder))
        made.append(beside(prompt(accuracy, variant=f"words{number}", **words), folder))
    return made


def test_figure_8_has_the_gain_and_the_slope_against_their_null(tmp_path):
    frame = text_prompt_quality.accuracies(quality_runs(tmp_path))
    order = np.argsort(ZERO_SHOT)
    assert list(frame.text_prompt_accuracy) == sorted(ZERO_SHOT)
    gains = np.subtract(PROMPTED, ZERO_SHOT)
    assert list(frame.gain) == pytest.approx(list(gains[order]))
    assert (frame.gain_low < frame.gain).all() and (frame.gain < frame.gain_high).all()
    assert list(frame.text_prompt) == [f"{number} {{}}" for number in order]
    assert row_of(frame, text_prompt="3 {}").class_names == "a, b"
    summary = text_prompt_quality.statistics(frame).set_index("statistic")
    assert summary.value["slope"] == pytest.approx(np.polyfit(ZERO_SHOT, PROMPTED, 1)[0])
    assert summary.value["pearson"] == pytest.approx(pearsonr(ZERO_SHOT, gains).statistic)
    assert summary.value["spearman"] == pytest.approx(spearmanr(ZERO_SHOT, gains).statistic)
    assert dict(summary["null"]) == {"slope": 0, "pearson": -1, "spearman": -1}
    assert (summary.low <= summary.value).all() and (summary.value <= summary.high).all()


def test_a_constant_visual_prompt_gives_the_null(tmp_path):
    frame = text_prompt_quality.accuracies(quality_runs(tmp_path, (70.0,) * len(ZERO_SHOT)))
    summary = text_prompt_quality.statistics(frame)
    assert list(summary.value) == pytest.approx(list(summary["null"]))
    said = text_prompt_quality.summary_text(summary)
    assert "Slope of VP on TP: 0.00" in said and "would give \N{MINUS SIGN}1" in said


def test_runs_of_other_recipes_and_halves_of_a_pair_are_no_points(tmp_path):
    made = quality_runs(tmp_path)
    more = [text(50.0), default(), prompt(99.0, size=3), text(5.0, "alone", text_prompt="lone {}")]
    frame = text_prompt_quality.accuracies([*made, *more])
    assert len(frame) == len(ZERO_SHOT)
    missing = text_prompt_quality.gaps_of([*made, *more], frame)
    assert any("visual prompt with \N{LEFT DOUBLE QUOTATION MARK}lone {}" in one for one in missing)
    alike = [*made, beside(text(50.0), tmp_path), beside(default(epochs=4), tmp_path)]
    assert len(text_prompt_quality.accuracies(alike)) == len(ZERO_SHOT) + 1


def test_three_text_prompts_are_too_few_for_a_correlation(tmp_path):
    made = quality_runs(tmp_path)[:6]
    frame = text_prompt_quality.accuracies(made)
    assert len(frame) == 3 and text_prompt_quality.statistics(frame).empty
    assert text_prompt_quality.gaps_of(made, frame) == [
        "enough text prompts for a correlation: 3 of at least 4"
    ]


def test_a_text_prompt_is_shown_as_it_is(tmp_path):
    made = quality_runs(tmp_path)
    for one in made[:2]:
        one["spec"]["settings"]["text_prompt"] = "$x_1$ & 100 % {} \\alpha"
    frame = text_prompt_quality.accuracies(made)
    summary = text_prompt_quality.statistics(frame)
    figure = text_prompt_quality.draw(frame, summary, "lab", "eurosat", ["$x_$"])
    figure.canvas.draw()  # broken mathematics would be an error
    assert "$x_1$ & 100 % {} \\alpha" in figure_text(figure)
    pyplot.close("all")


# Figure 9


def architecture_runs():
    """Returns runs of two backbones; one was not fine-tuned."""
    cells = [("rn50_micro", "visual_prompt", 10.0), ("rn50_micro", "linear_probe", 60.0)]
    cells += [("clip_micro", method, 70.0) for method in ablation_architecture.SHOWN]
    cells += [("clip_micro", "text_prompt", 50.0)]
    return [record("cifar100_twin", *cell) for cell in cells]


def test_figure_9_orders_architectures_by_model_and_counts_them():
    frame = ablation_architecture.accuracies(architecture_runs())
    assert list(frame.backbone) == ["clip_micro"] * 3 + ["rn50_micro"] * 2
    assert row_of(frame, backbone="rn50_micro", method="visual_prompt").measured == 10.0
    missing = ablation_architecture.gaps_of(frame)
    assert missing == ["FT of rn50_micro"]
    said = figure_text(ablation_architecture.draw(frame, "lab", "cifar100", missing))
    assert "2 architectures on CIFAR100 twin" in said and "Not run: FT of rn50_micro." in said
    assert "Lab scale" in said
    pyplot.close("all")


def test_vits_and_resnets_of_clip_are_told_apart():
    made = [record("cifar100_twin", "clip_micro", "visual_prompt", 70.0) for _ in range(2)]
    made[1]["spec"]["backbone"] = "another"
    made[1]["backbone"] |= {"architecture": "ResNet-50", "parameters": 38_000_000}
    frame = ablation_architecture.accuracies(made)
    said = figure_text(ablation_architecture.draw(frame, "paper", "cifar100", []))
    assert "CLIP ViT" in said and "CLIP ResNet" in said and "38 M" in said
    pyplot.close("all")


# All of them

MADE = {
    ablation_prompt_size: lambda folder: size_runs(),
    single_pixel: pixel_runs,
    label_mapping: lambda folder: mapping_runs(folder, {"semantic": 95.0, "swapped": 60.0}),
    text_prompt_quality: quality_runs,
    ablation_architecture: lambda folder: architecture_runs(),
}


@pytest.mark.parametrize("analysis", MADE)
@pytest.mark.parametrize("some", [True, False])
def test_an_analysis_is_a_csv_and_a_figure_with_or_without_records(
    tmp_path, capsys, analysis, some
):
    name = analysis.__name__.rpartition(".")[2]
    folder = tmp_path / "runs"
    made = MADE[analysis](folder) if some else []
    for one in made:  # their place is not part of the file
        one.pop("file", None)
    paths = write_all(made, folder)
    out, figures = tmp_path / f"{name}.csv", tmp_path / "figures"
    command = ["--runs", *map(str, paths), "--out", str(out), "--figures", str(figures)]
    assert analysis.main(command) == 0
    frame = pandas.read_csv(out)
    assert tuple(frame.columns) == analysis.COLUMNS
    assert bool(len(frame)) == some
    assert (figures / f"{name}.png").stat().st_size > 8_000
    assert b"/Type /Font" in (figures / f"{name}.pdf").read_bytes()
    said = capsys.readouterr().err
    if not some:
        assert said.startswith("warning: not run: ")


@pytest.mark.parametrize("analysis", [single_pixel, label_mapping, text_prompt_quality])
def test_lost_predictions_are_one_line(tmp_path, capsys, analysis):
    folder = tmp_path / "runs"
    made = MADE[analysis](folder)
    for one in made:
        one.pop("file", None)
    paths = write_all(made, folder)
    for one in made:
        records.record_path(one["spec"], folder).with_suffix(".predictions.npz").unlink(True)
    out = tmp_path / "x.csv"
    command = ["--runs", *map(str, paths), "--out", str(out), "--figures", str(tmp_path)]
    assert analysis.main(command) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("delete its record and run it again")
