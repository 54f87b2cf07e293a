"""Tables made again from the records, by the scripts that made them, and compared."""

import csv
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vpbench.common.messages import first_line
from vpbench.spec.grid import Grid
from vpbench.spec.products import (
    analysis_arguments,
    claims_arguments,
    document_arguments,
    products,
    report_arguments,
    request_text,
)

DECIMAL = 0.00101  # the last decimal that a table has may be rounded otherwise elsewhere


def check_tables(
    wanted: Grid, results: str | Path, made: str, names: list[str]
) -> Iterator[tuple[str, str | None]]:
    """Yields (path, complaint or None) of every text that analyses make, for the analyses `names`.

    They are made again in the folder `made` from the records of the folder `results`, and, where
    `names` are all analyses of the `Grid` wanted, the scorecard and the LaTeX document from those.
    """
    failures = call_analyses(wanted, results, made, names)
    for name, failure in zip(names, failures, strict=True):
        yield compare_all(products(name, results), products(name, made), failure)
    if not names or any(failures) or len(names) < len(wanted.config["analyses"]):
        return
    pages = {
        "claims": (claims_arguments(wanted, made), ("claims.csv", "claims.md")),
        "latex_document": (document_arguments(wanted, made), ("tables.tex",)),
    }
    for script, (arguments, files) in pages.items():
        failure = call(script, arguments)
        stored, again = ({file: f"{folder}/{file}" for file in files} for folder in (results, made))
        yield compare_all(stored, again, failure)


def make(wanted: Grid, results: str | Path, configs: list[str]) -> list[tuple[str, str]]:
    """Returns (name, complaint) of what could not be made in the folder `results` of its records.

    All tables and figures are made, and the pages if none of these fails. `configs` are the files
    of the configuration.
    """
    names = list(wanted.config["analyses"])
    failures = dict(zip(names, call_analyses(wanted, results, results, names), strict=True))
    pages = {
        "claims": claims_arguments(wanted, results),
        "latex_document": document_arguments(wanted, results),
        "report": report_arguments(wanted, configs, results=results),
    }
    for name, arguments in pages.items():
        if not any(failures.values()):
            failures[name] = call(name, arguments)
    return [(name, failure) for name, failure in failures.items() if failure]


def call_analyses(
    wanted: Grid, results: str | Path, out: str | Path, names: list[str]
) -> list[str | None]:
    """Returns what `call` does of each analysis: of the records in `results`, into `out`."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        commands = [analysis_arguments(wanted, name, results, out) for name in names]
        return list(pool.map(call, names, commands))


def path_from_here() -> str:
    """Returns the PYTHONPATH that also has this folder, and what is on it already."""
    return os.pathsep.join([".", *filter(None, [os.environ.get("PYTHONPATH")])])


def call(name: str, arguments: list[str]) -> str | None:
    """Returns None once `python -m analysis name` has run well, else its last line."""
    with tempfile.NamedTemporaryFile("w", encoding="utf-8") as request:  # they may be too long
        request.write(request_text(arguments))
        request.flush()
        done = subprocess.run(
            [sys.executable, "-m", "analysis", name, f"@{request.name}"],
            env=os.environ | {"PYTHONPATH": path_from_here()},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
    lines = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
    return lines[-1] if done.returncode else None


def compare_all(
    stored: dict[str, str], made: dict[str, str], failure: str | None
) -> tuple[str, str | None]:
    """Returns (path, complaint) of the first of the files `stored` that is wrong, or None for it.

    `stored` and `made` map the same keys to paths; figures need only be there.
    """
    path = next(iter(stored.values()))
    if failure:
        return path, f"cannot be made again, {failure}"
    for key, path in stored.items():
        if not Path(path).is_file():
            return path, "is missing"
        if Path(path).suffix in (".csv", ".md", ".tex"):
            complaint = compare(path, made[key])
            if complaint:
                return path, complaint
    return path, None


def compare(stored: str, made: str) -> str | None:
    """Returns in which place a text differs from the one made again, None if it does not."""
    read = read_rows if Path(stored).suffix == ".csv" else read_lines
    try:
        rows, expected = read(stored), read(made)
    except (OSError, ValueError, csv.Error) as error:
        return f"not read, {first_line(error)}"
    if len(rows) != len(expected):
        return f"has {len(rows)} lines, the records give {len(expected)}"
    for number, (row, other) in enumerate(zip(rows, expected, strict=True), start=1):
        if len(row) != len(other):
            return f"line {number} has {len(row)} cells, the records give {len(other)}"
        for name, cell, wanted in zip(expected[0], row, other, strict=True):
            if not alike(cell, wanted):
                where = f"line {number}, {name}" if len(row) > 1 else f"line {number}"
                return f"{where}: is {cell!r}, the records give {wanted!r}"
    return None


def read_rows(path: str) -> list[list[str]]:
    """Returns the rows of a CSV file."""
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def read_lines(path: str) -> list[list[str]]:
    """Returns the lines of a text, each as a row of one cell."""
    return [[line] for line in Path(path).read_text(encoding="utf-8").splitlines()]


def alike(cell: str, other: str) -> bool:
    """Returns whether two cells have the same text, or numbers that rounding can explain."""
    if cell == other:
        return True
    try:
        return math.isclose(float(cell), float(other), rel_tol=0, abs_tol=DECIMAL)
    except ValueError:
        return False
