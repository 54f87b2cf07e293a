"""Where numbers come from: those of different weights or different data are never averaged."""

from collections.abc import Iterable

from analysis.common.aliases import Record
from vpbench.common.errors import RecordError
from vpbench.common.hashing import canonical

SAME = {  # hash of a record -> the keys of the spec by which it must be the same everywhere
    "weights": ("backbone",),
    "data": ("task", "backbone", "data", "folder"),  # a backbone has its own resize and crop
}


def same_origin(records: Iterable[Record]) -> list[Record]:
    """Returns `records`, which may then be averaged over seeds or tasks.

    Raises RecordError, naming both files, where two were made with different weights of one
    backbone or with different images of one task.
    """
    made = list(records)
    first_of: dict[tuple[str, str], Record] = {}
    for record in made:
        for kind, keys in SAME.items():
            key = kind, canonical([record["spec"].get(name) for name in keys])
            other = first_of.setdefault(key, record)
            hashes = [one["hashes"].get(kind) for one in (other, record)]
            if hashes[0] != hashes[1]:
                whose = record["spec"][keys[0]]
                first, second = (str(value)[:12] for value in hashes)
                raise RecordError(
                    f"{other['file']} and {record['file']}: the {kind} of {whose} differ (SHA-256 "
                    f"{first}... and {second}...); such runs are never averaged: run both with one"
                )
    return made
