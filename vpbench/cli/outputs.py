"""What --out names: nothing that is there is replaced unasked."""

import csv
import io
from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vpbench.common import atomic_files
from vpbench.common.errors import UserError


def add_out(command: ArgumentParser, required: bool = True, **options: str) -> None:
    """Adds --out, and --force for what is there already."""
    command.add_argument("--out", required=required, **options)
    add_force(command, "--out")


def add_force(command: ArgumentParser, options: str) -> None:
    """Adds --force for what is there already where one of `options` names it."""
    text = f"replace what {options} names, if it is there already"
    command.add_argument("--force", action="store_true", help=text)


def refuse_taken(paths: Iterable[Path | None], force: bool, option: str = "--out") -> None:
    """Raises UserError if one of the files `paths` that an option names is there, unless they may
    be replaced.

    A folder never is: what is in it would be lost.
    """
    taken = [path for path in paths if path is not None and path.exists()]
    for path in taken:
        if path.is_dir():
            raise UserError(
                f"{path} is a folder, and a file is to be there; choose another {option}"
            )
    if taken and not force:
        raise UserError(f"{taken[0]} is there already; choose another {option}, or add --force")


def write_csv(path: str | Path, lines: Iterable[Iterable[Any]]) -> Path:
    """Returns the path of a table, once its lines are written."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return atomic_files.write_bytes(path, text.getvalue().encode())
