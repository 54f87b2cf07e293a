"""One damage of a record or of its side files for each thing that is checked."""

import numpy as np
import pytest

from tests.helpers.small_results import (
    JPEG,
    PROBE,
    PROMPT,
    SIDES,
    TEXT,
    alone,
    at,
    edit,
    edit_arrays,
    found,
    put,
    run_file,
)
from tests.helpers.tiny import spec
from vpbench.common import atomic_files
from vpbench.experiment import run, side_files
from vpbench.models.backbone import load_backbone
from vpbench.records.paths import record_path
from vpbench.verify import contents

FORMS = [  # method, backbone, what differs from the tiny recipe
    ("evp", "clip_micro", {}),
    ("evp", "rn50_micro", {"label_map": "bayesian_plus"}),
    ("adversarial_reprogramming", "rn50_micro", {"label_map": "iterative"}),
    ("visual_prompt", "clip_micro", {"template": "none", "label_map": "ensemble"}),
    ("visual_prompt", "rn50_micro", {"template": "none", "label_map": "linear", "map_lr": 0.01}),
    ("visual_prompt", "clip_micro", {"template": "low_rank", "size": 2}),
    ("visual_prompt", "clip_micro", {"template": "conditional", "size": 8, "lr": 0.01}),
    ("visual_prompt", "clip_micro", {"operation": "multiply"}),
    ("visual_prompt", "clip_micro", {"ensemble_size": 2}),
    ("visual_prompt", "clip_micro", {"label_map": "learned_classifier", "map_lr": 0.1}),
]


@pytest.mark.parametrize(("method", "backbone", "changes"), FORMS)
def test_the_records_of_every_form_of_a_prompt_are_found_right(
    method, backbone, changes, task, tmp_path
):
    if backbone == "rn50_micro":
        changes = {"label_map": "hard_coded"} | changes
    one, loaded = spec(method, backbone, **changes), load_backbone(backbone)
    path = record_path(one, tmp_path)
    side_files.write_run(path, *run.run(one, task, loaded), task, loaded)
    record = contents.read(path)
    contents.check_run(record)
    record["trained_parameters"] += 1
    with pytest.raises(ValueError, match="trained_parameters"):
        contents.check_run(record)


RULE = "best_validation"  # of a prompt on EuroSAT, which has a validation split in the paper
DAMAGED_RECORDS = {  # what was done -> cell, change, what is said
    "an accuracy is flipped": (
        *(PROMPT, put("selection", RULE, "test", "accuracy", lambda value: 100 - value)),
        f"selection.{RULE}.test.accuracy is",
    ),
    "an F1 is better than it was": (
        *(TEXT, put("selection", "last", "test", "macro_f1", lambda value: value + 1)),
        "selection.last.test.macro_f1 is",
    ),
    "a calibration error is": (
        *(PROBE, put("selection", "last", "test", "ece", 0.0)),
        "selection.last.test.ece is 0.0, but",
    ),
    "an NLL is": (
        *(PROBE, put("selection", "last", "test", "nll", 0.5)),
        "selection.last.test.nll is 0.5, but",
    ),
    "a class is": (
        *(TEXT, put("selection", "last", "test", "per_class", 3, lambda value: value + 1)),
        "selection.last.test.per_class.3 is",
    ),
    "a group is made up": (
        *(TEXT, put("selection", "last", "test", "worst_group", 50.0)),
        "selection.last.test.worst_group is 50.0, but",
    ),
    "the validation accuracy is not the history's": (
        *(PROMPT, put("selection", RULE, "validation", "accuracy", 101.0)),
        f"selection.{RULE}.validation.accuracy is 101.0, the history says",
    ),
    "the best epoch is not the best": (
        *(PROMPT, put("selection", "best_test", "epoch", lambda epoch: 3 - epoch)),
        "selection.best_test.epoch is",
    ),
    "an epoch is gone": (
        *(PROMPT, lambda record: record["history"].pop(0)),
        "the epochs of history is [2], expected [1, 2]",
    ),
    "the tables would show another epoch": (
        *(PROMPT, put("rule", "best_test")),
        f"rule is 'best_test', expected '{RULE}'",
    ),
    "the last of a run without epochs is not its best": (
        *(TEXT, put("selection", "best_test", "validation", None)),
        "selection.best_test.validation is None, selection.last says",
    ),
    "a learning rate is not that of the configuration": (
        *(PROMPT, put("spec", "settings", "lr", 0.25)),
        "settings.lr is 0.25, but 5 in given.yaml",
    ),
    "a backbone has another role": (
        *(PROBE, put("backbone", "role", "rn50")),
        "backbone.role is 'rn50', its description says 'clip'",
    ),
    "a task has another chance": (
        *(PROBE, put("task", "chance", 50.0)),
        "task.chance is 50.0, expected 10.0",
    ),
    "the number of parameters is not the prompt's": (
        *(PROMPT, put("trained_parameters", 1)),
        "trained_parameters is 1, the prompt and its map have",
    ),
    "a text prompt has learned something": (
        *(TEXT, put("trained_parameters", 1)),
        "trained_parameters is 1, expected 0",
    ),
    "the weights are others": (
        *(PROBE, put("hashes", "weights", "0" * 64)),
        "the file of clip_micro has",
    ),
    "the images are others": (
        *(PROBE, put("hashes", "data", "0" * 64)),
        "hashes.data is 000000000000, but",
    ),
    "it is of another version": (PROBE, put("schema", 1), "schema is 1"),
    "a key is gone": (PROBE, lambda record: record.pop("hashes"), "lacks the key hashes"),
    "an accuracy is no number": (
        *(PROBE, put("selection", "last", "test", "accuracy", "high")),
        "selection.last.test.accuracy is 'high', expected a number",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED_RECORDS)
def test_a_record_is_wrong_where(results, damage):
    cell, change, words = DAMAGED_RECORDS[damage]
    path = run_file(results, cell)
    edit(path, change)
    line = alone(results)
    assert line.startswith(f"runs/smoke/{cell}.") and words in line


DAMAGED_ARRAYS = {  # what was done -> file, changes, what is said
    "a prediction is swapped": (
        *(TEXT + SIDES, {"prediction": at(slice(3), lambda old: (old + 1) % 10)}),
        "image test/",
    ),
    "wrong predictions are swapped": (
        *(PROBE + SIDES, {"prediction": lambda old: old[::-1]}),
        "confidence and log_probability do not fit each other",
    ),
    "all are right": (
        TEXT + SIDES,
        {"prediction": lambda old: np.arange(24) % 10, "log_probability": lambda old: old * 0}
        | {"confidence": lambda old: old * 0 + 1},
        "selection.last.test.accuracy is",
    ),
    "a label is of no class": (
        *(PROBE + SIDES, {"label": at(5, 10)}),
        "image test/5: label is not one of 10 classes",
    ),
    "an id is there twice": (
        *(PROBE + SIDES, {"id": at(5, "test/4")}),
        "the id test/4 is there 2 times",
    ),
    "an id is another": (
        *(PROBE + SIDES, {"id": at(5, "test/99")}),
        "the SHA-256 of ids and labels is",
    ),
    "images are missing": (
        *(PROBE + SIDES, {"group": lambda old: old[1:]}),
        "group is <U1 (23,), not 24 of kind U",
    ),
    "a confidence is none": (
        *(PROBE + SIDES, {"confidence": at(0, np.nan)}),
        "image test/0: confidence and log_probability do not fit each other",
    ),
    "a prediction on validation is swapped": (
        *(PROBE + SIDES, {"validation_prediction": at(0, lambda old: (old + 1) % 10)}),
        "selection.last.validation.accuracy is",
    ),
    "a label of validation is of no class": (
        *(PROBE + SIDES, {"validation_label": at(5, 10)}),
        "validation_label is not one of 10 classes",
    ),
    "validation images are missing": (
        PROBE + SIDES,
        dict.fromkeys(("validation_label", "validation_prediction"), lambda old: old[:6]),
        "task.sizes.validation is 12, expected 6",
    ),
    "half of what is said of validation is gone": (
        *(PROBE + SIDES, {"validation_prediction": lambda old: old[1:]}),
        "validation_label, validation_prediction are not lists of one length",
    ),
    "an example shows something else": (
        *(PROMPT + ".examples.npz", {"prompted": at((0, 0, 0, 0), lambda old: old ^ 128)}),
        "prompted is not images with the canvas added",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED_ARRAYS)
def test_a_side_file_is_wrong_where(results, damage):
    file, changes, words = DAMAGED_ARRAYS[damage]
    edit_arrays(results / "runs/smoke" / file, **changes)
    line = alone(results)
    assert line.startswith("runs/smoke/" + file.split(".")[0]) and words in line


def test_a_record_of_an_earlier_version_says_nothing_of_single_validation_images(results):
    path = run_file(results, PROBE, SIDES)
    with np.load(path) as file:
        kept = {name: file[name] for name in file if not name.startswith("validation")}
    atomic_files.write_arrays(path, kept)
    assert found(results) == []


def test_a_prompt_that_its_card_was_not_written_for_is_found(results):
    path = run_file(results, PROMPT, ".prompt.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "seed0.prompt.safetensors is not the file its card" in alone(results)


def test_a_card_that_says_something_else_than_the_record_is_found(results):
    edit(run_file(results, PROMPT, ".prompt.json"), put("accuracy", "test", 99.0))
    line = alone(results)
    assert line.startswith(f"runs/smoke/{PROMPT}.prompt.json: accuracy.test is 99.0, its record")


def test_a_row_of_a_measurement_that_its_images_do_not_give_is_found(results):
    edit(results / f"{JPEG}.json", put("rows", 2, "accuracy", 99.0))
    line = alone(results)
    assert line.startswith(f"{JPEG}.json: rows.2.accuracy is 99.0, but {JPEG}.arrays.npz"), line


def test_another_setting_of_a_measurement_is_found(results):
    edit(results / f"{JPEG}.json", put("spec", "settings", "images", 99))
    line = "settings.images is 99, but 12 in given.yaml"
    assert alone(results) == f"{JPEG}.json: {line}"
