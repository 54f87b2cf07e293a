"""What --out names: nothing that is there is replaced unasked."""

from argparse import ArgumentParser
from collections.abc import Iterable
from pathlib import Path

from vpbench.common.errors import UserError


def add_out(command: ArgumentParser, **options: str) -> None:
    """Adds --out, and --force for what is there already."""
    command.add_argument("--out", required=True, **options)
    text = "replace what --out names, if it is there already"
    command.add_argument("--force", action="store_true", help=text)


def refuse_taken(paths: Iterable[Path | None], force: bool) -> None:
    """Raises UserError if one of the files `paths` is there, unless they may be replaced.

    A folder never is: what is in it would be lost.
    """
    taken = [path for path in paths if path is not None and path.exists()]
    for path in taken:
        if path.is_dir():
            raise UserError(f"{path} is a folder, and a file is to be there; choose another --out")
    if taken and not force:
        raise UserError(f"{taken[0]} is there already; choose another --out, or add --force")
