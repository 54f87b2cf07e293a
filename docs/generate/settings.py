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
HEADS = ("Setting", "Meaning", "Legal", "Default", "Source of the default")


def fragments() -> dict[str, str]:
    """Returns the tables of keys, by the name of their file."""
    slices = reading()["properties"] if "properties" in reading() else reading()
    return {
        "config_keys": keys(config_schema()),
        "config_kinds": kinds(),
        "config_data": keys(data_schema(of_run=True, of_twins=True)),
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
            each["description"],
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
            each.meaning,
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
        [f"`{name}`", f"`{key}`", each["description"], legal(each)]
        for name, measurement in MEASUREMENTS.items()
        for key, each in measurement.settings.items()
    ]
    return table(("Measurement", "Setting", "Meaning", "Legal"), rows)


def kinds() -> str:
    """Returns the kinds of scales."""
    return table(("Kind", "Data and models"), [[f"`{name}`", each] for name, each in KINDS.items()])


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
