"""Records: one JSON file per run, and one manifest per job that lists its runs; no torch here."""

import errno
import io
import json
import math
import os
import sys
from contextlib import contextmanager
from pathlib import Path
from zipfile import BadZipFile

import numpy as np

from vpbench.catalogue import BACKBONES, SCHEMA, SELECTIONS, TASKS
from vpbench.grid import digest

MANIFEST = ".manifest.json"  # how the name of a manifest ends
PART = ".part"  # how the name of a file ends that is being written

SPEC = (*("scale", "task", "backbone", "method", "variant", "seed", "data", "engine", "settings"),)
REQUIRED = {  # key of a record -> the keys that must be inside
    "spec": SPEC,
    "task": (
        *("display", "published", "classes", "class_names", "template", "sizes", "chance"),
        *("metric", "shift", "paper_validation"),
    ),
    "backbone": ("role", "modality", "architecture", "parameters"),
    "rule": (),
    "selection": SELECTIONS,
    "history": (),
    "trained_parameters": (),
    "chosen": (),
    "hashes": (),
    "versions": (),
    "device": (),
    "measured": (),
}
MEASUREMENT_SPEC = ("scale", "measurement", "task", "data", "settings", "runs")
MEASUREMENT = {  # the same of what is measured beside the runs
    "spec": MEASUREMENT_SPEC,
    "task": REQUIRED["task"],
    "rows": (),
    "versions": (),
    "device": (),
    "measured": (),
}
SELECT = {  # key of a selection -> does the spec belong to it?
    "tasks": lambda spec, wanted: spec["task"] in wanted,
    "backbones": lambda spec, wanted: spec["backbone"] in wanted,
    "methods": lambda spec, wanted: spec["method"] in wanted,
    "variants": lambda spec, wanted: spec["variant"] in wanted,
    "modality": lambda spec, wanted: BACKBONES[spec["backbone"]].modality == wanted,
    "shift": lambda spec, wanted: spec["task"] in TASKS and TASKS[spec["task"]].shift == wanted,
}
WRITE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EACCES: "no permission to write here",
    errno.EPERM: "no permission to write here",
    errno.EROFS: "the disk is read-only",
}


class RecordError(ValueError):
    """A record or manifest that cannot be written, read or trusted; its message is one line."""


def record_path(spec, runs="results/runs"):
    """Returns where the record of `spec` is; a task that is a folder goes by its last name."""
    if "measurement" in spec:
        return Path(runs, spec["scale"], spec["measurement"], Path(spec["task"]).name + ".json")
    cell = Path(spec["task"]).name, spec["backbone"], spec["method"], spec["variant"]
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
        path = f"{key}.{name}" if key else name
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
def whole_file(path):
    """Yields a file to write into that becomes `path` once all is written.

    A failure leaves nothing and gives one line.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}{PART}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with open(part, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # a full network disk may complain only here
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        reason = WRITE_ERRORS.get(error.errno, error.strerror or str(error))
        raise RecordError(f"{path}: not written, {reason}") from None


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
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except FileNotFoundError:
        raise RecordError(f"{path} is missing; delete its record and run it again") from None
    except (OSError, ValueError, BadZipFile) as error:
        raise RecordError(f"{path}: not read, {error}") from None


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
    measured = "measurement" in record.get("spec", {})
    required = MEASUREMENT if measured else REQUIRED
    demand(record, required, path)
    for key, inner in required.items():
        if inner:
            demand(record[key], inner, path, f"{key}.")
    if not measured:
        for selection in SELECTIONS:
            demand(record["selection"][selection], ("test",), path, f"selection.{selection}.")
    known(record["spec"], path)
    return record


def read_manifest(path):
    """Returns the manifest in the file `path`, checked."""
    document = parse(path)
    demand(document, ("digest", "records"), path)
    for entry in document["records"]:
        demand(entry, ("path", "spec"), path, "records.")
        keys = MEASUREMENT_SPEC if "measurement" in entry["spec"] else SPEC
        demand(entry["spec"], keys, path, "records.spec.")
        known(entry["spec"], path)
    own = digest([entry["spec"] for entry in document["records"]])
    same_digest(document["digest"], own, path, "the specs listed in it")
    return document


def parse(path):
    """Returns the JSON object in the file `path`, which must be of this schema version."""
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise RecordError(f"{path}: not read, {error.strerror}") from None
    except ValueError as error:
        raise RecordError(f"{path}: broken JSON, {error}") from None
    demand(document, ("schema",), path)
    if document["schema"] != SCHEMA:
        raise RecordError(f"{path}: schema is {document['schema']!r}, this version reads {SCHEMA}")
    return document


def demand(document, keys, path, where=""):
    """Returns None if `document` is an object with all `keys`."""
    if not isinstance(document, dict):
        raise RecordError(f"{path}: {where.rstrip('.') or 'the file'} is not a JSON object")
    missing = [key for key in keys if key not in document]
    if missing:
        raise RecordError(f"{path}: lacks the key {where}{missing[0]}")


def known(spec, path):
    """Returns None if the backbones of `spec` are in the catalogue."""
    for run in spec["runs"] if "measurement" in spec else [spec]:
        if run["backbone"] not in BACKBONES:
            raise RecordError(f"{path}: backbone {run['backbone']!r} is not in the catalogue")


def same_digest(found, expected, path, whose):
    """Returns None if the two digests are equal."""
    if found != expected:
        raise RecordError(
            f"{path}: digest is {str(found)[:12]}, but {whose} gives {expected[:12]}; "
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
    for entry in document["records"]:
        # Beside the manifest, not by the stored path: a moved folder must not read another's.
        file = record_path(entry["spec"], path.parents[2])
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
                f"{file}: {key} is {mine!r}, but {listed!r} in {path.name}; run it again"
            )
        yield file, record


def selected(spec, select):
    """Returns whether `spec` lies in the slice `select`."""
    unknown = sorted(set(select) - set(SELECT))
    if unknown:
        raise RecordError(f"select: unknown key {unknown[0]!r}; choose from {', '.join(SELECT)}")
    return all(SELECT[key](spec, wanted) for key, wanted in select.items())


def warn_missing(path):
    """Returns None; says on stderr that `path` is missing."""
    print(f"warning: {path} is missing, its cells stay empty", file=sys.stderr)
