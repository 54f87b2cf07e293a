"""Records and manifests, read and checked: a JSON file per run, and one per job that lists its."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np

from vpbench.common import strict_json
from vpbench.common.errors import RecordError, UserError
from vpbench.common.hashing import digest
from vpbench.common.messages import brief, first_line
from vpbench.records.paths import MANIFEST, record_path
from vpbench.records.schema import (
    MEASUREMENT,
    MEASUREMENT_SPEC,
    METRICS,
    OPTIONAL,
    RUN,
    SPEC,
    demand,
    difference,
    known,
    same_digest,
    shaped,
)
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.made_up import KIND
from vpbench.spec.methods import SELECTIONS
from vpbench.spec.schema import SCHEMA
from vpbench.spec.tasks import TASKS

VALIDATION = "validation_label", "validation_prediction"  # which a record may lack
ALIGNED = {"predictions": (("id", "label", "prediction"), VALIDATION)}  # arrays [N] of a side file
LARGEST = 2**32  # bytes in a side file, unpacked: the predictions of 50 million images
Belongs = Callable[[dict[str, Any], Any], bool]  # a spec, what is wanted of it
SELECT: dict[str, Belongs] = {  # by the key of a selection
    "tasks": lambda spec, wanted: spec["task"] in wanted,
    "backbones": lambda spec, wanted: spec["backbone"] in wanted,
    "methods": lambda spec, wanted: spec["method"] in wanted,
    "variants": lambda spec, wanted: spec["variant"] in wanted,
    "modality": lambda spec, wanted: BACKBONES[spec["backbone"]].modality == wanted,
    "shift": lambda spec, wanted: spec["task"] in TASKS and TASKS[spec["task"]].shift == wanted,
}


def arrays(record: dict[str, Any], name: str) -> dict[str, np.ndarray]:
    """Returns name -> array of the side file `name` of a loaded record: predictions, examples."""
    path = Path(record["file"]).with_suffix(f".{name}.npz")
    try:
        with ZipFile(path) as file:
            size = sum(member.file_size for member in file.infolist())
        if size > LARGEST:
            raise UserError(f"it would take {size:,} bytes of memory")
        with np.load(path, allow_pickle=False) as file:
            values = dict(file)
        for keys in ALIGNED.get(name, ()):
            if keys == VALIDATION and values.keys().isdisjoint(keys):
                continue
            shapes = {values[key].shape for key in keys}
            if len(shapes) > 1 or any(len(shape) != 1 for shape in shapes):
                raise UserError(f"{', '.join(keys)} are not lists of one length")
        return values
    except FileNotFoundError:
        raise RecordError(f"{path} is missing; delete its record and run it again") from None
    except Exception as error:  # numpy and zipfile raise anything at all at a damaged file
        raise RecordError(f"{path}: not read, {first_line(error)}") from None


def holds(path: str | Path, spec: dict[str, Any]) -> bool:
    """Returns whether the file `path` is a sound record of exactly this `spec`."""
    try:
        return bool(read(path)["spec"] == spec)
    except RecordError:
        return False


def read(path: str | Path) -> dict[str, Any]:
    """Returns the record in the file `path`, of a run or a measurement, checked."""
    record = parse(path)
    demand(record, ("spec",), path)
    demand(record["spec"], (), path, "spec")
    measured = "measurement" in record["spec"]
    shaped(record, MEASUREMENT if measured else RUN, path)
    for key in OPTIONAL.keys() & record.keys():
        shaped(record[key], OPTIONAL[key], path, f"{key}.")
    known(record["spec"], path, record.get("outside", ()))
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


def read_of(path: str | Path, spec: dict[str, Any], remedy: str = "") -> dict[str, Any]:
    """Returns the record `path`, with its `file`, which must be of exactly this spec.

    Raises RecordError if it is of another one, with what is to be done about it, if that is given.
    """
    record = read(path)
    differing = difference(record["spec"], spec)
    if differing:
        key, said, wanted = differing
        line = f"{path}: {key} is {brief(said)}, but {brief(wanted)} is asked for"
        raise RecordError(line + (f"; {remedy}" if remedy else ""))
    return record | {"file": str(path)}


def read_manifest(path: str | Path) -> dict[str, Any]:
    """Returns the manifest in the file `path`, checked."""
    document = parse(path)
    shaped(document, {"digest": "a text", "records": [{"path": "a text", "spec": {}}]}, path)
    for entry in document["records"]:
        shape = MEASUREMENT_SPEC if "measurement" in entry["spec"] else SPEC
        shaped(entry["spec"], shape, path, "records.spec.")
        known(entry["spec"], path)
    listed = digest([entry["spec"] for entry in document["records"]])
    same_digest(document["digest"], listed, path, "the specs listed in it")
    return document


def parse(path: str | Path) -> dict[str, Any]:
    """Returns the JSON object in the file `path`, which must be of this schema version."""
    try:
        document = strict_json.read_json(path)
    except UserError as error:
        raise RecordError(error) from None
    demand(document, ("schema",), path)
    if document["schema"] != SCHEMA:
        version = brief(document["schema"])
        raise RecordError(f"{path}: schema is {version}, this version reads {SCHEMA}; run it again")
    return dict(document)


def load(
    paths: Iterable[str | Path],
    select: Mapping[str, Any] | None = None,
    digests: Mapping[str, str] | None = None,
) -> list[dict[str, Any]]:
    """Returns the records of manifests and record files, each record once.

    `select` keeps a slice of them; `digests` says, for every path, the digest its specs must have
    (of a single record: the digest of a list with its spec). A record that is missing is named on
    stderr and left out; one that was made from other specs is refused. Each knows its `file`.
    """
    records: dict[Path, dict[str, Any]] = {}
    for path in map(Path, paths):
        if not path.exists():
            warn_missing(path)
            continue
        for file, record in members(path, select or {}, expected_digest(path, digests)):
            records.setdefault(file.resolve(), record | {"file": str(file)})
    not_mixed(records.values())
    return list(records.values())


def not_mixed(records: Iterable[dict[str, Any]]) -> None:
    """Raises RecordError if records of a rehearsal are among others: their numbers mean nothing."""
    files = {record["spec"]["kind"] == KIND: record["file"] for record in records}
    if len(files) > 1:
        raise RecordError(f"{files[True]} is a rehearsal's, {files[False]} is not; give one kind")


def expected_digest(path: Path, digests: Mapping[str, str] | None) -> str | None:
    """Returns what `digests` demands of `path`, or None where nothing is demanded."""
    if digests is None:
        return None
    for key, value in digests.items():
        if Path(key) == path:
            return value
    raise RecordError(f"{path}: no digest was given for it, but for others; name it too")


def members(
    path: Path, select: Mapping[str, Any], expected: str | None
) -> Iterator[tuple[Path, dict[str, Any]]]:
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


def selected(spec: dict[str, Any], select: Mapping[str, Any]) -> bool:
    """Returns whether `spec` lies in the slice `select`."""
    unknown = sorted(set(select) - set(SELECT))
    if unknown:
        raise RecordError(f"select: unknown key {unknown[0]!r}; choose from {', '.join(SELECT)}")
    for key, wanted in select.items():
        if key.endswith("s") and not isinstance(wanted, list):
            raise RecordError(f"select: {key} is {brief(wanted)}, expected a list")
    return all(SELECT[key](spec, wanted) for key, wanted in select.items())


def warn_missing(path: Path) -> None:
    """Says on stderr that `path` is missing."""
    print(f"warning: {path} is missing, its cells stay empty", file=sys.stderr)
