"""What of the real datasets is on this machine, what is wrong with the rest and what to do."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from vpbench.common import locks
from vpbench.common.messages import first_line, gigabytes
from vpbench.common.paths import data_dir
from vpbench.data import cache, cache_files
from vpbench.data.datasets.source import (
    CorruptDataset,
    MissingDataset,
    Source,
    WrongSize,
    known_dataset,
    open_dataset,
)
from vpbench.spec import made_up
from vpbench.spec.dataset_facts import FACTS

STATES = {MissingDataset: "missing", CorruptDataset: "corrupt", WrongSize: "wrong size"}
HEADER = ("dataset", "state", "images", "on disk", "licence", "caches")


def status(names: Sequence[str] | None = None, verify: bool = False) -> list[dict[str, Any]]:
    """Returns a list of dicts, one per dataset: its state, facts, what to do, and its caches.

    Opens every dataset and reads the first image of each split; `verify` reads all of the caches
    and compares SHA-256.
    """
    return [dataset_status(known_dataset(name), verify) for name in names or FACTS]


def dataset_status(name: str, verify: bool = False) -> dict[str, Any]:
    """Returns the status of one dataset: never an error, whatever is on the disk."""
    facts = made_up.facts_of(name)
    source: Source | None = None
    problem: str | None = None
    try:
        source = open_dataset(name, data_dir())
        for split, listing in source.splits.items():
            listing.read(0).load()
        state = "present"
    except tuple(STATES) as error:
        state, problem = STATES[type(error)], str(error)
    except Exception as error:  # whatever a damaged file does to the library that reads it
        state, problem = "corrupt", f"{type(error).__name__}: {first_line(error)}"
    caches = [cache_status(name, folder, source, verify) for folder in cache_folders(name)]
    return {
        "dataset": name,
        "state": state,
        "problem": problem,
        "looked_in": str(data_dir().absolute()),
        "to_do": None if state == "present" else to_do(name, state),
        "classes": facts.classes,
        "sizes": facts.sizes,
        "gigabytes": facts.gigabytes,
        "licence": facts.licence,
        "download": facts.download,
        "deviations": list(source.deviations) if source else [],
        "caches": caches,
    }


def to_do(name: str, state: str) -> str:
    """Returns what a person does about a dataset that is not there or not as it should be."""
    facts = FACTS[name]
    how = f"vpbench data download {name}" if facts.download == "automatic" else "by hand"
    again = "" if state == "missing" else "remove its files, then "
    return f"{again}{how}: {facts.steps}"


def cache_folders(name: str) -> list[Path]:
    """Returns the folders of the caches of a dataset, one per transform, sorted."""
    folder = data_dir() / "cache" / name
    return sorted(path for path in folder.glob("*") if path.is_dir())


def cache_status(
    name: str, folder: Path, source: Source | None = None, verify: bool = False
) -> dict[str, Any]:
    """Returns the status of one cache: transform, splits, bytes on disk, what is wrong with it."""
    splits: list[str] = []
    problem: str | None = None
    try:
        for path in sorted(folder.glob("*.json")):
            card = cache_files.read_card(path)
            splits.append(path.stem)
            check = cache_files.verify if verify else cache_files.check_files
            check(path.with_suffix(".npy"), card)
            if source and card["splits"] != source.hashes:
                problem = (
                    f"{path}: made from other split files than those there now; "
                    f"{cache_files.REMEDY}"
                )
    except Exception as error:  # whatever lies in the folder
        problem = first_line(error)
    return {
        "transform": folder.name,
        "splits": splits,
        "bytes": folder_bytes(folder),
        "being_made_by": locks.holder(folder / cache.LOCK),
        "problem": problem,
        "verified": verify and problem is None,
    }


def folder_bytes(folder: Path) -> int:
    """Returns what the files of a folder take on disk; they may come and go meanwhile."""
    total = 0
    for path in folder.iterdir():
        with suppress(FileNotFoundError):
            total += path.stat().st_size
    return total


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Returns the status as text: aligned, one line per dataset, what to do indented below."""
    cells = [HEADER, *(line(row) for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    text = []
    for number, row in enumerate(cells):
        padded = zip(row, widths, strict=True)
        text.append("  ".join(cell.ljust(width) for cell, width in padded).rstrip())
        if number:
            text += [f"    {more}" for more in remarks(rows[number - 1])]
    present = sum(row["state"] == "present" for row in rows)
    text.append(f"{present} of {len(rows)} present; looked in {data_dir().absolute()}")
    return "\n".join(text)


def line(row: dict[str, Any]) -> tuple[str, ...]:
    """Returns the cells of one dataset."""
    sizes = (row["sizes"].get(split) for split in ("train", "validation", "test"))
    return (
        row["dataset"],
        row["state"],
        " / ".join("-" if size is None else f"{size:,}" for size in sizes),
        f"{row['gigabytes']:g} GB",
        row["licence"],
        str(len(row["caches"]) or "-"),
    )


def remarks(row: dict[str, Any]) -> list[str]:
    """Returns the lines below one dataset: problem, what to do, deviations, caches."""
    problem = (row["problem"] or "").removeprefix(f"{row['dataset']}: ")
    if row["state"] == "missing":  # what comes after is said by the next line
        problem = problem.partition("; ")[0]
    said = [problem] if problem else []
    said += [f"to do: {row['to_do']}"] if row["to_do"] else []
    said += [f"deviation: {deviation}" for deviation in row["deviations"]]
    for entry in row["caches"]:
        stored = f"{', '.join(entry['splits']) or 'nothing'}, {gigabytes(entry['bytes'])}"
        state = "verified" if entry["verified"] else entry["problem"] or "sound"
        if entry["being_made_by"]:
            state = f"being made by {entry['being_made_by']}"
        said.append(f"cache {entry['transform']}: {stored}, {state}")
    return said
