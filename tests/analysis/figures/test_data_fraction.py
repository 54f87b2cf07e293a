"""Accuracy by the number of training images, from records that no run made."""

import math

import pandas
import pytest
from matplotlib import pyplot

from analysis.common import cells
from analysis.figures import data_fraction
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import check_products, figure_text, row_of
from tests.helpers.fake_records import SIZES, record
from tests.helpers.intervals import with_seeds
from vpbench.common.errors import RecordError

TASKS = ("eurosat_twin", "svhn_twin")
SHOTS = (1, 4, None)


def run(accuracy, shots=None, method="visual_prompt", task=TASKS[0], seed=0, variant="default"):
    """Returns a run of so many training images of each of ten classes, None: of all."""
    if shots is None:
        return record(task, "clip_micro", method, accuracy, seed, variant=variant)
    named = f"shots_{shots}" if variant == "default" else f"shots_{shots}_{variant}"
    data = SIZES | {"resolution": "backbone", "shots": shots}
    made = record(task, "clip_micro", method, accuracy, seed, variant=named, data=data)
    made["spec"]["settings"] = {"epochs": 60 // shots}
    made["task"]["sizes"]["train"] = 10 * shots
    return made


def runs_of(methods=("visual_prompt", "linear_probe"), tasks=TASKS, seeds=(0,)):
    """Returns runs of methods on few and on all images, the more the better; TP needs none."""
    made = [run(33.0, None, "text_prompt", task) for task in tasks]
    for place, method in enumerate(methods):
        for shots in SHOTS:
            accuracy = 40.0 + 10 * place + (shots or 16)
            made += [
                run(accuracy + 2 * seed, shots, method, task, seed)
                for task in tasks
                for seed in seeds
            ]
    return made


def test_a_row_is_a_method_on_a_dataset_with_so_many_images():
    frame = data_fraction.accuracies(runs_of())
    vp = frame[(frame.task == "eurosat") & (frame.method == "visual_prompt")]
    assert list(vp.shots) == [1, 4, "all"] and list(vp.measured) == [41, 44, 56]
    assert list(vp["images"]) == [10, 40, 500] and list(vp.epochs[:2]) == [60, 15]
    assert (vp.low.iloc[0], vp.high.iloc[0]) == pytest.approx(cells.wilson(41, 1000))
    assert list(frame.task.unique()) == ["eurosat", "svhn", "average"]
    assert set(frame.variant) == {"default"}
    text = frame[frame.method == "text_prompt"]
    assert list(text.shots) == ["all"] * 3 and list(text["images"][:2]) == [0, 0]


def test_several_seeds_widen_the_interval_by_their_variance_over_all_datasets():
    frame = data_fraction.accuracies(runs_of(seeds=(0, 1, 2)))
    row = row_of(frame, task="svhn", method="linear_probe", shots=4)
    assert (row.measured, row.seeds, row.spread) == (56, 3, 2)
    assert (row.low, row.high) == pytest.approx(with_seeds([54, 56, 58], freedom=2 * len(TASKS)))
    assert row.seed_variance == "own"


def test_an_average_is_over_all_datasets_or_empty_and_what_lacks_is_named():
    made = runs_of()
    frame = data_fraction.accuracies(made)
    assert row_of(frame, task="average", method="visual_prompt", shots=4).measured == 44
    assert data_fraction.gaps_of(frame) == []
    few = [one for one in made if one["spec"]["variant"] != "shots_4" or
           (one["spec"]["method"], one["spec"]["task"]) == ("visual_prompt", TASKS[0])]  # fmt: skip
    frame = data_fraction.accuracies(few)
    row = row_of(frame, task="average", method="visual_prompt", shots=4)
    assert math.isnan(row.measured) and row.seeds == 0 and row["images"] is pandas.NA
    assert set(data_fraction.gaps_of(frame)) == {"VP of 4 shots on svhn", "LP of 4 shots"}


def test_datasets_without_few_images_are_left_out():
    made = [*runs_of(tasks=TASKS[:1]), run(99.0, task="dtd_twin")]
    assert set(data_fraction.accuracies(made).task) == {"eurosat", "average"}
    assert data_fraction.accuracies(made[-1:]).empty


def test_variants_of_few_images_are_those_of_all():
    made = [run(50.0, shots, "vpt", variant="shallow") for shots in SHOTS]
    made += [run(60.0, shots, "vpt") for shots in SHOTS]
    frame = data_fraction.accuracies(made)
    shallow = frame[(frame.task == "eurosat") & (frame.variant == "shallow")]
    assert list(shallow.measured) == [50, 50, 50] and list(shallow.shots) == [1, 4, "all"]
    assert set(frame.variant) == {"default", "shallow"}


def test_two_backbones_and_two_kinds_of_runs_of_a_row_are_refused():
    made = runs_of()
    other = run(50.0, 4)
    other["spec"]["settings"] = {"epochs": 99}
    with pytest.raises(RecordError, match="eurosat visual_prompt default 4: settings.epochs"):
        data_fraction.accuracies([*made, other])
    with pytest.raises(RecordError, match="records of 2 backbones"):
        data_fraction.accuracies([*made, record(TASKS[0], "rn50_micro", "linear_probe", 1.0)])


def test_the_figure_has_a_row_for_each_dataset_and_a_column_for_each_kind_of_method():
    methods = ("visual_prompt", "evp", "linear_probe", "coop", "vpt")
    frame = data_fraction.accuracies(runs_of(methods))
    figure = data_fraction.draw(frame, LAB, [])
    assert len(figure.axes) == 3 * 3
    said = figure_text(figure)
    for words in ("EuroSAT twin", "SVHN twin", "Average", "Learns: pixels", "Learns: tokens",
                  "all", "EVP", "CoOp", "TP", "Lab scale"):  # fmt: skip
        assert words in said
    ticks = figure.axes[-1].get_xticks()
    assert list(ticks) == pytest.approx([0, 2, 3.4])  # binary logarithms; all images aside
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_data_fraction_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = runs_of() if some else []
    assert bool(len(check_products(data_fraction, made, tmp_path))) == some
    assert some or capsys.readouterr().err.startswith("warning: not run: ")


def test_a_figure_with_gaps_is_drawn(tmp_path):
    made = [one for one in runs_of() if one["spec"]["task"] == TASKS[0]]
    made += [run(20.0, 1, "fine_tune", TASKS[1])]
    assert len(check_products(data_fraction, made, tmp_path))
