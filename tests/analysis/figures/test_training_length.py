"""Lengths of trainings, of made-up runs whose gains one can count by hand."""

import math

import numpy as np
import pytest

from analysis.common.gaps import note
from analysis.figures import training_length
from analysis.figures.training_length import (
    LAB_STEPS,
    draw,
    gaps_of,
    paper_steps,
    training_lengths,
)
from tests.helpers.analyses import LAB, NOWHERE, run
from tests.helpers.checkout import read_config
from tests.helpers.fake_designs import check_products, figure_text, prompt, row_of
from tests.helpers.fake_records import record
from tests.helpers.fake_sides import beside
from tests.helpers.messages import complains
from vpbench.common.errors import RecordError
from vpbench.spec.backbones import BACKBONES

IMAGES = 1000  # of validation
OFFICIAL = {1: 40.0, 2: 60.0, 4: 80.0, 8: 80.1, 16: 80.2}  # epochs -> validation accuracy
FAST = {1: 40.0, 2: 70.0, 4: 65.0, 8: 60.0}


def seen(one, folder, accuracy):
    """Returns a run with its validation accuracy and predictions: the first images are right."""
    for look in one["selection"].values():
        look["validation"] = look["test"] | {"accuracy": accuracy}
    one["task"]["sizes"] = one["task"]["sizes"] | {"validation": IMAGES}
    labels = np.arange(IMAGES) % 10
    right = np.arange(IMAGES) < round(accuracy * IMAGES / 100)
    test = {"id": ["test/0"], "label": [0], "prediction": [0]}
    arrays = {"validation_label": labels, "validation_prediction": np.where(right, labels, 11)}
    return beside(one, folder, predictions=test | arrays)


def course(folder, accuracies, name="official", task="eurosat_twin", seed=0, **settings):
    """Returns runs of a recipe, given epochs -> validation accuracy."""
    return [
        seen(
            prompt(
                *(5.0, None, seed, f"{name}_epochs_{epochs}", task),
                **{"epochs": epochs, "batch_size": 16, "eval_epochs": []} | settings,
            ),
            *(folder, accuracy),
        )
        for epochs, accuracy in accuracies.items()
    ]


def other(folder, method, accuracy, task="eurosat_twin"):
    """Returns a run of a method that is not trained by steps."""
    return seen(record(task, "clip_micro", method, 5.0), folder, accuracy)


@pytest.fixture
def made(tmp_path):
    """Returns two recipes on one task, its probe and its text prompt."""
    folder = tmp_path / "runs"
    fast = course(folder, FAST, "fast", gradient="unit")
    alone = [other(folder, "linear_probe", 85.0), other(folder, "text_prompt", 20.0)]
    return [*course(folder, OFFICIAL), *fast, *alone]


def test_a_length_is_long_enough_between_two_doublings_that_gain_nothing(made):
    frame = training_lengths(made)
    rows = frame[(frame.recipe == "official") & (frame.task == "eurosat_twin")]
    assert rows.epochs.tolist() == [1, 2, 4, 8, 16]
    assert rows.steps.tolist() == [32, 64, 128, 256, 512]  # of 500 images, 16 in a batch
    assert rows.validation.tolist() == list(OFFICIAL.values())
    assert rows.state.tolist() == ["unknown", "rising", "rising", "converged", "converged"]
    assert rows.long_enough.tolist() == rows.chosen.tolist() == [False, False, False, True, False]


def test_a_gain_is_paired_by_image(made):
    frame = training_lengths(made)
    row = row_of(frame, recipe="official", epochs=4, task="eurosat_twin")
    # 200 of 1,000 images more are right, none less: 20 points, 1.96 sqrt(0.2 x 0.8 / 1000) = 2.48
    assert row.gain == pytest.approx(20)
    assert (row.gain_low, row.gain_high) == (
        pytest.approx(17.5, abs=0.4),
        pytest.approx(22.5, abs=0.4),
    )
    row = row_of(frame, recipe="official", epochs=8, task="eurosat_twin")
    assert row.gain == pytest.approx(0.1) and 0.1 < row.gain_high < 0.5  # one image


def test_a_length_that_loses_is_said_to_overfit_and_the_one_before_is_chosen(made):
    frame = training_lengths(made)
    rows = frame[(frame.recipe == "fast") & (frame.task == "eurosat_twin")]
    assert rows.state.tolist() == ["unknown", "rising", "overfits", "overfits"]
    assert rows.long_enough.tolist() == [False, False, True, False]
    assert rows.chosen.tolist() == [False, True, False, False]


def test_a_rest_before_a_task_is_learned_is_no_end_of_the_training(tmp_path):
    accuracies = {1: 10.0, 2: 10.0, 4: 10.0, 8: 30.0, 16: 30.0, 32: 30.0}
    frame = training_lengths(course(tmp_path / "runs", accuracies))
    states = ["unknown", "converged", "converged", "rising", "converged", "converged"]
    assert frame.state.tolist() == states
    assert frame.epochs[frame.long_enough].tolist() == frame.epochs[frame.chosen].tolist() == [16]


def test_the_gap_is_to_the_probe_on_the_same_images(made):
    row = row_of(training_lengths(made), recipe="official", epochs=8, task="eurosat_twin")
    assert (row.probe, row.gap) == (85, pytest.approx(-4.9))
    # 49 of 1,000 images: 1.96 sqrt(0.049 x 0.951 / 1000) = 1.34
    assert row.gap_low == pytest.approx(-4.9 - 1.34, abs=0.3)
    assert row.gap_high == pytest.approx(-4.9 + 1.34, abs=0.3)


def test_seeds_are_averaged_image_by_image_over_those_that_both_lengths_have(tmp_path):
    folder = tmp_path / "runs"
    made = course(folder, {2: 50.0, 4: 60.0}) + course(folder, {2: 50.0, 4: 54.0, 8: 54.0}, seed=1)
    frame = training_lengths(made)
    row = row_of(frame, epochs=4)
    # 40 images gain in both seeds, 60 in one of two: (40 + 30) of 1,000
    assert (row.seeds, row.gain, row.validation) == (2, pytest.approx(7), pytest.approx(57))
    row = row_of(frame, epochs=8)
    assert (row.seeds, row.gain, row.state) == (1, pytest.approx(0), "converged")


def test_a_group_takes_the_longest_that_one_of_its_tasks_needs(made, tmp_path):
    folder = tmp_path / "runs"
    for task, accuracies, zero in (
        ("svhn_twin", {1: 50.0, 2: 50.0, 4: 50.0}, 20.0),
        ("dtd_twin", {2: 50.0, 4: 60.0, 8: 60.0}, 57.0),  # more than two thirds of 85
    ):
        made += course(folder, accuracies, task=task)
        made += [
            other(folder, "linear_probe", 85.0, task),
            other(folder, "text_prompt", zero, task),
        ]
    frame = training_lengths(made)
    assert row_of(frame, task="svhn_twin", chosen=True).epochs == 2
    far = row_of(frame, task="all far", recipe="official")
    assert (far.epochs, far.steps, far.state, far.chosen) == (8, 256, "long enough", True)
    near = row_of(frame, task="all near")
    assert (near.recipe, near.state, near.chosen) == ("official", "not yet", False)
    assert math.isnan(near.epochs)
    assert row_of(frame, task="all far", recipe="fast").epochs == 2  # of EuroSAT alone


def test_a_task_whose_half_was_not_run_is_unknown_and_an_odd_length_has_no_half(tmp_path):
    frame = training_lengths(course(tmp_path / "runs", {2: 40.0, 5: 50.0, 8: 60.0}))
    assert frame.state.tolist() == ["unknown"] * 3 and not frame.chosen.any()


def test_the_paper_s_steps_are_those_of_its_dataset():
    # 13,500, 73,257 and 2,820 images, 256 in a batch (BiT-M: 128), 1,000 times
    steps = [paper_steps(f"{name}_twin", "clip_micro") for name in ("eurosat", "svhn", "dtd")]
    assert steps == [53_000, 287_000, 12_000]
    assert paper_steps("eurosat_twin", "bit_m_micro") == 106_000
    assert paper_steps("cats_dogs_twin", "clip_micro") is None
    assert paper_steps("eurosat_twin", "my_backbone") is None
    recipe = read_config("paper")["recipes"]["visual_prompt"]
    assert recipe["every_backbone"]["epochs"] == training_length.PAPER_EPOCHS
    for backbone in ("clip_vit_b32", "instagram_32x8d", "bit_m_r50x1", "rn50"):
        batch = (recipe["every_backbone"] | recipe.get(backbone, {}))["batch_size"]
        assert training_length.PAPER_BATCH[BACKBONES[backbone].role] == batch


def test_the_steps_of_the_shipped_lab_are_those_of_its_configuration():
    lab = read_config("lab")
    recipe = lab["recipes"]["visual_prompt"]
    longer = [each["visual_prompt"]["clip_micro"] for each in lab["task_recipes"].values()]
    epochs = [each["epochs"] for each in (recipe["clip_micro"], *longer)]
    per_epoch = math.ceil(lab["data"]["train"] / recipe["every_backbone"]["batch_size"])
    assert LAB_STEPS == (min(epochs) * per_epoch, max(epochs) * per_epoch) == (256, 1024)


def test_a_task_without_validation_and_two_backbones_are_refused(made, tmp_path):
    made[0]["selection"]["best_validation"]["validation"] = None
    with complains(RecordError, "eurosat_twin", "no validation split", "leave it out"):
        training_lengths(made)
    two = course(tmp_path / "runs", OFFICIAL)
    two[0]["spec"] = two[0]["spec"] | {"backbone": "rn50_micro"}
    with complains(RecordError, "2 backbones", "clip_micro", "rn50_micro"):
        training_lengths(two)


def test_csv_and_figure_are_written_and_say_what_is_marked(made, tmp_path):
    frame = check_products(training_length, made, tmp_path)
    assert frame.task.tolist() == ["eurosat_twin"] * 9 + ["all far"] * 2
    text = figure_text(draw(training_lengths(made), LAB, []))
    marked = "EuroSAT twin", "Shipped lab: 256 to 1,024 steps", "Paper, on this dataset", "overfits"
    for words in (*marked, *(f"Gap to the linear probe, {name}" for name in ("official", "fast"))):
        assert words in text


def test_what_was_not_run_is_said(tmp_path, capsys):
    made = course(tmp_path / "runs", OFFICIAL)
    frame = training_lengths(made)
    assert gaps_of(frame) == ["the linear probe of eurosat_twin"]
    assert "Not run: the linear probe of eurosat_twin" in figure_text(
        draw(frame, LAB, gaps_of(frame))
    )
    nothing = training_lengths([])
    assert "two lengths" in figure_text(draw(nothing, NOWHERE, gaps_of(nothing)))
    assert note(gaps_of(nothing)).startswith("Not run: a visual prompt")
    command = ["--runs", "--out", tmp_path / "none.csv", "--figures", tmp_path]
    assert run("training_length", *command) == 0
    assert "warning: not run: a visual prompt in two lengths" in capsys.readouterr().err
