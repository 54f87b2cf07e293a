"""Records: one JSON file per run, and one manifest per job that lists its runs; no torch here."""

import errno
import glob
import io
import json
import math
import os
import platform
import re
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from zipfile import ZipFile

import numpy as np

from vpbench import documents
from vpbench.catalogue import BACKBONES, METHODS, PLAIN, SCALES, SCHEMA, SELECTIONS, TASKS
from vpbench.complaints import brief, first_line, not_written, one_line
from vpbench.grid import digest
from vpbench.locks import is_gone

MANIFEST = ".manifest.json"  # how the name of a manifest ends
PART = ".part"  # how the name of a file ends that is being written

# What is in a record: a dict says which keys an object must have, a list what all its items are
# like, and a word the kind of a value.
KINDS = {
    "a text": str,
    "a whole number": int,
    "a number": int | float,
    "true or false": bool,
    "a list": list,
    "an object": dict,
    "null": type(None),
}
SPEC = {
    **dict.fromkeys(("scale", "task", "backbone", "method", "variant"), "a text"),
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
REQUIRED = {
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
MEASUREMENT_SPEC = {
    **dict.fromkeys(("scale", "measurement", "task"), "a text"),
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
ALIGNED = {"predictions": ("id", "label", "prediction")}  # arrays [N] of a side file
LARGEST = 2**32  # bytes in a side file, unpacked: the predictions of 50 million images
SELECT = {  # key of a selection -> does the spec belong to it?
    "tasks": lambda spec, wanted: spec["task"] in wanted,
    "backbones": lambda spec, wanted: spec["backbone"] in wanted,
    "methods": lambda spec, wanted: spec["method"] in wanted,
    "variants": lambda spec, wanted: spec["variant"] in wanted,
    "modality": lambda spec, wanted: BACKBONES[spec["backbone"]].modality == wanted,
    "shift": lambda spec, wanted: spec["task"] in TASKS and TASKS[spec["task"]].shift == wanted,
}


class RecordError(ValueError):
    """A record or manifest that cannot be written, read or trusted; its message is one line."""

    def __init__(self, message):
        super().__init__(one_line(message))


def record_path(spec, runs="results/runs"):
    """Returns where the record of `spec` is; a task that is a folder goes by its last name."""
    task = Path(spec["task"]).name
    if task in ("", ".."):
        raise RecordError(f"the task {brief(spec['task'])} has no name; give its folder by name")
    if "measurement" in spec:
        return Path(runs, spec["scale"], spec["measurement"], task + ".json")
    cell = task, spec["backbone"], spec["method"], spec["variant"]
    return Path(runs, spec["scale"], *cell, f"seed{spec['seed']}.json")


def manifest(specs, runs="results/runs"):
    """Returns the manifest of a job: the digest of its specs, and where each record is."""
    records = [{"path": record_path(spec, runs).as_posix(), "spec": spec} for spec in specs]
    return {"schema": SCHEMA, "digest": digest(specs), "records": records}


def difference(spec, other, key=""):
    """Returns (key, value, other value) of the first differing key, e.g. settings.lr, or None."""
    if not (isinstance(spec, dict) and isinstance(other, dict)):
        return None if spec == other else (key, spec, other)
    for name in sorted(spec.keys() | other.keys()):
        path = one_line(f"{key}.{name}" if key else name)
        if (name in spec) != (name in other):
            return path, spec.get(name, "absent"), other.get(name, "absent")
        found = difference(spec[name], other[name], path)
        if found:
            return found
    return None


def write(path, record):
    """Returns `path` once `record` (or a manifest) is there, whole: never a part of it."""
    try:
        text = json.dumps(plain(record), indent=1, allow_nan=False) + "\n"
    except TypeError as error:
        raise RecordError(f"{path}: not written, {error}") from None
    return write_bytes(path, text.encode())


def write_bytes(path, data):
    """Returns `path` once `data` is there, whole; a failure leaves nothing and gives one line."""
    with whole_file(path) as file:
        file.write(data)
    return Path(path)


@contextmanager
def whole_file(path, older=None):
    """Yields a file to write into that becomes `path` once all is written.

    What was there becomes `older`, if that is given. A failure leaves nothing and gives one line;
    what a process that was killed has left of this file is removed.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{platform.node()}.{os.getpid()}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        clear_parts(path)
        try:
            with open(part, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # a full network disk may complain only here
            if older is not None:
                with suppress(FileNotFoundError):  # the first one, or another process is faster
                    os.replace(path, older)
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
        sync_folder(path.parent)
    except OSError as error:
        raise RecordError(f"{path}: not written, {not_written(error)}") from None


def clear_parts(path):
    """Returns None; what processes of this machine that were killed left of `path` is gone."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{PART}"):
        host, _, pid = part.name[len(path.name) + 2 : -len(PART)].rpartition(".")
        if host == platform.node() and pid.isdigit() and is_gone(int(pid)):
            part.unlink(missing_ok=True)


def sync_folder(folder):
    """Returns None once the names of the files in `folder` are on disk as they are now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks know no such thing
            raise
    finally:
        os.close(descriptor)


def write_with(path, save):
    """Returns `path` once it holds, whole, what `save` writes into a file."""
    buffer = io.BytesIO()
    save(buffer)
    return write_bytes(path, buffer.getvalue())


def write_arrays(path, arrays):
    """Returns `path` once it holds `arrays` (name -> values) as a compressed npz."""
    values = {name: np.asarray(value) for name, value in arrays.items()}
    return write_with(path, lambda file: np.savez_compressed(file, **values))


def arrays(record, name):
    """Returns name -> array of the side file `name` of a loaded record: predictions, examples."""
    path = Path(record["file"]).with_suffix(f".{name}.npz")
    try:
        with ZipFile(path) as file:
            size = sum(member.file_size for member in file.infolist())
        if size > LARGEST:
            raise ValueError(f"it would take {size:,} bytes of memory")
        with np.load(path, allow_pickle=False) as file:
            found = dict(file)
        shapes = {found[key].shape for key in ALIGNED.get(name, ())}
        if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
            raise ValueError(f"{', '.join(ALIGNED[name])} are not lists of one length")
        return found
    except FileNotFoundError:
        raise RecordError(f"{path} is missing; delete its record and run it again") from None
    except Exception as error:  # numpy and zipfile raise anything at all at a damaged file
        raise RecordError(f"{path}: not read, {first_line(error)}") from None


def holds(path, spec):
    """Returns whether the file `path` is a sound record of exactly this `spec`."""
    try:
        return read(path)["spec"] == spec
    except RecordError:
        return False


def plain(value):
    """Returns `value` with numpy's types as Python's, and None where a number is not finite."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic | np.ndarray):
        return plain(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None  # a diverged loss; NaN is not JSON
    return value


def read(path):
    """Returns the record in the file `path`, of a run or a measurement, checked."""
    record = parse(path)
    demand(record, ("spec",), path)
    demand(record["spec"], (), path, "spec")
    measured = "measurement" in record["spec"]
    shaped(record, MEASUREMENT if measured else REQUIRED, path)
    known(record["spec"], path)
    if not measured:
        unknown = sorted(set(record["selection"]) - set(SELECTIONS))
        if unknown:
            raise RecordError(f"{path}: selection has an unknown key {brief(unknown[0])}")
        for selection in SELECTIONS:
            validation = record["selection"][selection].get("validation")
            if validation is not None:
                shaped(validation, METRICS, path, f"selection.{selection}.validation.")
        if record["rule"] not in SELECTIONS:
            raise RecordError(f"{path}: rule is {brief(record['rule'])}, expected a selection")
    return record


def read_manifest(path):
    """Returns the manifest in the file `path`, checked."""
    document = parse(path)
    shaped(document, {"digest": "a text", "records": [{"path": "a text", "spec": {}}]}, path)
    for entry in document["records"]:
        shape = MEASUREMENT_SPEC if "measurement" in entry["spec"] else SPEC
        shaped(entry["spec"], shape, path, "records.spec.")
        known(entry["spec"], path)
    own = digest([entry["spec"] for entry in document["records"]])
    same_digest(document["digest"], own, path, "the specs listed in it")
    return document


def parse(path):
    """Returns the JSON object in the file `path`, which must be of this schema version."""
    try:
        document = documents.read_json(path)
    except ValueError as error:
        raise RecordError(str(error)) from None
    demand(document, ("schema",), path)
    if document["schema"] != SCHEMA:
        found = brief(document["schema"])
        raise RecordError(f"{path}: schema is {found}, this version reads {SCHEMA}")
    return document


def shaped(value, shape, path, where=""):
    """Returns None if `value` is like `shape`, see `KINDS`; `where` is its place, with a dot."""
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


def demand(document, keys, path, where=""):
    """Returns None if `document` is an object with all `keys`."""
    if not isinstance(document, dict):
        raise RecordError(f"{path}: {where.rstrip('.') or 'the file'} is not a JSON object")
    missing = [key for key in keys if key not in document]
    if missing:
        raise RecordError(f"{path}: lacks the key {where}{missing[0]}")


def known(spec, path):
    """Returns None if the names in `spec` are in the catalogue, or fit to be those of files."""
    for run in spec["runs"] if "measurement" in spec else [spec]:
        for key, names in (("backbone", BACKBONES), ("method", METHODS)):
            if run[key] not in names:
                raise RecordError(f"{path}: {key} {brief(run[key])} is not in the catalogue")
        if not re.search(PLAIN, run["variant"]):
            raise RecordError(f"{path}: variant {brief(run['variant'])} is not a plain name")
    if spec["scale"] not in SCALES:
        raise RecordError(f"{path}: scale {brief(spec['scale'])} is not in the catalogue")
    if not re.search(PLAIN, spec.get("measurement", "none")):
        raise RecordError(f"{path}: measurement {brief(spec['measurement'])} is not a plain name")
    try:
        record_path(spec)
    except RecordError as error:
        raise RecordError(f"{path}: {error}") from None


def same_digest(found, expected, path, whose):
    """Returns None if the two digests are equal."""
    if found != expected:
        raise RecordError(
            f"{path}: digest is {found[:12]}, but {whose} gives {str(expected)[:12]}; "
            "it was made from another configuration, run it again"
        )


def load(paths, select=None, digests=None):
    """Returns the records of manifests and record files, each record once.

    `select` keeps a slice of them; `digests` says, for every path, the digest its specs must have
    (of a single record: the digest of a list with its spec). A record that is missing is named on
    stderr and left out; one that was made from other specs is refused. Each knows its `file`.
    """
    records = {}
    for path in map(Path, paths):
        if not path.exists():
            warn_missing(path)
            continue
        for file, record in members(path, select or {}, expected_digest(path, digests)):
            records.setdefault(file.resolve(), record | {"file": str(file)})
    return list(records.values())


def expected_digest(path, digests):
    """Returns what `digests` demands of `path`, or None where nothing is demanded."""
    if digests is None:
        return None
    for key, value in digests.items():
        if Path(key) == path:
            return value
    raise RecordError(f"{path}: no digest was given for it, but for others; name it too")


def members(path, select, expected):
    """Yields (file, record) of a record file or of those that a manifest lists."""
    if not path.name.endswith(MANIFEST):
        record = read(path)
        if expected:
            same_digest(digest([record["spec"]]), expected, path, "the configuration")
        if selected(record["spec"], select):
            yield path, record
        return
    document = read_manifest(path)
    if expected:
        same_digest(document["digest"], expected, path, "the configuration")
    folders = (path if len(path.parents) > 2 else path.absolute()).parents
    if len(folders) < 3:
        raise RecordError(f"{path}: a manifest lies in SCALE/TASK/ of the folder of the records")
    for entry in document["records"]:
        # Beside the manifest, not by the stored path: a moved folder must not read another's.
        file = record_path(entry["spec"], folders[2])
        if not selected(entry["spec"], select):
            continue
        if not file.exists():
            warn_missing(file)
            continue
        record = read(file)
        differing = difference(record["spec"], entry["spec"])
        if differing:
            key, mine, listed = differing
            raise RecordError(
                f"{file}: {key} is {brief(mine)}, but {brief(listed)} in {path.name}; run it again"
            )
        yield file, record


def selected(spec, select):
    """Returns whether `spec` lies in the slice `select`."""
    unknown = sorted(set(select) - set(SELECT))
    if unknown:
        raise RecordError(f"select: unknown key {unknown[0]!r}; choose from {', '.join(SELECT)}")
    for key, wanted in select.items():
        if key.endswith("s") and not isinstance(wanted, list):
            raise RecordError(f"select: {key} is {brief(wanted)}, expected a list")
    return all(SELECT[key](spec, wanted) for key, wanted in select.items())


def warn_missing(path):
    """Returns None; says on stderr that `path` is missing."""
    print(f"warning: {path} is missing, its cells stay empty", file=sys.stderr)
