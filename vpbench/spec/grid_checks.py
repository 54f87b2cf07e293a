"""What is refused in a configuration beside what its schema says."""

import math
from itertools import combinations

from vpbench.common.errors import UserError
from vpbench.spec import schema_check
from vpbench.spec.blocks import variants
from vpbench.spec.methods import METHODS, misfit
from vpbench.spec.schema import settings_schema
from vpbench.spec.tasks import TASKS

MOST = 100_000  # runs of a block


def refuse(complaint: str | None) -> None:
    """Raises UserError with the line of a complaint, if there is one."""
    if complaint:
        raise UserError(complaint)


def check_changes(changes, where, methods):
    """Returns None if each change is a setting of one of the methods."""
    legal = sorted(set().union(*(METHODS[method].settings for method in methods)))
    unknown = sorted(set(changes) - set(legal))
    if unknown:
        refuse(f"{where}: unknown setting {unknown[0]!r}; the settings are: {', '.join(legal)}")


def check_names(config, slice_, where):
    """Returns None if the slice names only what the configuration has."""
    declared = {
        "backbones": config["backbones"],
        "methods": list(config["recipes"]),
        "variants": ["default", *variants(config)],
        "grid": list(config["grid"]),
        "tasks": [*TASKS, *config.get("folders", {})],
    }
    for key, names in declared.items():
        for name in slice_.get(key, ["main"] if key == "grid" else []):
            if name not in names:
                own = {"methods": "recipes", "tasks": "the catalogue or folders"}.get(key, key)
                refuse(f"{where}.{key}: {name!r} is not in {own}: {', '.join(names)}")


def check_count(config, block, where):
    """Returns None if a block asks for no more runs than can be listed."""
    values = (
        *block.get("sweep", {}).values(),
        *(block.get("tasks", config["tasks"]), block.get("backbones", config["backbones"])),
        *(block["methods"], block["seeds"], block.get("variants", [None])),
    )
    count = math.prod(map(len, values))
    if count > MOST:
        refuse(f"{where}: it asks for {count:,} runs; at most {MOST:,} can be listed")


def check_settings(runs, where):
    """Returns None if every run of a block of the grid has legal settings and a method that its
    backbone can do."""
    if not runs:
        refuse(f"{where}: it asks for no run; check its tasks, backbones, modality and shift")
    # Tasks and seeds share their settings.
    for run in {(run["backbone"], run["method"], run["variant"]): run for run in runs}.values():
        schema = settings_schema(run["method"], complete=True)
        whose = f"{where}, {run['method']} on {run['backbone']} ({run['variant']})"
        refuse(schema_check.complaint(run["settings"], schema, whose))
        reason = misfit(run["method"], run["backbone"])
        refuse(reason and f"{where}: {reason}")


def check_conflicts(blocks, where):
    """Returns None if no two blocks ask for different runs with the same record."""
    for (name, runs), (other, others) in combinations(blocks.items(), 2):
        for path, run in runs.items():
            if others.get(path, run) != run:
                refuse(
                    f"{where} at grid.{other}: {run['method']}, variant {run['variant']} "
                    f"of {run['task']} has other settings in block {name}; name the variants apart"
                )
