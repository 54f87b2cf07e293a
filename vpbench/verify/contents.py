"""What a record must agree with: descriptions, its side files, and itself."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.common.messages import brief
from vpbench.prompts.build import adds_one_canvas, parameter_count
from vpbench.prompts.files import BackboneFacts, StoredPrompt, read_prompt
from vpbench.records import reading, schema
from vpbench.records.reading import VALIDATION
from vpbench.records.schema import difference
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.methods import METHODS, SELECTIONS, nothing_to_train, selection_rule
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.prompt_forms import PAPER_TEMPLATES
from vpbench.spec.tasks import TASKS
from vpbench.spec.text_prompts import said_class_names
from vpbench.training.metrics import BINS, prediction_metrics
from vpbench.verify.outside import check_outside

ROUNDING = 1e-3  # percent and nats: means in float32 of some ten thousand images
NEAR = 1e-6  # of a confidence to the edge of a bin of the calibration error
ARRAYS = {  # of predictions: name -> kinds of numpy's dtype
    "id": "U", "label": "iu", "prediction": "iu", "confidence": "f", "log_probability": "f",
    "group": "U",
}  # fmt: skip
NOT_KEPT = ("confidence", "log_probability")  # of these in an unpacked reference, nor these:
NOT_CHECKED = ("nll", "ece")  # metrics that follow from them
ABRIDGED = "abridged"  # key of a loaded record of an unpacked reference: records.reference
Record = dict[str, Any]  # as it was loaded, with its `file`
Arrays = dict[str, np.ndarray]
NUMBER = "a number, or null"
LINE = {"epoch": "a whole number", "validation_accuracy": NUMBER, "test_accuracy": NUMBER}
PICKED = {"test": {"per_class": [NUMBER], "worst_group": NUMBER}}
SHAPE = {  # what the checks read of a run, beside what all read; see records.schema.shaped
    "selection": dict.fromkeys(SELECTIONS, PICKED),
    "history": [LINE],
    "hashes": {"weights": "a text", "data": "a text"},
}


def read(path: str | Path) -> Record:
    """Returns the record in the file `path`, with its `file`; raises UserError in one line."""
    record = reading.read(path)
    if "measurement" not in record["spec"]:
        schema.shaped(record, SHAPE, path)
    return record | {"file": str(path)}


def check_run(record: Record) -> None:
    """Raises UserError unless a record of a run agrees with its side files and with itself.

    The error names, in one line, the first thing that does not. Of an unpacked reference, what is
    not kept there is not checked.
    """
    abridged = ABRIDGED in record
    check_facts(record)
    check_outside(record)
    predictions = reading.arrays(record, "predictions")
    check_predictions(record, predictions)
    check_metrics(record, predictions)
    check_selection(record)
    check_validation(record, predictions)
    if METHODS[record["spec"]["method"]].keeps_prompt:
        if not abridged:
            check_card(record)
        if not abridged or Path(side_file(record, "examples")).exists():
            check_examples(record)
    if record["spec"]["method"] == "text_prompt":
        same(record, "trained_parameters", record["trained_parameters"], 0)


def check_measurement(record: Record) -> None:
    """Raises UserError unless the rows of a measurement agree with its per-image arrays."""
    check_task(record)
    measurement = MEASUREMENTS.get(record["spec"]["measurement"])
    if measurement is None or not measurement.reads_prompts:
        return
    path, rows = side_file(record, "arrays"), record["rows"]
    arrays = reading.arrays(record, "arrays")
    if "correct" not in arrays:
        raise UserError(f"{path}: lacks the array correct")
    for name, values in arrays.items():
        key = {"correct": "accuracy"}.get(name, name)
        if values.dtype != bool or values.ndim != 2 or len(values) != len(rows):
            raise UserError(f"{path}: {name} is {described(values)}, not {len(rows)} rows of bool")
        for number, (row, hits) in enumerate(zip(rows, values, strict=True)):
            same(record, f"rows.{number}.images", row.get("images"), len(hits))
            close(record, f"rows.{number}.{key}", row.get(key), 100 * hits.mean(), path)


def same(record: Record, name: str, value: Any, expected: Any, source: str = "expected") -> None:
    """Raises UserError unless a value of a record is what it should be."""
    if value != expected:
        raise UserError(f"{record['file']}: {name} is {brief(value)}, {source} {brief(expected)}")


def close(
    record: Record,
    name: str,
    value: float | None,
    expected: float | None,
    source: str,
    tolerance: float = ROUNDING,
) -> None:
    """Raises UserError unless a number of a record is, up to rounding, what `source` gives."""
    if value is None or expected is None:
        right = value is expected
    else:
        right = math.isclose(value, expected, rel_tol=1e-5, abs_tol=tolerance)
    if not right:
        raise UserError(f"{record['file']}: {name} is {value}, but {source} gives {expected}")


def side_file(record: Record, name: str, suffix: str = ".npz") -> str:
    """Returns the path of a side file of a loaded record."""
    return f"{record['file'].removesuffix('.json')}.{name}{suffix}"


def described(values: np.ndarray) -> str:
    """Returns dtype and shape of an array for people."""
    return f"{values.dtype} {values.shape}"


def check_task(record: Record) -> None:
    """Raises UserError unless the facts of the task are those of its description, if it has one."""
    task, name = record["task"], record["spec"]["task"]
    same(record, "task.classes", task["classes"], len(task["class_names"]))
    same(record, "task.chance", task["chance"], 100 / task["classes"])
    if name in TASKS:
        entry = TASKS[name]
        for key in ("display", "template", "published", "metric", "shift", "paper_validation"):
            same(record, f"task.{key}", task[key], getattr(entry, key), "its description says")


def check_facts(record: Record) -> None:
    """Raises UserError unless task, backbone and selection rule are those of their descriptions."""
    check_task(record)
    spec, task = record["spec"], record["task"]
    entry = BACKBONES[spec["backbone"]]
    for key in ("role", "modality", "architecture"):
        value = record["backbone"][key]
        same(record, f"backbone.{key}", value, getattr(entry, key), "its description says")
    rule = selection_rule(spec["method"], task["paper_validation"], task["shift"])
    same(record, "rule", record["rule"], rule)


def check_predictions(record: Record, arrays: Arrays) -> None:
    """Raises UserError unless the per-image file is whole and can be what the record says it is."""
    path, task = side_file(record, "predictions"), record["task"]
    count, classes = task["sizes"]["test"], task["classes"]
    abridged = ABRIDGED in record
    for name, kinds in ARRAYS.items():
        if abridged and name in NOT_KEPT:
            continue
        values = arrays.get(name)
        if values is None:
            raise UserError(f"{path}: lacks the array {name}")
        if values.shape != (count,) or values.dtype.kind not in kinds:
            raise UserError(f"{path}: {name} is {described(values)}, not {count} of kind {kinds}")
    values, times = np.unique(arrays["id"], return_counts=True)
    if len(values) < count:
        raise UserError(f"{path}: the id {values[times.argmax()]} is there {times.max()} times")
    for name in ("label", "prediction"):
        outside = (arrays[name] < 0) | (arrays[name] >= classes)
        first(path, arrays, outside, f"{name} is not one of {classes} classes")
    if not abridged:
        check_confidences(path, arrays)


def check_confidences(path: str, arrays: Arrays) -> None:
    """Raises UserError unless the probabilities of predictions and labels fit each other."""
    # The label's probability is that of the prediction where that is right, and at most it, and
    # at most what it leaves of 1, where it is not.
    confidence = arrays["confidence"].astype(float)
    probability = np.exp(arrays["log_probability"].astype(float))
    right = arrays["label"] == arrays["prediction"]
    limit = np.where(right, confidence, np.minimum(confidence, 1 - confidence))
    sound = (confidence > 0) & (confidence < 1 + NEAR * 10) & (probability < limit + 1e-4)
    sound &= ~right | (probability > confidence - 1e-4)
    first(path, arrays, ~sound, "confidence and log_probability do not fit each other")


def first(path: str, arrays: Arrays, wrong: np.ndarray, reason: str) -> None:
    """Raises UserError with the name of the first image that is `wrong` [N], if any is."""
    if wrong.any():
        raise UserError(f"{path}: image {arrays['id'][wrong.argmax()]}: {reason}")


def check_metrics(record: Record, arrays: Arrays) -> None:
    """Raises UserError unless the record's metrics are those of its per-image file."""
    path, rule = side_file(record, "predictions"), record["rule"]
    groups, left_out = arrays["group"].tolist(), NOT_CHECKED if ABRIDGED in record else ()
    if left_out:
        arrays = arrays | dict.fromkeys(NOT_KEPT, np.zeros(len(groups), np.float32))
    recomputed = prediction_metrics(
        torch.from_numpy(arrays["prediction"].astype(np.int64)),
        torch.from_numpy(arrays["confidence"]),
        -float(arrays["log_probability"].mean(dtype=float)),
        torch.from_numpy(arrays["label"].astype(np.int64)),
        record["task"]["classes"],
        groups if any(groups) else None,
    )
    for name, value in atomic_files.plain(recomputed).items():
        said, where = record["selection"][rule]["test"][name], f"selection.{rule}.test.{name}"
        if name in left_out:
            continue
        if name == "per_class":
            same(record, f"the length of {where}", len(said), len(value))
            for number, pair in enumerate(zip(said, value, strict=True)):
                close(record, f"{where}.{number}", *pair, path)
        else:
            tolerance = ROUNDING + (at_edges(arrays["confidence"]) if name == "ece" else 0)
            close(record, where, said, value, path, tolerance)


def check_validation(record: Record, arrays: Arrays) -> None:
    """Raises UserError unless the validation accuracy is that of the predictions there, if any are.

    Records of earlier versions have none.
    """
    if any(name not in arrays for name in VALIDATION):  # all or none: see records.reading.arrays
        return
    path, rule, task = side_file(record, "predictions"), record["rule"], record["task"]
    for name in VALIDATION:
        values = arrays[name]
        if values.dtype.kind not in "iu" or not len(values):
            raise UserError(f"{path}: {name} is {described(values)}, not whole numbers")
        if values.min() < 0 or values.max() >= task["classes"]:
            raise UserError(f"{path}: {name} is not one of {task['classes']} classes")
    labels, answers = (arrays[name] for name in VALIDATION)
    same(record, "task.sizes.validation", task["sizes"].get("validation"), len(labels))
    said = (record["selection"][rule].get("validation") or {}).get("accuracy")
    expected = 100 * float((labels == answers).mean())
    close(record, f"selection.{rule}.validation.accuracy", said, expected, path)


def at_edges(confidence: np.ndarray) -> float:
    """Returns how much of the calibration error rounding may move from one bin to the next."""
    places = confidence.astype(float) * BINS
    edges = places.round()
    near = (np.abs(places - edges) < NEAR * BINS) & (edges > 0) & (edges < BINS)
    return 200 * near.mean()


def check_selection(record: Record) -> None:
    """Raises UserError unless the selected epochs are the last and the best ones of the history."""
    spec, selection, history = record["spec"], record["selection"], record["history"]
    epochs, settings = [line["epoch"] for line in history], spec["settings"]
    expected = 0 if nothing_to_train(settings) else settings.get("epochs", 0)
    same(record, "the epochs of history", epochs, numbered(expected))
    for name, picked in selection.items():
        where = f"selection.{name}"
        if not history:  # one evaluation, three times
            same(record, f"{where}.epoch", picked["epoch"], None)
            for split in ("validation", "test"):
                same(
                    record, f"{where}.{split}", picked.get(split), selection["last"].get(split),
                    "selection.last says",
                )  # fmt: skip
            continue
        line = chosen(name, history)
        same(record, f"{where}.epoch", picked["epoch"], line["epoch"], "the history gives")
        for split in ("validation", "test"):
            accuracy = (picked.get(split) or {}).get("accuracy")
            expected = line[f"{split}_accuracy"]
            same(record, f"{where}.{split}.accuracy", accuracy, expected, "the history says")


def numbered(epochs: int) -> list[int]:
    """Returns the numbers of the epochs of a training."""
    return list(range(1, epochs + 1))


def chosen(name: str, history: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the line of the history that a selection takes; of equal ones the earlier."""
    split = name.removeprefix("best_")
    seen = [line for line in history if line.get(f"{split}_accuracy") is not None]
    if not seen:  # the last epoch, or a best one of a split that the task does not have
        return history[-1]
    return max(seen, key=lambda line: line[f"{split}_accuracy"])  # the first of equal ones


def stored_prompt(record: Record) -> StoredPrompt:
    """Returns what the files of a run's prompt hold, made for the backbone of the record."""
    name = record["spec"]["backbone"]
    size = Preprocessing(*BACKBONES[name].preprocessing).crop
    facts = BackboneFacts(name, record["hashes"]["weights"], size)
    return read_prompt(side_file(record, "prompt", ".safetensors"), facts)


def check_card(record: Record) -> None:
    """Raises UserError unless the prompt is whole and its card says what the record says."""
    prompt, learned, card = stored_prompt(record)
    spec, task = record["spec"], record["task"]
    settings, picked = spec["settings"], record["selection"][record["rule"]]
    expected = {
        "task": spec["task"],
        "settings": settings,
        "template": settings["template"],
        "size": settings["size"],
        "class_names": list(said_class_names(task["class_names"], settings)),
        "text_prompt": settings["text_prompt"] or task["template"],
        "accuracy": {
            split: picked[split]["accuracy"]
            for split in ("validation", "test")
            if picked.get(split)
        },
    }
    path = side_file(record, "prompt", ".json")
    for key, value in expected.items():
        differing = difference(card.get(key), value, key)
        if differing:
            name, said, wanted = differing
            raise UserError(f"{path}: {name} is {brief(said)}, its record says {brief(wanted)}")
    of_map = 0
    if LABEL_MAPS[settings["label_map"]].trained:
        of_map = sum(tensor.numel() for tensor in learned.values())
    trained, count = record["trained_parameters"], prompt.trained + of_map
    same(record, "trained_parameters", trained, count, "the prompt and its map have")
    if settings["template"] in PAPER_TEMPLATES:
        formula = parameter_count(settings["template"], card["image_size"], settings["size"])
        formula = settings["ensemble_size"] * formula + of_map
        same(record, "trained_parameters", trained, formula, "section 3.2.2 gives")


def check_examples(record: Record) -> None:
    """Raises UserError unless the examples are images and what the prompt makes of them."""
    path, arrays = side_file(record, "examples"), reading.arrays(record, "examples")
    for name in ("images", "prompted", "canvas", "labels"):
        if name not in arrays:
            raise UserError(f"{path}: lacks the array {name}")
    images, canvas = arrays["images"].astype(float), arrays["canvas"].astype(float)
    if arrays["prompted"].shape != images.shape or canvas.shape != images.shape[:0:-1]:
        raise UserError(f"{path}: images, prompted and canvas are of different shapes")
    if not adds_one_canvas(record["spec"]["settings"]):
        return
    expected = 255 * np.clip(images / 255 + canvas.transpose(1, 2, 0), 0, 1)
    if np.abs(arrays["prompted"] - expected).max() > 0.51:  # rounded to whole numbers
        raise UserError(f"{path}: prompted is not images with the canvas added")
