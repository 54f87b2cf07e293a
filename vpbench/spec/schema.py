"""The JSON schemas of specs: of a run, of a measurement, of their parts."""

from typing import Any

from vpbench.spec.backbones import BACKBONES
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.methods import METHODS
from vpbench.spec.result_files import PLAIN
from vpbench.spec.scales import KINDS
from vpbench.spec.settings import COUNT, ENGINE, legal, said
from vpbench.spec.tasks import SPLITS

Schema = dict[str, Any]

SCHEMA = 2  # version of configuration, records and prompt cards
SCALE = {"type": "string", "pattern": r"^[a-z0-9][a-z0-9_-]{0,63}\Z"}
SPEC = (
    "scale",
    "kind",
    "task",
    "backbone",
    "method",
    "variant",
    "seed",
    "data",
    "engine",
    "settings",
)

# Only a rehearsal brings facts of its own: see vpbench.spec.made_up
BRINGS: Schema = {
    "if": {"required": ["facts"]},
    "then": {"properties": {"kind": {"enum": ["rehearsal"]}}},
}


def spec_schema() -> Schema:
    """Returns the JSON schema of a run's spec: what to run, on which data, with which settings."""
    schema = closed_schema(
        {
            "scale": SCALE,  # the name of the configuration's scale
            "kind": {"enum": list(KINDS)},  # of scale
            "task": {"type": "string"},  # a name of TASKS, or a folder of images
            "backbone": {"enum": list(BACKBONES)},
            "method": {"enum": list(METHODS)},
            "variant": {"type": "string", "pattern": PLAIN},
            "seed": {"type": "integer", "minimum": 0},
            "data": data_schema(of_run=True, of_twins=True),
            "engine": engine_schema(),
            "settings": {"type": "object"},
            "folder": folder_schema(),
            "facts": facts_schema(),
        },
        list(SPEC),
    )
    complete = {method: settings_schema(method, complete=True) for method in METHODS}
    return schema | {"allOf": [*one_of("method", complete), BRINGS]}


def data_schema(complete: bool = True, of_run: bool = False, of_twins: bool = False) -> Schema:
    """Returns the JSON schema of `data`: how many images of each split, and of which size.

    None of a split means all there are; the resolution `native` leaves images that all have one
    size as they are on disk, and the backbone's device resizes them. That of a run may also have
    `shots`: so many training images of each class are used, drawn by its seed. That of a twin may
    have `test_start`, the first test image used: it leaves out those that a recipe was chosen on.
    """
    count = {"type": ["integer", "null"], "minimum": 1}
    keys: Schema = {split: said(count, f"{split} images; null: all") for split in SPLITS}
    keys["resolution"] = said({"enum": ["backbone", "native"]}, "the backbone's, or as on disk")
    if of_run:
        keys["shots"] = said(COUNT, "training images of each class, drawn by the seed of a run")
    if of_twins:
        keys["test_start"] = said(COUNT, "of a twin: the first test image used; absent: 0")
    return closed_schema(keys, list(SPLITS) if complete else False)


def engine_schema(complete: bool = True) -> Schema:
    """Returns the JSON schema of `engine`: how the numbers are computed."""
    return closed_schema(legal(ENGINE), complete)


def folder_schema() -> Schema:
    """Returns the JSON schema of a folder of images: where it is and how it is read."""
    meanings = {
        "path": "where the folder is",
        "split_file": "JSON with lists of [path, label, class name] for train, val and test",
        "class_names": "file with a line `folder<TAB>name` per class, JSON, or a name per line",
        "template": "text prompt, {} for the name of the class",
    }
    text = {"type": "string"}
    keys = {key: said(text, words) for key, words in meanings.items()}
    keys["class_order"] = said(
        {"enum": ["text", "counting"]}, "order of the classes: 10 before 2 (default), or after"
    )
    keys["fingerprint"] = said(
        {"type": "string"}, "SHA-256 of the names and sizes in it; absent: taken when it is read"
    )
    return closed_schema(keys, ["path"])


def facts_schema() -> Schema:
    """Returns the JSON schema of the facts that a rehearsal brings of a dataset it has made up."""
    keys = {
        "classes": said(COUNT, "classes that have an image"),
        "sizes": said(
            closed_schema(dict.fromkeys(SPLITS, COUNT), ["train", "test"]), "images of each split"
        ),
        "checksums": said(
            {"type": "object", "additionalProperties": {"type": "string"}},
            "file -> the checksum that it must have",
        ),
    }
    return closed_schema(keys, True)


def measurement_schema() -> Schema:
    """Returns the JSON schema of what one measurement of a task is asked for."""
    schema = closed_schema(
        {
            "scale": SCALE,  # the name of the configuration's scale
            "kind": {"enum": list(KINDS)},  # of scale
            "measurement": {"enum": list(MEASUREMENTS)},
            "task": {"type": "string"},
            "data": data_schema(of_twins=True),
            "settings": {"type": "object"},
            "folder": folder_schema(),
            "facts": facts_schema(),
            "reference_fingerprint": {"type": "string"},  # of the photographs, as it is asked for
            "runs": {"type": "array", "items": spec_schema()},  # whose prompts are read
        },
        ["scale", "kind", "measurement", "task", "data", "settings", "runs"],
    )
    complete = {
        name: closed_schema(measurement.settings, True)
        for name, measurement in MEASUREMENTS.items()
    }
    return schema | {"allOf": [*one_of("measurement", complete), BRINGS]}


def one_of(key: str, settings: dict[str, Schema]) -> list[Schema]:
    """Returns the conditions that `settings` obey the schema that the value of `key` has there."""
    return [
        {
            "if": {"properties": {key: {"const": name}}},
            "then": {"properties": {"settings": schema}},
        }
        for name, schema in settings.items()
    ]


def settings_schema(method: str, complete: bool = False) -> Schema:
    """Returns the JSON schema of the settings of `method`; `complete`: all must be there."""
    return closed_schema(legal(METHODS[method].settings), complete)


def closed_schema(properties: Schema, required: bool | list[str]) -> Schema:
    """Returns the JSON schema of an object without other keys than those of `properties`.

    `required` lists the keys that must be there; True: all of them, False: none.
    """
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties) if required is True else required or [],
    }
