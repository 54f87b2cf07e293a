"""How much of a visual prompt is its label map, from records that no run made."""

import math

import numpy as np
import pytest
from matplotlib import pyplot

from analysis.common import paired
from analysis.figures import mapping_vs_prompt
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import check_lost_predictions, check_products, figure_text, row_of
from tests.helpers.fake_records import record
from tests.helpers.fake_sides import beside
from tests.helpers.intervals import with_seeds
from vpbench.common.errors import RecordError
from vpbench.spec.methods import METHODS

TASKS = ("eurosat_twin", "svhn_twin")
CELLS = {  # prompt, label map -> accuracy
    ("none", "hard_coded"): 20.0,
    ("none", "frequency"): 50.0,
    ("padding", "hard_coded"): 30.0,
    ("padding", "frequency"): 80.0,
    ("none", "linear_probe"): 90.0,
}
BIT = ("adversarial_reprogramming", "frequency")  # which one backbone has and another lacks


def run(folder, prompt, label_map, accuracy, task=TASKS[0], seed=0, right=None, **settings):
    """Returns a run with its predictions: the first images are right, unless told."""
    if label_map == "linear_probe":
        return beside(record(task, "rn50_micro", "linear_probe", accuracy, seed), folder, right)
    own = prompt in METHODS  # a method of its own, not a template of VP
    method, template = (prompt, "padding") if own else ("visual_prompt", prompt)
    made = record(task, "rn50_micro", method, accuracy, seed, variant=f"{prompt}_{label_map}")
    made["spec"]["settings"] = {"template": template, "label_map": label_map} | settings
    return beside(made, folder, right)


def runs_of(folder, found=CELLS, tasks=TASKS):
    """Returns a run of each of the cells `found` on each task."""
    return [run(folder, *cell, value, task) for task in tasks for cell, value in found.items()]


def test_a_gain_is_that_of_the_map_and_of_the_prompt_and_what_they_have_together(tmp_path):
    frame = mapping_vs_prompt.accuracies(runs_of(tmp_path))
    for task in ("eurosat", "svhn", "average"):
        both = row_of(frame, task=task, prompt="padding", label_map="frequency")
        assert both.gain == pytest.approx(60)
        assert (both.map_alone, both.prompt_alone) == pytest.approx((30, 10))
        assert both.interaction == pytest.approx(20)
        assert both.map_share == pytest.approx(50)
        assert both.gain_low < 60 < both.gain_high and both.map_share_low < 50
        assert both.interaction_low < 20 < both.interaction_high
        alone = row_of(frame, task=task, prompt="none", label_map="frequency")
        assert alone.gain == pytest.approx(30) and math.isnan(alone.map_share)
        prompted = row_of(frame, task=task, prompt="padding", label_map="hard_coded")
        assert prompted.gain == pytest.approx(10)
        bare = row_of(frame, task=task, prompt="none", label_map="hard_coded")
        assert bare.measured == 20 and math.isnan(bare.gain)
        probe = row_of(frame, task=task, label_map="linear_probe")
        assert probe.measured == 90 and probe.gain == pytest.approx(70)


def test_the_interval_of_a_share_is_that_of_a_bootstrap_over_images(tmp_path):
    frame = mapping_vs_prompt.accuracies(runs_of(tmp_path, tasks=TASKS[:1]))
    row = row_of(frame, task="eurosat", prompt="padding", label_map="frequency")
    generator = np.random.default_rng(1)
    image = generator.integers(1000, size=(2000, 1000))  # the right ones are the first, by accuracy
    right = {accuracy: (image < 10 * accuracy).mean(axis=1) for accuracy in (20, 50, 80)}
    shares = 100 * (right[50] - right[20]) / (right[80] - right[20])
    limits = np.percentile(shares, [2.5, 97.5])
    assert (row.map_share_low, row.map_share_high) == pytest.approx(tuple(limits), abs=0.4)


def test_the_average_of_the_datasets_needs_all_of_them_and_what_lacks_is_named(tmp_path):
    few = {("none", "hard_coded"): 20.0, ("none", "frequency"): 40.0}
    made = runs_of(tmp_path, tasks=TASKS[:1]) + runs_of(tmp_path, few, TASKS[1:])
    frame = mapping_vs_prompt.accuracies(made)
    both = row_of(frame, task="average", prompt="padding", label_map="frequency")
    assert math.isnan(both.measured) and math.isnan(both.gain) and both.seeds == 0
    alone = row_of(frame, task="average", prompt="none", label_map="frequency")
    assert (alone.measured, alone.gain) == (45, pytest.approx(25))
    missing = mapping_vs_prompt.gaps_of(frame)
    assert "VP (padding) x hard coded, VP (padding) x frequency, linear probe on svhn" in missing
    assert any("EVP x hard coded" in one and not one.endswith("on svhn") for one in missing)


def test_without_the_parts_there_is_the_gain_alone(tmp_path):
    found = {("none", "hard_coded"): 20.0, ("evp", "bayesian"): 60.0}
    frame = mapping_vs_prompt.accuracies(runs_of(tmp_path, found))
    row = row_of(frame, task="average", prompt="evp", label_map="bayesian")
    assert row.gain == pytest.approx(40)
    assert math.isnan(row.map_alone) and math.isnan(row.map_share)


def test_a_gain_that_may_be_none_has_no_share(tmp_path):
    made = runs_of(tmp_path, tasks=TASKS[:1])
    made[3] = run(tmp_path, "padding", "frequency", 20.0, right=np.arange(1000) % 5 == 0)
    frame = mapping_vs_prompt.accuracies(made)
    row = row_of(frame, task="eurosat", prompt="padding", label_map="frequency")
    assert row.gain == pytest.approx(0) and row.map_alone == pytest.approx(30)
    assert math.isnan(row.map_share)


def test_without_a_prompt_an_iterative_map_is_that_of_frequency(tmp_path):
    frame = mapping_vs_prompt.accuracies(runs_of(tmp_path))
    assert row_of(frame, task="svhn", prompt="none", label_map="iterative").measured == 50
    made = runs_of(tmp_path, CELLS | {("none", "iterative"): 51.0})
    frame = mapping_vs_prompt.accuracies(made)
    assert row_of(frame, task="svhn", prompt="none", label_map="iterative").measured == 51


def test_a_random_map_has_the_interval_of_its_seeds(tmp_path):
    values = (20.0, 30.0, 40.0)
    made = runs_of(tmp_path, tasks=TASKS[:1])
    made += [run(tmp_path, "none", "random", each, seed=seed) for seed, each in enumerate(values)]
    row = row_of(mapping_vs_prompt.accuracies(made), task="eurosat", prompt="none",
                 label_map="random")  # fmt: skip
    assert (row.measured, row.seeds) == (30, 3)
    assert (row.low, row.high) == pytest.approx(with_seeds(values))
    assert row.gain == pytest.approx(10)


def test_other_prompts_maps_made_by_hand_and_datasets_without_maps_are_left_out(tmp_path):
    made = runs_of(tmp_path, tasks=TASKS[:1])
    more = [run(tmp_path, "fixed_patch", "frequency", 1.0), run(tmp_path, "none", "text", 1.0)]
    more += [run(tmp_path, "padding", "hard_coded", 1.0, source_classes=["a", "b"])]
    more += [run(tmp_path, "padding", "hard_coded", 1.0, "dtd_twin")]
    more += [run(tmp_path, "none", "linear_probe", 1.0, "dtd_twin")]
    frame = mapping_vs_prompt.accuracies([*made, *more])
    assert set(frame.task) == {"eurosat", "average"} and frame.measured.min() == 20


def test_two_kinds_of_runs_in_a_cell_are_refused(tmp_path):
    made = runs_of(tmp_path)
    with pytest.raises(RecordError, match="none frequency eurosat: settings.epochs"):
        mapping_vs_prompt.accuracies([*made, run(tmp_path, "none", "frequency", 9.0, epochs=3)])


def test_each_backbone_has_its_own_rows_panels_and_gaps(tmp_path):
    made, others = runs_of(tmp_path / "rn50"), runs_of(tmp_path / "bit", CELLS | {BIT: 70.0})
    for one in others:
        one["spec"]["backbone"] = "bit_m_micro"
    frame = mapping_vs_prompt.accuracies([*made, *others])
    assert list(frame.backbone.unique()) == ["bit_m_micro", "rn50_micro"]
    alone = {"task": "average", "prompt": "none", "label_map": "frequency"}
    assert row_of(frame, backbone="rn50_micro", **alone).gain == pytest.approx(30)
    reprogrammed = {"prompt": BIT[0], "label_map": BIT[1]}
    row = row_of(frame, backbone="bit_m_micro", task="average", **reprogrammed)
    assert row.measured == 70 and row.gain == pytest.approx(50)
    missing = mapping_vs_prompt.gaps_of(frame)
    (own,) = [words for words in missing if words.endswith(" of rn50_micro")]
    (other,) = [words for words in missing if words.endswith(" of bit_m_micro")]
    assert "AR x frequency" in own and "AR x frequency" not in other
    figure = mapping_vs_prompt.draw(frame, LAB, missing)
    assert [axes.get_title() for axes in figure.axes[::2]] == ["BiT-M", "RN50"]
    pyplot.close("all")


def test_a_bootstrap_draws_the_columns_of_an_image_together():
    generator = np.random.default_rng(0)
    first, second = (generator.integers(0, 2, (n, 1)).astype(float) for n in (400, 100))
    tables = [np.hstack([table, 1 - table]) for table in (first, second)]
    means, samples = paired.bootstrap(tables)
    assert means[0] == pytest.approx((first.mean() + second.mean()) / 2)
    assert samples.sum(axis=1) == pytest.approx(np.ones(2000))
    error = math.hypot(first.std() / 20, second.std() / 10) / 2
    assert samples[:, 0].std() == pytest.approx(error, rel=0.1)


def test_the_figure_names_backbone_maps_and_controls(tmp_path):
    frame = mapping_vs_prompt.accuracies(runs_of(tmp_path))
    missing = mapping_vs_prompt.gaps_of(frame)
    said = figure_text(mapping_vs_prompt.draw(frame, LAB, missing))
    for words in ("RN50", "mean over 2 datasets", "Frequency (FLM)", "Linear on logits",
                  "Linear probe on features", "Chance", "Lab scale", "Not run: "):  # fmt: skip
        assert words in said
    pyplot.close("all")


def test_a_share_beyond_the_axis_is_written(tmp_path):
    made = runs_of(tmp_path, CELLS | {("evp", "hard_coded"): 22.0, ("evp", "frequency"): 30.0})
    frame = mapping_vs_prompt.accuracies(made)
    row = row_of(frame, task="average", prompt="evp", label_map="frequency")
    assert row.map_share == pytest.approx(300)  # of a gain of 10, when the map alone gains 30
    assert "300" in figure_text(mapping_vs_prompt.draw(frame, LAB, []))
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_mapping_vs_prompt_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = runs_of(tmp_path / "runs") if some else []
    assert bool(len(check_products(mapping_vs_prompt, made, tmp_path))) == some
    assert capsys.readouterr().err.startswith("warning: not run: ")


def test_lost_predictions_of_mapping_vs_prompt_are_one_line(tmp_path, capsys):
    check_lost_predictions(mapping_vs_prompt, runs_of(tmp_path / "runs"), tmp_path, capsys)
