"""What is refused in a configuration beside what its schema says."""

import math
from collections.abc import Collection, Iterable, Mapping
from itertools import combinations
from typing import Any

from vpbench.common.errors import UserError
from vpbench.common.messages import instead, one_line
from vpbench.spec import schema_check
from vpbench.spec.aliases import Block, Config, Slice, Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import variants
from vpbench.spec.methods import METHODS, misfit
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import Settings
from vpbench.spec.tasks import TASKS, is_twin

MOST = 100_000  # runs of a block
SETTINGS = "`vpbench list METHOD` prints those of a method"
NAMES = "name one that is there, or add it"


def refuse(complaint: str | None) -> None:
    """Raises UserError with the line of a complaint, if there is one."""
    if complaint:
        raise UserError(complaint)


def check_changes(changes: Settings, where: str, methods: Iterable[str]) -> None:
    """Raises UserError unless each change is a setting of one of the methods."""
    legal = sorted(set().union(*(METHODS[method].settings for method in methods)))
    unknown = sorted(set(changes) - set(legal))
    if unknown:
        refuse(f"{where}: unknown setting {unknown[0]!r}; {instead(unknown[0], legal, SETTINGS)}")


def check_names(config: Config, slice_: Slice, where: str) -> None:
    """Raises UserError unless the slice names only what the configuration has."""
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
                place = {"methods": "recipes", "tasks": "the datasets or folders"}.get(key, key)
                at = f"{where}.{key}" if " at " in where else f"{where} at {key}"
                known = name in BACKBONES or name in METHODS
                refuse(
                    f"{at}: {name!r} is not in {place}; "
                    + ("add it there" if known else instead(name, names, NAMES))
                )


def check_kind(config: Config, tasks: Iterable[str], where: str) -> None:
    """Raises UserError if runs on `tasks` would be shown as what they are not.

    Twins, folders of one's own and made-up data have kinds of their own: tables and figures call
    every dataset by the kind.
    """
    kind = config["kind"]
    if "facts" in config and kind != "rehearsal":
        refuse(f"{where} at facts: only the kind rehearsal brings facts of its own; remove them")
    for name in dict.fromkeys(tasks):
        if kind in ("real", "paper") and is_twin(name):
            refuse(f"{where} at kind: {kind}, but {name} is painted; say twins")
        if kind == "twins" and not is_twin(name):
            refuse(
                f"{where} at kind: twins, but {name} is no twin; say real, and give twins a "
                "configuration of their own"
            )
        if kind == "paper" and name in config.get("folders", {}):
            refuse(f"{where} at kind: paper, but {name} is a folder of your own; say real")
    for name in config["backbones"]:
        if kind == "paper" and BACKBONES[name].hub is None:
            refuse(f"{where} at kind: paper, but {name} is no model of the paper's; say real")


def check_prompts(runs: list[Spec], where: str) -> None:
    """Raises UserError unless every run keeps a prompt, which a measurement reads."""
    for run in runs:
        if not METHODS[run["method"]].keeps_prompt:
            able = ", ".join(name for name, method in METHODS.items() if method.keeps_prompt)
            refuse(f"{where}: {run['method']} keeps no prompt to read; choose of: {able}")


def check_count(config: Config, block: Block, where: str) -> None:
    """Raises UserError if a block asks for more runs than can be listed."""
    values = (
        *block.get("sweep", {}).values(),
        *(block.get("tasks", config["tasks"]), block.get("backbones", config["backbones"])),
        *(block["methods"], block["seeds"], block.get("variants", [None])),
    )
    count = math.prod(map(len, values))
    if count > MOST:
        refuse(f"{where}: it asks for {count:,} runs; at most {MOST:,} can be listed")


def check_task_recipes(config: Config, where: str) -> None:
    """Raises UserError unless the recipes of single tasks are of tasks and methods there are."""
    for task, recipes in config.get("task_recipes", {}).items():
        named = {"tasks": [task], "methods": list(recipes), "grid": []}
        check_names(config, named, f"{where} at task_recipes.{task}")


def check_test_start(task: str, data: Mapping[str, Any], where: str) -> None:
    """Raises UserError if the first test images of a task are to be left out that is no twin."""
    if "test_start" in data and not is_twin(task):
        refuse(
            f"{where}: test_start is of painted twins, and {one_line(task)} is none: all of its "
            "test images count; leave it out"
        )


def check_settings(runs: list[Spec], where: str, own: Collection[str] = ()) -> None:
    """Raises UserError unless every run of a block has legal settings and a method that fits.

    Tasks and seeds share their settings, but for the tasks that have `own` recipes.
    """
    if not runs:
        refuse(f"{where}: it asks for no run; check its tasks, backbones, modality and shift")
    keys = "backbone", "method", "variant"
    alike = {
        (run["task"] if run["task"] in own else "", *(run[key] for key in keys)): run
        for run in runs
    }
    for (task, *_), run in alike.items():
        schema = settings_schema(run["method"], complete=True)
        of_task = f" for {task}" if task else ""
        whose = f"{where}, {run['method']} on {run['backbone']}{of_task} ({run['variant']})"
        schema_check.check(run["settings"], schema, whose)
        reason = misfit(run["method"], run["backbone"])
        refuse(reason and f"{where}: {reason}")


def check_conflicts(blocks: dict[str, dict[str, Spec]], where: str) -> None:
    """Raises UserError if two blocks ask for different runs with the same record."""
    for (name, runs), (other, others) in combinations(blocks.items(), 2):
        for path, run in runs.items():
            if others.get(path, run) != run:
                refuse(
                    f"{where} at grid.{other}: {run['method']}, variant {run['variant']} "
                    f"of {run['task']} has other settings in block {name}; name the variants apart"
                )
