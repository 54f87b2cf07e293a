"""The configuration of a rehearsal: a block of the grid per shape, cut to two steps."""

import importlib
from pathlib import Path
from typing import Any

from vpbench.common.paths import placed
from vpbench.experiment.rehearsal.shapes import BATCH, IMAGES, Shape, cut
from vpbench.spec.aliases import Config, Spec
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import Grid, measurement_specs
from vpbench.spec.made_up import KIND, Brought
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.tasks import TASKS, is_twin

SCALE = "rehearsal"
MEASURED = "measured"  # the block of the runs that measurements read
KEPT = (
    *("schema", "granularity", "max_runtime", "engine", "folders", "backbones"),
    *("recipes", "task_recipes"),
)
FEW = {"images": 2, "reference_images": 4, "pairs": 2}  # what a measurement is cut to


def of_shapes(
    wanted: Grid, shapes: list[Shape], facts: dict[str, Brought], photographs: Path
) -> Config:
    """Returns the configuration that rehearses `shapes` of a grid, on datasets with these facts.

    Each block is named after the number of its shape. The paper's own prompts, one of each backbone
    on one task, are a block of their own, which the measurements read; `photographs` stand in for
    those that they compare with.
    """
    config = wanted.config
    tasks = list(dict.fromkeys(shape.chosen["task"] for shape in shapes))
    blocks = {block_name(number): block(shape.chosen) for number, shape in enumerate(shapes)}
    task, measured = measured_runs(wanted, tasks)
    if measured:
        blocks[MEASURED] = {
            "tasks": [task],
            "backbones": list(dict.fromkeys(spec["backbone"] for spec in measured)),
            "methods": list(dict.fromkeys(spec["method"] for spec in measured)),
            "seeds": [0],
            "settings": cut_of_all(measured),
        }
    made = {key: config[key] for key in KEPT if key in config}
    made |= {"scale": SCALE, "kind": KIND, "tasks": tasks, "grid": blocks, "analyses": {}}
    made |= {"data": data_of(config["data"]), "facts": facts}
    few = {name: data_of(config["data"] | each) for name, each in task_data(config).items()}
    twins = {name: images_of(name) for name in tasks if name not in facts}
    made["task_data"] = few | {name: few.get(name, {}) | twins[name] for name in twins}
    if measured:
        made["measurements"] = {
            name: {"runs": {"grid": [MEASURED]}, "data": data_of(each["data"])}
            | {"settings": measured_settings(each["settings"], photographs)}
            for name, each in measurements(config).items()
        }
    return made


def measured_settings(settings: dict[str, Any], photographs: Path) -> dict[str, Any]:
    """Returns the settings of a measurement, with few images; its networks are the real ones."""
    few = {key: FEW.get(key, value) for key, value in settings.items()}
    if settings.get("reference") is not None:
        few["reference"] = str(photographs)
    if settings.get("weights") is not None:
        few["weights"] = str(placed(settings["weights"]).absolute())
    return few


def images_of(task: str) -> dict[str, int]:
    """Returns how many images a task that is not made up has: of a twin one of each class."""
    if not is_twin(task):
        return dict(IMAGES)
    classes = len(importlib.import_module(TASKS[task].module).CLASS_NAMES)
    return {split: max(count, classes) for split, count in IMAGES.items()}


def block_name(number: int) -> str:
    """Returns the name of the block of a shape."""
    return f"shape_{number:03}"


def block(spec: Spec) -> dict[str, Any]:
    """Returns the block of the grid whose only run is `spec`, cut to two steps."""
    shots = spec["data"].get("shots")
    made = {
        "tasks": [spec["task"]],
        "backbones": [spec["backbone"]],
        "methods": [spec["method"]],
        "seeds": [spec["seed"]],
        "settings": cut(spec["settings"]),
    }
    return made | ({} if shots is None else {"data": {"shots": shots}})


def task_data(config: Config) -> dict[str, Any]:
    """Returns task -> what differs in its data."""
    found: dict[str, Any] = config.get("task_data", {})
    return found


def data_of(data: dict[str, Any]) -> dict[str, Any]:
    """Returns how many images a rehearsal has where a configuration asks for `data`: few, or all
    of what it has made up."""
    return {
        key: min(value, IMAGES[key]) if key in IMAGES and value is not None else value
        for key, value in data.items()
    }


def measured_runs(wanted: Grid, tasks: list[str]) -> tuple[str | None, list[Spec]]:
    """Returns (task, runs): the recipes' prompts that measurements read, on one of `tasks`."""
    found: list[Spec] = []
    for name in measurements(wanted.config):
        if MEASUREMENTS[name].reads_prompts:
            for spec in measurement_specs(wanted, name):
                found += [run for run in spec["runs"] if run["variant"] == "default"]
    plain = [run for run in found if "shots" not in run["data"]]
    for task in tasks:
        runs = [run for run in plain if run["task"] == task]
        if runs:
            return task, runs
    return None, []


def cut_of_all(specs: list[Spec]) -> dict[str, Any]:
    """Returns what a block changes in the recipes of `specs`, so that each takes two steps."""
    settings = specs[0]["settings"]
    short: dict[str, Any] = {"epochs": 1, "batch_size": BATCH, "eval_epochs": 1}
    short |= {"warm_up_steps": None if settings.get("warm_up_steps") is None else 1}
    return {key: value for key, value in short.items() if key in settings}
