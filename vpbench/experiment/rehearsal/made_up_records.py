"""Records that no run has made, as large as the paper's: every spec of a grid, all predictions.

They are of the kind rehearsal, in their spec, so that no analysis mixes them with measured ones.
"""

import os
import shutil
import zlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from vpbench.common import atomic_files
from vpbench.common.hashing import canonical, digest
from vpbench.records.paths import record_path
from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.class_names import MANIFESTS, read_manifest
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.methods import METHODS, SELECTIONS, selection_rule
from vpbench.spec.schema import SCHEMA
from vpbench.spec.tasks import SPLITS, TASKS, task_facts

LEVELS = (0.2, 0.35, 0.5, 0.65, 0.8)  # shares of right predictions; a run has one of them
GROUPS = 3  # cameras, regions or hospitals of a shift
EXAMPLES = 4
FOLDER = ".shared"  # of the side files that many records have alike
CLASSES = 10  # of a task that the suite knows no facts of


class Facts(NamedTuple):
    """Facts of a task at full size."""

    class_names: tuple[str, ...]
    sizes: dict[str, int]


def write_all(specs: Iterable[Spec], runs: Path) -> int:
    """Returns how many records are under the folder `runs` once those of all `specs` are there."""
    count = 0
    for spec in specs:
        path = record_path(spec, runs)
        write_sides(spec, path, runs.parent / FOLDER)
        atomic_files.write(path, record(spec))
        count += 1
    return count


def facts_of(spec: Spec) -> Facts:
    """Returns the facts of the task of a spec: those of Table 6, cut as the spec says."""
    known = FACTS.get(spec["task"])
    classes = known.classes if known else CLASSES
    named = spec["task"] in MANIFESTS
    names = read_manifest(spec["task"]) if named else tuple(f"class {n}" for n in range(classes))
    asked = {split: spec["data"].get(split) for split in SPLITS}
    sizes = known.sizes if known else {split: asked[split] or 100 for split in SPLITS}
    return Facts(names, {split: min(asked[split] or size, size) for split, size in sizes.items()})


def level_of(spec: Spec) -> int:
    """Returns which of LEVELS a run has; all that is in its spec decides."""
    return zlib.crc32(canonical(spec).encode()) % len(LEVELS)


def record(spec: Spec) -> dict[str, Any]:
    """Returns the record of a spec."""
    facts, task, model = facts_of(spec), task_facts_of(spec), BACKBONES[spec["backbone"]]
    epochs = spec["settings"].get("epochs")
    looks = {
        split: metrics(100 * correct_of(spec, facts, split).mean(), facts)
        for split in ("validation", "test")
        if split in facts.sizes
    }
    accuracy = looks["test"]["accuracy"]
    selected = {"epoch": epochs, "validation": None} | looks
    return {
        "schema": SCHEMA,
        "spec": spec,
        "task": task
        | {
            "classes": len(facts.class_names),
            "class_names": list(facts.class_names),
            "sizes": facts.sizes,
            "chance": 100 / len(facts.class_names),
            "deviations": [],
        },
        "backbone": {
            "role": model.role,
            "modality": model.modality,
            "architecture": model.architecture,
            "parameters": model.parameters or 1,
            "origin": "a record that a rehearsal has made up",
        },
        "rule": selection_rule(spec["method"], task["paper_validation"], task["shift"]),
        "selection": {name: selected for name in SELECTIONS},
        "history": history(epochs or 0, accuracy, facts),
        "trained_parameters": trained_parameters(spec),
        "chosen": {},
        "hashes": {
            "weights": digest([{"backbone": spec["backbone"]}]),
            "data": digest(
                [{"task": spec["task"], "transform": model.preprocessing, "data": spec["data"]}]
            ),
            "world": None,
        },
        "versions": {"vpbench": "made up"},
        "device": "cpu",
        "measured": {
            "seconds": 3600.0,
            "images_per_second": 100.0,
            "peak_memory_mb": 1000.0,
            "micro_batch": spec["settings"].get("batch_size"),
            "processes": 1,
            "precision": spec["engine"]["precision"],
            "speeds": None,
            "device_name": "made up",
        },
    }


def task_facts_of(spec: Spec) -> dict[str, Any]:
    """Returns what a record says of a task that does not depend on its images."""
    name = spec["task"]
    if name in TASKS:
        shown = {"display": TASKS[name].display, "template": TASKS[name].template}
        return shown | task_facts(name)
    shown = {"display": name, "template": "This is a photo of a {}", "published": ""}
    return shown | {"metric": "accuracy", "shift": False, "paper_validation": True}


def metrics(accuracy: float, facts: Facts) -> dict[str, Any]:
    """Returns the metrics of a look at a split."""
    return {
        "accuracy": accuracy,
        "per_class": [accuracy] * len(facts.class_names),
        "macro_f1": accuracy,
        "worst_group": accuracy,
        "nll": 1.0,
        "ece": 5.0,
    }


def history(epochs: int, accuracy: float, facts: Facts) -> list[dict[str, Any]]:
    """Returns a line per epoch of a training that slowly comes to its accuracy."""
    looked = {f"{split}_accuracy": split in facts.sizes for split in ("validation", "test")}
    lines: list[dict[str, Any]] = []
    for epoch in range(1, epochs + 1):
        reached = accuracy * epoch / epochs
        values = {name: reached if there else None for name, there in looked.items()}
        lines.append({"epoch": epoch, "loss": 5 / epoch, "train_accuracy": reached} | values)
    return lines


def trained_parameters(spec: Spec) -> int:
    """Returns a number of parameters: exactly that of a padding or a patch, of others any."""
    settings, side = spec["settings"], BACKBONES[spec["backbone"]].preprocessing[1]
    size = settings.get("size")
    if METHODS[spec["method"]].learns == "nothing" or settings.get("template") == "none":
        return 0
    if size is None:
        return 10_000
    padding = settings.get("template") == "padding"
    return int(6 * size * (2 * side - 2 * size) if padding else 3 * size**2)


def correct_of(spec: Spec, facts: Facts, split: str) -> np.ndarray:
    """Returns which images of a split a run has right, bool [N]; drawn, so that runs differ."""
    level = level_of(spec)
    key = [level, zlib.crc32(spec["task"].encode()), SPLITS.index(split)]
    generator = np.random.default_rng(key)
    return generator.random(facts.sizes[split]) < LEVELS[level]


def write_sides(spec: Spec, path: Path, shared: Path) -> None:
    """Writes the side files of a record; those of one level and task are the same file on disk."""
    sizes = "_".join(str(size) for size in facts_of(spec).sizes.values())
    name = f"{spec['task']}_{sizes}_{level_of(spec)}"
    predicted = shared / f"{name}.predictions.npz"
    link(predicted, path.with_suffix(".predictions.npz"), partial(predictions, spec))
    if METHODS[spec["method"]].keeps_prompt:
        side, settings = BACKBONES[spec["backbone"]].preprocessing[1], spec["settings"]
        form = settings["template"], settings["size"], side, level_of(spec)
        shown = shared / f"{'_'.join(map(str, form))}.examples.npz"
        link(shown, path.with_suffix(".examples.npz"), partial(examples, *form))


def link(shared: Path, path: Path, make: partial[dict[str, Any]]) -> None:
    """Writes the arrays of `make` to `path`: as another name of `shared`, which is made first."""
    if not shared.exists():
        atomic_files.write_arrays(shared, make())
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    try:
        os.link(shared, path)
    except OSError:  # a disk without such names
        shutil.copy(shared, path)


def predictions(spec: Spec) -> dict[str, Any]:
    """Returns the predictions of a run, one per test image of the dataset, and on validation."""
    facts = facts_of(spec)
    count = facts.sizes["test"]
    right, labels, answers = answers_of(spec, facts, "test")
    shift = TASKS[spec["task"]].shift if spec["task"] in TASKS else False
    found = {
        "id": [f"images/of/the/test/split/{number:06}.png" for number in range(count)],
        "label": labels,
        "prediction": answers,
        "confidence": np.full(count, 0.5, np.float32),
        "log_probability": np.where(right, -0.5, -2.0).astype(np.float32),
        "group": [f"group {number % GROUPS}" if shift else "" for number in range(count)],
    }
    if "validation" in facts.sizes:
        _, labels, answers = answers_of(spec, facts, "validation")
        found |= {"validation_label": labels, "validation_prediction": answers}
    return found


def answers_of(spec: Spec, facts: Facts, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns (is it right, label, prediction) of each image of a split, arrays [N]."""
    right, classes = correct_of(spec, facts, split), len(facts.class_names)
    labels = np.arange(facts.sizes[split]) % classes
    return right, labels, np.where(right, labels, (labels + 1) % classes)


def examples(template: str, size: int, side: int, level: int) -> dict[str, Any]:
    """Returns images of noise, with and without a prompt of noise where its template has one."""
    generator = np.random.default_rng(level)
    images = generator.integers(0, 256, (EXAMPLES, side, side, 3), dtype=np.uint8)
    canvas = generator.normal(0, 0.3, (3, side, side)).astype(np.float32)
    learned = np.ones((side, side), bool)
    if template == "padding":
        learned[size:-size, size:-size] = False
    elif template.endswith("patch"):
        learned[size:] = learned[:, size:] = False
    canvas *= learned
    added = images / 255 + canvas.transpose(1, 2, 0)
    prompted = (255 * added.clip(0, 1)).round().astype(np.uint8)
    arrays = {"images": images, "prompted": prompted, "canvas": canvas}
    return arrays | {"labels": np.arange(EXAMPLES)}
