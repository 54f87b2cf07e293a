"""What is in a record or a manifest, and whether a file has it."""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vpbench.common.errors import RecordError
from vpbench.common.messages import brief, one_line
from vpbench.records.paths import record_path
from vpbench.spec.methods import SELECTIONS
from vpbench.spec.parts import parts_of
from vpbench.spec.scales import KINDS as SCALE_KINDS
from vpbench.spec.schema import PLAIN, SCALE

# The shape of a record: a dict says which keys an object must have, a list what all its items are
# like, and a word the kind of a value.
KINDS: dict[str, Any] = {
    "a text": str,
    "a whole number": int,
    "a number": int | float,
    "true or false": bool,
    "a list": list,
    "an object": dict,
    "null": type(None),
}
SPEC = {
    **dict.fromkeys(("scale", "kind", "task", "backbone", "method", "variant"), "a text"),
    "seed": "a whole number",
    **dict.fromkeys(("data", "engine", "settings"), "an object"),
}
TASK = {
    "display": "a text",
    "published": "a text, or null",
    "classes": "a whole number",
    "class_names": ["a text"],
    "template": "a text",
    "sizes": {"test": "a whole number"},
    "chance": "a number",
    "metric": "a text",
    "shift": "true or false",
    "paper_validation": "true or false",
}
METRICS = {"accuracy": "a number"} | dict.fromkeys(("macro_f1", "nll", "ece"), "a number, or null")
SELECTION = {"epoch": "a whole number, or null", "test": METRICS}
RUN = {
    "spec": SPEC,
    "task": TASK,
    "backbone": {
        **dict.fromkeys(("role", "modality", "architecture"), "a text"),
        "parameters": "a whole number",
    },
    "rule": "a text",
    "selection": dict.fromkeys(SELECTIONS, SELECTION),
    "history": ["an object"],
    "trained_parameters": "a whole number",
    **dict.fromkeys(("chosen", "hashes", "versions"), "an object"),
    "device": "a text",
    "measured": "an object",
}
CHANGED = "-dirty"  # how the commit of a record ends where the code had changes that are in none
OPTIONAL = {  # what a record may have besides
    # What installed packages brought of it: which part of spec.parts, by which code, which
    # started from which tensors
    "outside": [
        dict.fromkeys(("part", "name", "distribution", "version", "file_sha256"), "a text")
        | {"state_sha256": "a text, or null"}
    ],
    "processor": "a text",
    "commit": "a text, or null",  # of the suite's repository
}
MEASUREMENT_SPEC = {
    **dict.fromkeys(("scale", "kind", "measurement", "task"), "a text"),
    **dict.fromkeys(("data", "settings"), "an object"),
    "runs": [SPEC],
}
MEASUREMENT = {  # the same of what is measured beside the runs
    "spec": MEASUREMENT_SPEC,
    "task": TASK,
    "rows": ["an object"],
    "versions": "an object",
    "device": "a text",
    "measured": "an object",
}


def difference(spec: Any, other: Any, key: str = "") -> tuple[str, Any, Any] | None:
    """Returns (key, value, other value) of the first differing key, e.g. settings.lr, or None."""
    if not (isinstance(spec, dict) and isinstance(other, dict)):
        return None if spec == other else (key, spec, other)
    for name in sorted(spec.keys() | other.keys()):
        path = one_line(f"{key}.{name}" if key else name)
        if (name in spec) != (name in other):
            return path, spec.get(name, "absent"), other.get(name, "absent")
        inner = difference(spec[name], other[name], path)
        if inner:
            return inner
    return None


def shaped(value: Any, shape: Any, path: str | Path, where: str = "") -> None:
    """Raises RecordError unless `value` is like `shape`, see `KINDS`.

    `path` is the file and `where` the place in it, which ends with a dot.
    """
    if isinstance(shape, dict):
        demand(value, shape, path, where)
        for key, inner in shape.items():
            shaped(value[key], inner, path, f"{where}{key}.")
    elif isinstance(shape, list):
        shaped(value, "a list", path, where)
        for item in value:
            shaped(item, shape[0], path, where)
    else:
        kinds = tuple(KINDS[kind] for kind in shape.split(", or "))
        if bool not in kinds and isinstance(value, bool) or not isinstance(value, kinds):
            raise RecordError(f"{path}: {where.rstrip('.')} is {brief(value)}, expected {shape}")


def demand(document: Any, keys: Iterable[str], path: str | Path, where: str = "") -> None:
    """Raises RecordError unless `document` is an object with all `keys`."""
    if not isinstance(document, dict):
        raise RecordError(f"{path}: {where.rstrip('.') or 'the file'} is not a JSON object")
    missing = [key for key in keys if key not in document]
    if missing:
        raise RecordError(f"{path}: lacks the key {where}{missing[0]}")


def known(spec: dict[str, Any], path: str | Path, outside: Iterable[dict[str, str]] = ()) -> None:
    """Raises RecordError unless the names in `spec` are known here, or fit to be those of files.

    `outside` is what the record says of parts that installed packages brought.
    """
    of_packages = {each["part"]: f"{each['distribution']} {each['version']}" for each in outside}
    for run in spec["runs"] if "measurement" in spec else [spec]:
        for part, (catalogue, name) in parts_of(run).items():
            if not isinstance(name, str) or name not in catalogue:
                package = brief(of_packages[part]) if part in of_packages else "the package of it"
                raise RecordError(
                    f"{path}: {part} {brief(name)} is not known here; install {package}"
                )
        if not re.search(PLAIN, run["variant"]):
            raise RecordError(f"{path}: variant {brief(run['variant'])} is not a plain name")
    if not re.search(SCALE["pattern"], spec["scale"]):
        raise RecordError(f"{path}: scale {brief(spec['scale'])} is not a plain name")
    if spec["kind"] not in SCALE_KINDS:
        raise RecordError(f"{path}: kind {brief(spec['kind'])} is none of a scale")
    if not re.search(PLAIN, spec.get("measurement", "none")):
        raise RecordError(f"{path}: measurement {brief(spec['measurement'])} is not a plain name")
    try:
        record_path(spec)
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from None


def same_digest(actual: str, expected: str, path: str | Path, whose: str) -> None:
    """Raises RecordError unless the two digests are equal; `whose` says what gives `expected`."""
    if actual != expected:
        raise RecordError(
            f"{path}: digest is {actual[:12]}, but {whose} gives {str(expected)[:12]}; "
            "it was made from another configuration, run it again"
        )
