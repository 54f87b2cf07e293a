"""Recipes: the settings of a method for a backbone, as a configuration file gives them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vpbench.common.errors import UserError
from vpbench.common.messages import one_line
from vpbench.common.strict_yaml import read_config
from vpbench.spec import schema_check
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.config_schema import config_schema
from vpbench.spec.methods import merge_settings
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import Settings


def read_configs(configs: Sequence[str | Path]) -> tuple[Any, str]:
    """Returns (the document that YAML files make together, their names); later ones change earlier.

    They are put together as Snakemake does it with several --configfile.
    """
    merged = read_config(configs[0])
    for config in configs[1:]:
        changes = read_config(config)
        if not (isinstance(merged, dict) and isinstance(changes, dict)):
            raise UserError(f"{one_line(config)}: only mappings can be put together")
        merged = changed(merged, changes)
    return merged, ", ".join(map(str, configs))


def changed(document: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Returns a mapping with `changes`, which go into mappings within it and replace all else."""
    both = {key: document[key] for key in changes if isinstance(document.get(key), dict)}
    return document | {
        key: changed(both[key], value) if key in both and isinstance(value, dict) else value
        for key, value in changes.items()
    }


def load_recipe(
    config: str | Path | Sequence[str | Path], method: str, backbone: str, **changes: Any
) -> Settings:
    """Returns the settings of `method` on `backbone` from a YAML file, with `changes`.

    Of several files later ones change earlier, as with --configfile. Raises UserError in one line
    if a file, a name, a key or a value is not legal.
    """
    document, where = read_configs([config] if isinstance(config, str | Path) else config)
    schema_check.check(document, config_schema(), where)
    if method not in document["recipes"]:
        known = ", ".join(document["recipes"])
        raise UserError(f"{where} has no recipe for {method!r}; it has: {known}")
    if backbone not in BACKBONES:
        raise UserError(f"unknown backbone {backbone!r}; choose one of: {', '.join(BACKBONES)}")
    settings = merge_settings(document["recipes"], method, backbone) | changes
    schema_check.check(settings, settings_schema(method, complete=True), f"{method} on {backbone}")
    return settings
