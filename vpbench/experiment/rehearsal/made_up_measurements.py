"""Measurement records that nobody has measured, as large as the paper's."""

import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.common import atomic_files
from vpbench.common.hashing import canonical
from vpbench.experiment.rehearsal.made_up_records import facts_of, task_facts_of
from vpbench.records.paths import manifest, record_path
from vpbench.spec.aliases import Spec
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import Grid, measurement_files
from vpbench.spec.schema import SCHEMA

Rows = list[dict[str, Any]]


def write_all(wanted: Grid, results: Path) -> int:
    """Returns how many records of measurements are under `results` once all of a grid are there."""
    count, folder = 0, results / "measurements"
    for name in measurements(wanted.config):
        for file, specs in measurement_files(wanted, name).items():
            for spec in specs:
                write(spec, folder)
                count += 1
            if file.endswith(".manifest.json"):
                path = results / Path(file).relative_to("results")
                atomic_files.write(path, manifest(specs, folder))
    return count


def write(spec: Spec, folder: Path) -> None:
    """Writes the record of a measurement, and its arrays."""
    rows, names = ROWS[spec["measurement"]](spec)
    path, facts = record_path(spec, folder), facts_of(spec)
    images = min(spec["settings"].get("images", 1), facts.sizes["test"])
    generator = np.random.default_rng(zlib.crc32(canonical(spec).encode()))
    arrays = {name: generator.random((len(rows), images)) < 0.5 for name in names}
    for name, key in names.items():
        for row, correct in zip(rows, arrays[name], strict=True):
            row |= {key: 100 * float(correct.mean()), "images": images}
    if arrays:
        atomic_files.write_arrays(path.with_suffix(".arrays.npz"), arrays)
    task = task_facts_of(spec) | {
        "classes": len(facts.class_names),
        "class_names": list(facts.class_names),
        "sizes": facts.sizes,
        "chance": 100 / len(facts.class_names),
        "deviations": [],
    }
    made = {"schema": SCHEMA, "spec": spec, "task": task, "rows": rows, "device": "cpu"}
    took = {"seconds": 60.0, "peak_memory_mb": 1000.0}
    atomic_files.write(path, made | {"versions": {"vpbench": "made up"}, "measured": took})


def run_of(spec: Spec) -> dict[str, Any]:
    """Returns what a row says of a run."""
    return {key: spec[key] for key in ("backbone", "variant", "seed")}


def properties(spec: Spec) -> tuple[Rows, dict[str, str]]:
    """Returns the row of dataset_properties, and that it has no arrays."""
    settings = spec["settings"]
    extractor, diversity = settings["extractor"], settings["diversity"]
    name = f"feature_diversity_{extractor}" if diversity == "features" else diversity
    draw = np.random.default_rng(zlib.crc32(spec["task"].encode())).random(2)
    row = {
        f"frechet_distance_{extractor}": 50 + 200 * float(draw[0]),
        f"frechet_bias_{extractor}": 1.0,
        f"frechet_bias_spread_{extractor}": 0.1,
        "rank": 2048,
        "dimension": 2048,
        "reference": "images of train",
        "reference_images": settings["reference_images"],
        name: 0.4 + 0.4 * float(draw[1]),
        "diversity_error": 0.01,
        "diversity_low": 0.4,
        "diversity_high": 0.8,
        "pairs": settings["pairs"],
        "images": settings["images"],
        "seed": settings["seed"],
    }
    return [row], {}


def deployed(spec: Spec) -> tuple[Rows, dict[str, str]]:
    """Returns the rows of deployability, and its array with the key of its mean."""
    conditions: list[tuple[str, int | None]] = [
        (name, None) for name in ("unprompted", "unbounded", "clamped", "8_bit")
    ]
    for quality in spec["settings"]["jpeg_qualities"]:
        conditions += [(f"jpeg_{quality}", quality), (f"unprompted_jpeg_{quality}", quality)]
    rows = [
        run_of(run) | {"condition": condition, "quality": quality}
        for run in spec["runs"]
        for condition, quality in conditions
    ]
    return rows, {"correct": "accuracy"}


def moved(spec: Spec) -> tuple[Rows, dict[str, str]]:
    """Returns the rows of transfer, and its arrays with the keys of their means."""
    rows = [
        run_of(source) | {"target_task": spec["task"], "target_backbone": target["backbone"]}
        for source in spec["runs"]
        for target in spec["runs"]
        if all(source[key] == target[key] for key in ("variant", "seed"))
    ]
    return rows, {"correct": "accuracy", "unprompted": "unprompted"}


ROWS = {"dataset_properties": properties, "deployability": deployed, "transfer": moved}
