"""The specs of one block of the grid."""

import re
from fractions import Fraction
from itertools import product
from typing import Any

from vpbench.common.errors import UserError
from vpbench.spec.aliases import Block, Config, Slice, Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS, given_settings, merge_settings
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
    the name of the block if the block has settings, data or a length of its own. With a length
    those it names are called after the block as well, beside the runs of full length.
    """
    if "sweep" in block:
        keys = sorted(block["sweep"])  # names must not depend on the order in the file
        values = product(*(block["sweep"][key] for key in keys))
        combined = [dict(zip(keys, each)) for each in values]
        return {variant_name(name, changes): changes for changes in combined}
    if "variants" in block:
        called = {
            each: each if "length" not in block else name if each == "default" else f"{name}_{each}"
            for each in block["variants"]
        }
        return {called[each]: variants(config).get(each, {}) for each in called}
    differs = not block.keys().isdisjoint(("settings", "data", "length"))
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
            "settings": settings_of(config, task, method, backbone, block, changes),
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
    config: Config, task: str, method: str, backbone: str, block: Block, changes: Settings
) -> Settings:
    """Returns the settings of a run: the recipe, what its backbone changes, the same of its task,
    then what the block changes of this method's settings, then its variant."""
    recipe = merge_settings(config["recipes"], method, backbone)
    recipe |= given_settings(config.get("task_recipes", {}).get(task, {}), method, backbone)
    known = METHODS[method].settings
    of_block = {key: value for key, value in block.get("settings", {}).items() if key in known}
    return recipe | of_block | changes


def at_length(run: Spec, share: float, where: str) -> Spec:
    """Returns a run with `share` of its epochs, and without looks on the way.

    Raises UserError unless it has epochs, of which that is a whole number.
    """
    method, settings = run["method"], run["settings"]
    if "epochs" not in settings:
        raise UserError(f"{where}: {method} is not trained by epochs; leave it out of methods")
    epochs = Fraction(str(share)) * settings["epochs"]
    if epochs.denominator > 1:
        raise UserError(
            f"{where}.length: {share} of the {settings['epochs']} epochs of {method} on "
            f"{run['backbone']} for {run['task']} is no whole number; choose another"
        )
    return run | {"settings": settings | {"epochs": int(epochs), "eval_epochs": []}}


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
