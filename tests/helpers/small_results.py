"""A small results folder that runs made, and damages to it."""

import json

import numpy as np
import torch

from tests.helpers.checkout import read_config
from tests.helpers.tiny import DATA
from vpbench.common import atomic_files
from vpbench.experiment import measure, run
from vpbench.records import paths as paths_module
from vpbench.spec.grid import expand
from vpbench.spec.products import within
from vpbench.verify import verification

UNIT = "eurosat_twin/vision_language.main.manifest.json"
CELL = "eurosat_twin/clip_micro/{}/default/seed0"
PROMPT, TEXT, PROBE = map(CELL.format, ("visual_prompt", "text_prompt", "linear_probe"))
SIDES = ".predictions.npz"
JPEG = "measurements/smoke/deployability/eurosat_twin"


def configuration(**changes):
    """Returns the smoke configuration, with one task and backbone, and no tables."""
    config = read_config("smoke")
    measurement = config["measurements"]["deployability"] | {"data": DATA}
    measurement["settings"] = measurement["settings"] | {"images": 12}
    return (
        config
        | {
            "data": DATA,
            "tasks": ["eurosat_twin"],
            "backbones": ["clip_micro"],
            "grid": {"main": config["grid"]["main"]},
            "measurements": {"deployability": measurement},
            "analyses": {},
        }
        | changes
    )


WANTED = expand(configuration(), "given.yaml")
TABLE = {"table1": {"modality": "vision_language", "shift": False}}


def make_results(results):
    """Returns `results` once it has the runs and the measurement of WANTED, and no tables."""
    folders = [results / "runs", results / "measurements"]
    for file, specs in verification.jobs_of(WANTED).items():
        measured = "measurements" in file
        paths = (
            measure.measure_all(specs, *folders, torch.device("cpu"))
            if measured
            else run.run_all(specs, folders[0])
        )
        assert len(list(paths)) == len(specs)
        manifest = paths_module.manifest(specs, folders[measured])
        atomic_files.write(within(file, results), manifest)
    return results


def found(results, wanted=WANTED, **options):
    """Returns the lines of what is wrong, without the name of the folder."""
    report = verification.verify(results, wanted, "given.yaml", **options)
    assert all("\n" not in problem.line for problem in report.problems)
    return [problem.line.replace(f"{results}/", "") for problem in report.problems]


def alone(results, **options):
    """Returns the line of the only thing that is wrong."""
    (line,) = found(results, **options)
    return line


def run_file(results, cell, suffix=".json"):
    """Returns the path of a file of a run."""
    return results / "runs/smoke" / (cell + suffix)


def edit(path, change):
    """Returns None once `change` has been made in a JSON file."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_arrays(path, **changes):
    """Returns None once `changes` (name -> function of the array) have been made in a npz file."""
    with np.load(path) as file:
        arrays = dict(file)
    for name, change in changes.items():
        arrays[name] = change(arrays[name].copy())
    atomic_files.write_arrays(path, arrays)


def put(*keys):
    """Returns a change that puts the last of `keys` at the place that the others name."""
    *path, last, value = keys

    def change(document):
        for key in path:
            document = document[key]
        document[last] = value(document[last]) if callable(value) else value

    return change


def at(place, value):
    """Returns a change of the element of an array at `place`."""

    def change(array):
        array[place] = value(array[place]) if callable(value) else value
        return array

    return change
