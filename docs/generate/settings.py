"""The keys of a configuration: what is legal, the default, what it means and where it is from."""

import json
from typing import Any

from docs.generate.text import table
from vpbench.spec.config_schema import block, config_schema, reading
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.methods import METHODS
from vpbench.spec.scales import KINDS
from vpbench.spec.schema import data_schema, folder_schema
from vpbench.spec.settings import ENGINE, PROMPT, REQUIRED, Setting

TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "yes or no"}
TYPES |= {"object": "mapping", "array": "list"}
MEANINGS = {  # of keys that the schema itself does not describe
    "optimiser": "what takes the steps of the prompt",
    "train": "training images; null: all",
    "validation": "validation images; null: all",
    "test": "test images; null: all",
    "resolution": "the backbone's, or as on disk",
    "shots": "training images of each class, drawn by the seed; only in a block of the grid",
    "path": "where the folder is",
    "split_file": "JSON with lists of [path, label, class name] for train, val and test",
    "class_names": "text file with a name per line",
    "template": "text prompt, {} for the name of the class",
    "tasks": "names of tasks",
    "backbones": "names of backbones",
    "methods": "names of methods",
    "modality": "only backbones of this kind",
    "shift": "only tasks with a distribution shift, or only those without",
    "grid": "names of blocks; absent: main",
    "variants": "names of variants; default is the recipe itself",
    "seeds": "a run for each",
    "extractor": "network whose features give the distance",
    "diversity": "what measures how much images differ",
    "weights": "weight file of inception_v3 or LPIPS; null: none is needed",
    "images": "images of each task",
    "reference": "folder of photographs to measure the distance from; null: the lab's world",
    "reference_images": "images of the reference",
    "pairs": "pairs of images whose difference is averaged",
    "seed": "draws images and pairs",
    "jpeg_qualities": "qualities of the JPEGs",
}
HEADS = ("Setting", "Meaning", "Legal", "Default", "Source of the default")


def fragments() -> dict[str, str]:
    """Returns the tables of keys, by the name of their file."""
    slices = reading()["properties"] if "properties" in reading() else reading()
    return {
        "config_keys": keys(config_schema()),
        "config_kinds": kinds(),
        "config_data": keys(data_schema(of_run=True)),
        "config_folders": keys(folder_schema()),
        "config_engine": settings(ENGINE),
        "config_block": keys(block()),
        "config_slice": keys({"properties": slices}),
        "config_methods": methods(),
        "config_measurements": measurements(),
    }


def keys(schema: dict[str, Any]) -> str:
    """Returns the keys of an object, with what is legal; the required ones say so."""
    required = schema.get("required", [])
    rows = [
        [
            f"`{name}`",
            meaning(name, each),
            legal(each),
            "required" if name in required else "may be absent",
        ]
        for name, each in schema["properties"].items()
    ]
    return table(("Key", "Meaning", "Legal", "Required?"), rows)


def methods() -> str:
    """Returns the settings of every method; those of EVP and AR where they differ from VP's."""
    parts = []
    for name, method in METHODS.items():
        ours = method.settings
        title = f"({name})=\n### `{name}` ({method.display})\n\n"
        if ours.keys() == PROMPT.keys() and ours is not PROMPT:
            ours = {key: each for key, each in ours.items() if each != PROMPT[key]}
            title += "As `visual_prompt`, with these defaults:\n\n"
        parts.append(title + settings(ours))
    return "\n".join(parts)


def settings(described: dict[str, Setting]) -> str:
    """Returns settings as a table."""
    rows = [
        [
            f"`{name}`",
            each.meaning or MEANINGS.get(name, ""),
            legal(each.legal),
            "give it" if each.default is REQUIRED else f"`{shown(each.default)}`",
            each.source or "–",
        ]
        for name, each in described.items()
    ]
    return table(HEADS, rows)


def measurements() -> str:
    """Returns the settings of the measurements."""
    rows = [
        [f"`{name}`", f"`{key}`", meaning(key, each), legal(each)]
        for name, measurement in MEASUREMENTS.items()
        for key, each in measurement.settings.items()
    ]
    return table(("Measurement", "Setting", "Meaning", "Legal"), rows)


def kinds() -> str:
    """Returns the kinds of scales."""
    return table(("Kind", "Data and models"), [[f"`{name}`", each] for name, each in KINDS.items()])


def meaning(name: str, schema: dict[str, Any]) -> str:
    """Returns what a key means: as the schema says, or as described here."""
    return schema.get("description") or MEANINGS.get(name, "")


def legal(schema: dict[str, Any]) -> str:
    """Returns in words what a JSON schema allows."""
    if "const" in schema:
        return f"`{shown(schema['const'])}`"
    if "enum" in schema:
        values = [f"`{shown(value)}`" for value in schema["enum"]]
        return ", ".join(values) if len(values) <= 12 else f"one of {len(values)} names"
    types = schema.get("type", "any")
    names = [types] if isinstance(types, str) else types
    words = " or ".join(TYPES.get(each, each) for each in names if each != "null")
    return words + limits(schema) + (" or null" if "null" in names else "")


def limits(schema: dict[str, Any]) -> str:
    """Returns the limits of a number, in words."""
    parts = []
    if "exclusiveMinimum" in schema:
        parts.append(f"above {schema['exclusiveMinimum']}")
    if "minimum" in schema:
        parts.append(f"{schema['minimum']} or more")
    if "exclusiveMaximum" in schema:
        parts.append(f"below {schema['exclusiveMaximum']}")
    if "maximum" in schema:
        parts.append(f"at most {schema['maximum']}")
    return f" ({', '.join(parts)})" if parts else ""


def shown(value: object) -> str:
    """Returns a value as YAML spells it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(value)
