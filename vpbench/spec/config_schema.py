"""The JSON schema of a configuration file; each key says what it means."""

from vpbench.common.paths import DEVICE
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.job_limits import MAX_RUNTIME
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.methods import METHODS
from vpbench.spec.modalities import MODALITIES
from vpbench.spec.scales import KINDS
from vpbench.spec.schema import (
    PLAIN,
    SCALE,
    SCHEMA,
    Schema,
    closed_schema,
    data_schema,
    engine_schema,
    facts_schema,
    folder_schema,
    settings_schema,
)
from vpbench.spec.settings import said

REQUIRED = (
    *("schema", "scale", "kind", "granularity", "data", "tasks", "backbones", "recipes"),
    *("grid", "analyses"),
)
_NAMES = {"type": "array", "minItems": 1, "uniqueItems": True}
_PLAIN = {"type": "string", "pattern": PLAIN}
_DEVICE = {"type": "string", "pattern": DEVICE}


def config_schema() -> Schema:
    """Returns the JSON schema of a configuration."""
    return closed_schema(about_machine() | about_data() | about_runs(), list(REQUIRED))


def mapping(values: Schema) -> Schema:
    """Returns the JSON schema of plain names with `values`."""
    return {"type": "object", "propertyNames": _PLAIN, "additionalProperties": values}


def about_machine() -> Schema:
    """Returns the keys that say which scale it is and how jobs are cut."""
    return {
        "schema": said({"const": SCHEMA}, "version of the configuration's form"),
        "scale": said(SCALE, "a name of its own, part of the path of every record"),
        "kind": said({"enum": list(KINDS)}, "what the data and models are"),
        "granularity": said(
            {"enum": ["per_task", "per_run"]}, "what a job does: all runs of a task, or one run"
        ),
        "tasks_per_job": said(
            {"type": "integer", "minimum": 1}, "tasks that a per_task job does; absent: 1"
        ),
        "max_runtime": said(
            {"type": "integer", "minimum": 1},
            "minutes of a job on a cluster at most; one that needs more goes on from its "
            f"checkpoint when it is started again; absent: {MAX_RUNTIME}",
        ),
        "data_dir": said({"type": "string"}, "datasets; absent: VPBENCH_DATA, or data/"),
        "weights_dir": said({"type": "string"}, "weight files; absent: VPBENCH_WEIGHTS, weights/"),
        "device": said(_DEVICE, "to compute on; absent: VPBENCH_DEVICE, or auto"),
        "engine": said(engine_schema(complete=False), "how numbers are computed"),
    }


def about_data() -> Schema:
    """Returns the keys that say on which images runs are."""
    return {
        "data": said(
            data_schema(of_twins=True), "images of each split (null: all), and their resolution"
        ),
        "task_data": said(
            mapping(data_schema(complete=False, of_twins=True)), "task -> what differs in `data`"
        ),
        "facts": said(mapping(facts_schema()), "task -> what a rehearsal has made of it"),
        "folders": said(mapping(folder_schema()), "task -> the folder of images that it is"),
        "tasks": said(_NAMES | {"items": _PLAIN}, "datasets, twins, or names of `folders`"),
        "backbones": said(_NAMES | {"items": {"enum": list(BACKBONES)}}, "frozen models"),
    }


def about_runs() -> Schema:
    """Returns the keys that say which runs, measurements and analyses there are."""
    recipes = {
        method: closed_schema(
            dict.fromkeys(["every_backbone", *BACKBONES], settings_schema(method)), False
        )
        for method in METHODS
    }
    measurements = {
        name: closed_schema(
            {
                "runs": closed_schema(reading(), False),
                "data": data_schema(of_twins=True),
                "settings": closed_schema(measurement.settings, True),
                "reference_fingerprint": said(
                    {"type": "string"},
                    "that of the photographs of `reference`, to make tables of records that are "
                    "there without them; absent: taken when they are asked for",
                ),
            },
            ["runs", "data", "settings"],
        )
        for name, measurement in MEASUREMENTS.items()
    }
    return {
        "recipes": said(
            closed_schema(recipes, False),
            "method -> settings that have no default or differ from it, for every backbone, then "
            "what single backbones change",
        ),
        "task_recipes": said(
            mapping(closed_schema(recipes, False)), "task -> what it changes in `recipes`"
        ),
        "variants": said(mapping({"type": "object"}), "name -> settings that differ"),
        "grid": said(mapping(block()) | {"minProperties": 1}, "blocks of runs"),
        "one_commit": said(
            {"type": "boolean"},
            "do analyses refuse records that are not all of one commit of this repository, without "
            "changes to it? absent: no",
        ),
        "measurements": said(closed_schema(measurements, False), "what is measured beside runs"),
        "analyses": said(
            closed_schema(dict.fromkeys(ANALYSES, closed_schema(reading(), False)), False),
            "table or figure -> the slice of the grid that it reads",
        ),
        "extensions": said(_NAMES | {"items": _PLAIN}, "analyses that `snakemake methods` makes"),
    }


def slice_() -> Schema:
    """Returns the keys of a slice of the runs; a key that is absent means all."""
    return {
        "tasks": said(_NAMES | {"items": _PLAIN}, "names of tasks"),
        "backbones": said(_NAMES | {"items": {"enum": list(BACKBONES)}}, "names of backbones"),
        "methods": said(_NAMES | {"items": {"enum": list(METHODS)}}, "names of methods"),
        "modality": said({"enum": list(MODALITIES)}, "only backbones of this kind"),
        "shift": said({"type": "boolean"}, "only tasks with a shift, or only those without"),
    }


def reading() -> Schema:
    """Returns the keys of a slice that is read: also the blocks; absent: main."""
    return slice_() | {"grid": said(_NAMES | {"items": _PLAIN}, "names of blocks; absent: main")}


def block() -> Schema:
    """Returns the JSON schema of a block of the grid."""
    keys = slice_() | {
        "variants": said(
            _NAMES | {"items": _PLAIN}, "names of variants; default is the recipe itself"
        ),
        "seeds": said(_NAMES | {"items": {"type": "integer", "minimum": 0}}, "a run for each"),
        "settings": said({"type": "object"}, "what the block changes in the recipes"),
        "data": said(
            data_schema(complete=False, of_run=True, of_twins=True), "what it changes in the data"
        ),
        "length": said(
            {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
            "share of the epochs, without looks on the way: the run of full length is compared "
            "with it; variants go by the name of the block",
        ),
        "sweep": said(
            {"type": "object", "minProperties": 1, "additionalProperties": _NAMES},
            "setting -> values; each combination is a variant",
        ),
    }
    return closed_schema(keys, ["methods", "seeds"])
