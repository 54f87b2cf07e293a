"""The specs of one block of the grid."""

import re
from itertools import product
from typing import Any

from vpbench.spec.aliases import Block, Config, Slice, Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS, merge_settings
from vpbench.spec.settings import ENGINE, Settings, defaults
from vpbench.spec.tasks import TASKS


def variants(config: Config) -> dict[str, Settings]:
    """Returns the variants: name -> settings that differ from the recipe."""
    return config.get("variants", {})


def measurements(config: Config) -> dict[str, Any]:
    """Returns the measurements: name -> whose runs they read, and their settings."""
    return config.get("measurements", {})


def block_variants(config: Config, name: str, block: Block) -> dict[str, Settings]:
    """Returns the variants of a block of the grid: name -> settings that differ from the recipe.

    They are those it names, or every combination of its sweep, or the recipe itself, which goes by
    the name of the block if the block has settings or data of its own.
    """
    if "sweep" in block:
        keys = sorted(block["sweep"])  # names must not depend on the order in the file
        values = product(*(block["sweep"][key] for key in keys))
        combined = [dict(zip(keys, each)) for each in values]
        return {variant_name(name, changes): changes for changes in combined}
    if "variants" in block:
        return {variant: variants(config).get(variant, {}) for variant in block["variants"]}
    differs = "settings" in block or "data" in block
    return {name if differs else "default": {}}


def variant_name(name: str, values: Settings) -> str:
    """Returns the name of one combination of a sweep, e.g. padding_size_lr_0_1_size_7."""
    parts = [name, *(f"{key}_{value}" for key, value in values.items())]
    return re.sub("[^a-z0-9]+", "_", "_".join(parts).lower())


def block_specs(config: Config, name: str, block: Block) -> list[Spec]:
    """Returns the specs of one block of the grid."""
    cells = product(
        block["tasks"] if "tasks" in block else config["tasks"],
        block["backbones"] if "backbones" in block else config["backbones"],
        block["methods"],
        block_variants(config, name, block).items(),
        block["seeds"],
    )
    return [
        {
            "scale": config["scale"],
            "kind": config["kind"],
            "task": task,
            "backbone": backbone,
            "method": method,
            "variant": variant,
            "seed": seed,
            "data": data_of(config, task, config["data"]) | block.get("data", {}),
            "engine": defaults(ENGINE) | config.get("engine", {}),
            "settings": settings_of(config, method, backbone, block, changes),
        }
        | folder_of(config, task)
        | facts_of(config, task)
        for task, backbone, method, (variant, changes), seed in cells
        if modality(backbone) in METHODS[method].modalities
        and inside(block, task, backbone, method)
    ]


def data_of(config: Config, task: str, data: dict[str, Any]) -> dict[str, Any]:
    """Returns how many images of each split a task uses: `data`, and what differs for the task."""
    return data | config.get("task_data", {}).get(task, {})


def folder_of(config: Config, task: str) -> dict[str, Any]:
    """Returns what a spec says of a task that is a folder of images; of another one nothing."""
    folders = config.get("folders", {})
    return {"folder": folders[task]} if task in folders else {}


def facts_of(config: Config, task: str) -> dict[str, Any]:
    """Returns what a spec says of a dataset that a rehearsal made up; of another one nothing."""
    facts = config.get("facts", {})
    return {"facts": facts[task]} if task in facts else {}


def settings_of(
    config: Config, method: str, backbone: str, block: Block, changes: Settings
) -> Settings:
    """Returns the settings of a run: the recipe, what its backbone changes, then what the block
    changes of this method's settings, then its variant."""
    recipe = merge_settings(config["recipes"], method, backbone)
    known = METHODS[method].settings
    of_block = {key: value for key, value in block.get("settings", {}).items() if key in known}
    return recipe | of_block | changes


def modality(backbone: str) -> str:
    """Returns whether `backbone` reads pictures and text or pictures only."""
    return BACKBONES[backbone].modality


def inside(slice_: Slice, task: str, backbone: str, method: str) -> bool:
    """Returns whether a run belongs to a slice; a key that the slice lacks means all."""
    names = {"tasks": task, "backbones": backbone, "methods": method}
    shift = task in TASKS and TASKS[task].shift
    facts = {"modality": modality(backbone), "shift": shift}
    return all(name in slice_.get(key, [name]) for key, name in names.items()) and all(
        fact == slice_.get(key, fact) for key, fact in facts.items()
    )
