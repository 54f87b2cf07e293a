"""The reference run: the records of a configuration in one archive, which ships with the suite.

Kept is what tables, figures and findings are made of: the records, the predictions of every run as
bytes, ids and labels of a task once, what was measured, and the prompts that figures show. Not kept
is NOT_KEPT, which is large. Pictures are painted again.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import RecordError, UserError
from vpbench.common.hashing import digest
from vpbench.common.messages import brief, first_line
from vpbench.records import archive, reading
from vpbench.records.commits import one_commit
from vpbench.records.paths import MANIFEST, jobs_of, manifest, specs_by_path
from vpbench.records.schema import shaped
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.grid import Grid, sliced
from vpbench.spec.methods import METHODS
from vpbench.spec.products import within
from vpbench.spec.result_files import RECORD

SHIPPED = Path("docs/data/reference.xz")  # in the repository, not in the wheel
FOLDER = Path("results/reference")  # where it is unpacked, beside the user's records
MARK = "reference.json"  # in that folder: the facts of the archive that it comes from
NOT_KEPT = "prompts, example pictures, confidences and log-probabilities"
LISTS = "id", "label", "group", "validation_label"  # of a task: kept once
ANSWERS = {"label": "prediction", "validation_label": "validation_prediction"}  # of a run
BYTES = np.dtype("u1"), np.dtype("<u2")  # that keep an answer: of 256 classes, of 65,536
CANVAS = np.dtype("<f4")
FACTS = dict.fromkeys(("scale", "configuration", "commit", "not kept"), "a text") | dict.fromkeys(
    ("runs", "measurements"), "a whole number"
)
RUN: dict[str, Any] = {"record": {}, "lists": {}}  # a line of an archive; `canvas`: its shape
MEASUREMENT: dict[str, Any] = {"record": {}, "arrays": {}}  # name -> [rows, images] of its bits
Record = dict[str, Any]
Restore = Callable[[Record, np.ndarray], dict[str, np.ndarray]]


def is_unpacked(folder: str | Path) -> bool:
    """Returns whether a folder of results was unpacked from an archive."""
    return Path(folder, MARK).is_file()


def configuration_digest(wanted: Grid) -> str:
    """Returns the SHA-256 of all that a configuration asks for."""
    return digest(list(specs_by_path(wanted, "").values()))


def drawn(wanted: Grid) -> set[str]:
    """Returns the paths of the records whose prompts figures show: of each cell the first seed."""
    first: dict[tuple[str, ...], Record] = {}
    for name, slice_ in wanted.config["analyses"].items():
        for spec in sliced(wanted, slice_) if ANALYSES[name].draws_prompts else []:
            if METHODS[spec["method"]].keeps_prompt:
                cell = tuple(spec[key] for key in ("task", "backbone", "method", "variant"))
                if spec["seed"] <= first.setdefault(cell, spec)["seed"]:
                    first[cell] = spec
    return {RECORD.format(**spec) for spec in first.values()}


def pack(results: str | Path, wanted: Grid, path: str | Path) -> dict[str, Any]:
    """Returns the facts of the archive `path` once it holds all records that `wanted` asks for.

    They are those of the folder `results`, by one commit. Raises UserError, in one line, for a
    record that is missing, of another spec or commit or of code in no commit, or damaged.
    """
    lists: dict[str, int] = {}  # JSON -> its place
    lines: dict[str, list[str]] = {"runs": [], "measurements": []}
    blobs: dict[str, list[bytes]] = {"answers": [], "canvases": [], "bits": []}
    shown, records = {within(path, results) for path in drawn(wanted)}, []
    for file, spec in specs_by_path(wanted, results).items():
        record = reading.read_of(file, spec)
        records.append(record)
        kind = "measurements" if "measurement" in spec else "runs"
        line: dict[str, Any] = {"record": {k: v for k, v in record.items() if k != "file"}}
        if kind == "measurements":
            line["arrays"] = packed_bits(record, blobs["bits"])
        else:
            line["lists"] = packed_answers(record, lists, blobs["answers"])
            if file.as_posix() in shown:
                canvas = reading.arrays(record, "examples")["canvas"].astype(CANVAS)
                line["canvas"] = list(canvas.shape)
                blobs["canvases"].append(canvas.tobytes())
        lines[kind].append(compact(line))
    one_commit(records)
    facts = {
        "scale": wanted.config["scale"],
        "configuration": configuration_digest(wanted),
        "commit": records[0]["commit"],
        "runs": len(lines["runs"]),
        "measurements": len(lines["measurements"]),
        "not kept": NOT_KEPT,
    }
    sections = {name: "".join(each).encode() for name, each in lines.items()}
    sections["lists"] = "".join(f"{text}\n" for text in lists).encode()
    sections |= {name: b"".join(each) for name, each in blobs.items()}
    archive.write(path, facts, sections)
    return facts


def compact(line: Any) -> str:
    """Returns a line of JSON, in the order that it has."""
    return json.dumps(line, separators=(",", ":"), allow_nan=False) + "\n"


def packed_answers(record: Record, lists: dict[str, int], answers: list[bytes]) -> dict[str, int]:
    """Returns name -> place in `lists` of what the images of a run are; adds its answers."""
    arrays, classes = reading.arrays(record, "predictions"), record["task"]["classes"]
    for name in ANSWERS.values():
        values = arrays.get(name)
        if values is not None:
            if len(values) and not 0 <= values.min() <= values.max() < classes:
                raise RecordError(f"{record['file']}: {name} is not one of {classes} classes")
            answers.append(values.astype(answer_type(classes)).tobytes())
    said = {name: json.dumps(arrays[name].tolist()) for name in LISTS if name in arrays}
    return {name: lists.setdefault(text, len(lists)) for name, text in said.items()}


def answer_type(classes: int) -> np.dtype:
    """Returns what keeps the number of one of so many classes."""
    return BYTES[classes > 256]


def packed_bits(record: Record, bits: list[bytes]) -> dict[str, list[int]]:
    """Returns name -> shape of the arrays of a measurement; adds their bits."""
    if not Path(record["file"]).with_suffix(".arrays.npz").exists():
        return {}
    shapes = {}
    for name, values in sorted(reading.arrays(record, "arrays").items()):
        if values.dtype != bool:
            raise RecordError(f"{record['file']}: its array {name} is of {values.dtype}, not bool")
        shapes[name] = list(values.shape)
        bits.append(np.packbits(values).tobytes())
    return shapes


def unpack(path: str | Path, wanted: Grid, folder: Path, where: str, examples: Restore) -> Record:
    """Returns the facts of the archive `path` once its records are in `folder`.

    They are as `vpbench run` had written them, without what is NOT_KEPT, at the places that the
    configuration `where` gives them, with the manifests of its jobs. `examples(record, canvas)`
    returns the arrays of the pictures that figures show. Raises RecordError, in one line, if the
    archive is of another configuration, or is none.
    """
    facts, sections = archive.read(path)
    shaped(facts, FACTS, path, "facts.")
    if facts["configuration"] != configuration_digest(wanted):
        raise RecordError(
            f"{path}: was packed for another configuration than {where}; give that one, as it was, "
            "with --configfile"
        )
    try:
        restore(sections, wanted, folder, examples)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        if isinstance(error, UserError) and not isinstance(error, RecordError):
            raise  # of what is written here, not of what is in the archive
        raise archive.damaged(path, first_line(error)) from None
    for file, specs in jobs_of(wanted).items():
        if file.endswith(MANIFEST):
            kind = Path(*Path(file).parts[:2])  # results/runs, results/measurements
            atomic_files.write(within(file, folder), manifest(specs, kind))
    atomic_files.write(folder / MARK, facts)
    return facts


def restore(sections: archive.Sections, wanted: Grid, folder: Path, examples: Restore) -> None:
    """Writes the records in the sections of an archive, with what lies beside them."""
    lines = {name: parsed(sections[name]) for name in ("runs", "measurements")}
    lists = list(parsed(sections["lists"]))
    answers, canvases, bits = (Bytes(sections[name]) for name in ("answers", "canvases", "bits"))
    for file, spec in specs_by_path(wanted, folder).items():
        measured = "measurement" in spec
        line: Any = next(lines["measurements" if measured else "runs"], None)
        shaped(line, MEASUREMENT if measured else RUN, file)
        record = line["record"]
        if record.get("spec") != spec:
            raise RecordError(f"{file}: another record is in its place")
        if measured:
            restore_bits(file, line["arrays"], bits)
        else:
            restore_answers(file, record, {n: lists[i] for n, i in line["lists"].items()}, answers)
        if "canvas" in line:
            canvas = canvases.take(line["canvas"], CANVAS).astype(np.float32)
            atomic_files.write_arrays(file.with_suffix(".examples.npz"), examples(record, canvas))
        atomic_files.write(file, record)


class Bytes:
    """Bytes that arrays are taken from, one after the other."""

    def __init__(self, content: bytes) -> None:
        self.content, self.start = content, 0

    def take(self, shape: Iterable[int], dtype: np.dtype) -> np.ndarray:
        """Returns the next array of that shape."""
        shape = tuple(shape)
        size = int(np.prod(shape, dtype=object)) * dtype.itemsize
        if min(shape, default=0) < 0 or self.start + size > len(self.content):
            raise RecordError(f"{len(self.content)} bytes are too few")
        found = np.frombuffer(self.content, dtype, size // dtype.itemsize, self.start)
        self.start += size
        return found.reshape(shape)


def parsed(section: bytes) -> Iterator[Any]:
    """Yields the documents of a section of JSON lines."""
    for line in section.splitlines():
        try:
            yield strict_json.parse_json(line)
        except UserError as error:
            raise RecordError(error) from None


def restore_answers(file: Path, record: Record, lists: dict[str, list], answers: Bytes) -> None:
    """Writes the predictions of a run: its answers, and what the images are."""
    arrays, kept = {}, answer_type(record["task"]["classes"])
    for name, values in plain_names(lists):
        if name in ANSWERS:
            arrays[name] = np.array(values, np.int64)
            arrays[ANSWERS[name]] = answers.take((len(values),), kept).astype(np.int64)
        else:
            arrays[name] = np.array(values, np.str_)
    atomic_files.write_arrays(file.with_suffix(".predictions.npz"), arrays)


def restore_bits(file: Path, shapes: dict[str, list[int]], bits: Bytes) -> None:
    """Writes the arrays of a measurement, if it has any."""
    arrays = {}
    for name, shape in plain_names(shapes):
        count = int(np.prod(shape, dtype=object))
        packed = bits.take((-(-count // 8),), BYTES[0])
        arrays[name] = np.unpackbits(packed, count=count).astype(bool).reshape(shape)
    if arrays:
        atomic_files.write_arrays(file.with_suffix(".arrays.npz"), arrays)


def plain_names(named: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yields the items of what is named in an archive, sorted; the names go into files."""
    for name, value in sorted(named.items()):
        if not name.isidentifier():
            raise RecordError(f"{brief(name)} is no name of an array")
        yield name, value
