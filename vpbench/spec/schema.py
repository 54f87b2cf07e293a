"""The legal names of the suite and the facts that go with them; imports nothing heavy.

The Snakefile imports this module of vpbench and `grid`, and no other. To add a dataset, a backbone
or a method, write its file and add its one line here.
"""

from vpbench.spec.backbones import BACKBONES
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.methods import METHODS, MODALITIES
from vpbench.spec.scales import SCALES
from vpbench.spec.settings import _COUNT, PRECISIONS, SETTINGS
from vpbench.spec.tasks import SPLITS

SCHEMA = 1  # version of configuration, records and prompt cards


PLAIN = r"^[a-z0-9_]+\Z"  # of names that become paths; $ would let a line break follow


def spec_schema():
    """Returns the JSON schema of a run's spec: what to run, on which data, with which settings."""
    schema = closed_schema(
        {
            "scale": {"enum": list(SCALES)},
            "task": {"type": "string"},  # a name of TASKS, or a folder of images
            "backbone": {"enum": list(BACKBONES)},
            "method": {"enum": list(METHODS)},
            "variant": {"type": "string", "pattern": PLAIN},
            "seed": {"type": "integer", "minimum": 0},
            "data": data_schema(of_run=True),
            "engine": engine_schema(),
            "settings": {"type": "object"},
            "folder": folder_schema(),
        },
        ["scale", "task", "backbone", "method", "variant", "seed", "data", "engine", "settings"],
    )
    own = {method: settings_schema(method, complete=True) for method in METHODS}
    return schema | {"allOf": one_of("method", own)}


def data_schema(complete=True, of_run=False):
    """Returns the JSON schema of `data`: how many images of each split, and of which size.

    None of a split means all there are; the resolution `native` leaves images that all have one
    size as they are on disk, and the backbone's device resizes them. That of a run may also have
    `shots`: so many training images of each class are used, drawn by its seed.
    """
    counts = dict.fromkeys(SPLITS, {"type": ["integer", "null"], "minimum": 1})
    keys = counts | {"resolution": {"enum": ["backbone", "native"]}}
    if of_run:
        keys["shots"] = _COUNT
    return closed_schema(keys, list(SPLITS) if complete else False)


def engine_schema():
    """Returns the JSON schema of `engine`: how the numbers are computed."""
    return closed_schema(
        {
            "precision": {"enum": list(PRECISIONS)},  # of forward and backward passes
            "compile": {"type": "boolean"},  # torch.compile
            # Images per pass; the gradients of a batch are accumulated. null: the whole batch.
            "micro_batch": {"type": ["integer", "null"], "minimum": 1},
        },
        True,
    )


def folder_schema():
    """Returns the JSON schema of a folder of images: where it is and how it is read."""
    text = {"type": "string"}
    return closed_schema(
        {"path": text, "split_file": text, "class_names": text, "template": text}, ["path"]
    )


def measurement_schema():
    """Returns the JSON schema of what one measurement of a task is asked for."""
    schema = closed_schema(
        {
            "scale": {"enum": list(SCALES)},
            "measurement": {"enum": list(MEASUREMENTS)},
            "task": {"type": "string"},
            "data": data_schema(),
            "settings": {"type": "object"},
            "folder": folder_schema(),
            "runs": {"type": "array", "items": spec_schema()},  # whose prompts are read
        },
        ["scale", "measurement", "task", "data", "settings", "runs"],
    )
    own = {
        name: closed_schema(measurement.settings, True)
        for name, measurement in MEASUREMENTS.items()
    }
    return schema | {"allOf": one_of("measurement", own)}


def one_of(key, settings):
    """Returns the conditions that `settings` obey the schema that the value of `key` has there."""
    return [
        {
            "if": {"properties": {key: {"const": name}}},
            "then": {"properties": {"settings": schema}},
        }
        for name, schema in settings.items()
    ]


def settings_schema(method, complete=False):
    """Returns the JSON schema of the settings of `method`; `complete`: all must be there."""
    return closed_schema(SETTINGS[method], complete)


def closed_schema(properties, required):
    """Returns the JSON schema of an object without other keys than those of `properties`.

    `required` lists the keys that must be there; True: all of them, False: none.
    """
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "required": list(properties) if required is True else required or [],
    }


def config_schema():
    """Returns the JSON schema of a configuration file."""
    names = {"type": "array", "minItems": 1, "uniqueItems": True}
    plain = {"type": "string", "pattern": PLAIN}
    tasks = names | {"items": plain}  # of TASKS or of `folders`
    backbones = names | {"items": {"enum": list(BACKBONES)}}
    slice_ = {  # a key that is absent means all; of tasks: those of the configuration
        "tasks": tasks,
        "backbones": backbones,
        "methods": names | {"items": {"enum": list(METHODS)}},
        "modality": {"enum": list(MODALITIES)},
        "shift": {"type": "boolean"},
    }
    block = slice_ | {
        "variants": names | {"items": plain},
        "seeds": names | {"items": {"type": "integer", "minimum": 0}},
        "settings": {"type": "object"},  # what the block changes in the recipes
        "data": data_schema(complete=False, of_run=True),  # ... and in the data
        "sweep": {  # setting -> values; each combination is a variant
            "type": "object",
            "minProperties": 1,
            "additionalProperties": names,
        },
    }
    reading = slice_ | {"grid": names | {"items": plain}}  # names of blocks; absent: main
    return closed_schema(
        {
            "schema": {"const": SCHEMA},
            "scale": {"enum": list(SCALES)},
            "granularity": {"enum": ["per_task", "per_run"]},
            "tasks_per_job": {"type": "integer", "minimum": 1},  # of per_task; absent: 1
            "data_dir": {"type": "string"},  # of this machine; absent: VPBENCH_DATA, or data/
            "weights_dir": {"type": "string"},  # absent: VPBENCH_WEIGHTS, or weights/
            "data": data_schema(),
            "task_data": {  # task -> what differs in `data`
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": data_schema(complete=False),
            },
            "engine": engine_schema(),
            "folders": {  # task -> the folder of images that it is
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": folder_schema(),
            },
            "tasks": tasks,
            "backbones": backbones,
            "recipes": closed_schema(
                {
                    method: closed_schema(
                        dict.fromkeys(["every_backbone", *BACKBONES], settings_schema(method)),
                        ["every_backbone"],
                    )
                    for method in METHODS
                },
                False,
            ),
            "variants": {
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": {"type": "object"},
            },
            "grid": {
                "type": "object",
                "minProperties": 1,
                "propertyNames": plain,
                "additionalProperties": closed_schema(block, ["methods", "seeds"]),
            },
            "measurements": closed_schema(
                {
                    name: closed_schema(
                        {
                            "runs": closed_schema(reading, False),
                            "data": data_schema(),
                            "settings": closed_schema(measurement.settings, True),
                        },
                        True,
                    )
                    for name, measurement in MEASUREMENTS.items()
                },
                False,
            ),
            "analyses": {
                "type": "object",
                "propertyNames": plain,
                "additionalProperties": closed_schema(reading, False),
            },
            "extensions": names | {"items": plain},  # those that `snakemake methods` makes
        },
        [
            *("schema", "scale", "granularity", "data", "engine", "tasks", "backbones", "recipes"),
            *("grid", "analyses"),
        ],
    )
