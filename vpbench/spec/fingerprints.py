"""Fingerprints of folders of images: a run on other photographs than before is another run."""

import functools
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from vpbench.common import hashing
from vpbench.common.errors import UserError
from vpbench.common.messages import one_line
from vpbench.common.paths import placed
from vpbench.spec.aliases import Spec
from vpbench.spec.folder_names import hidden

Folder = dict[str, Any]  # schema.folder_schema
READ_BESIDE = ("split_file", "class_names")  # files that say what is in the folder


def fingerprint(folder: Folder) -> str:
    """Returns the SHA-256 of the names and sizes of all visible files of a folder.

    Names are those within the folder, so that it may move. What is in the files of READ_BESIDE
    counts as well. Raises UserError, in one line, if the folder or one of them cannot be read.
    """
    files = sorted(visible_files(folder["path"], ""))
    total = hashlib.sha256(b"".join(b"%s\0%d\n" % file for file in files))
    for key in READ_BESIDE:
        if key in folder:
            try:
                total.update(f"{key} {hashing.sha256(folder[key])}\n".encode())
            except OSError as error:
                line = f"{one_line(folder[key])}: {key} not read, {error.strerror}"
                raise UserError(line) from None
    return total.hexdigest()


def visible_files(
    folder: str, within: str, above: tuple[str, ...] = ()
) -> Iterator[tuple[bytes, int]]:
    """Yields (name, bytes) of the files below `folder`; their names begin with `within`.

    Links are followed, but not back into a folder that they are in, one of `above`.
    """
    try:
        entries = list(os.scandir(folder))
        for entry in entries:
            if hidden(entry.name):
                continue
            name = f"{within}{entry.name}"
            if entry.is_dir():
                real = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
                if real not in above:
                    yield from visible_files(entry.path, f"{name}/", (*above, real))
            elif entry.is_file():
                yield os.fsencode(name), entry.stat().st_size
    except OSError as error:
        raise UserError(f"{one_line(error.filename)}: folder not read, {error.strerror}") from None


def with_fingerprint(folder: Folder, where: str) -> Folder:
    """Returns a folder of a configuration with its fingerprint, the given one if there is one."""
    if "fingerprint" in folder:
        return folder
    if not Path(folder["path"]).is_dir():
        raise UserError(
            f"{where}: there is no folder {one_line(folder['path'])}; mend the path, or, to make "
            "tables of records that are there without their images, give its `fingerprint` as a "
            "record has it"
        )
    return folder | {"fingerprint": fingerprint(folder)}


def check_fingerprint(folder: Folder) -> None:
    """Raises UserError if a folder is no longer as it was when its fingerprint was taken."""
    if "fingerprint" in folder and fingerprint(folder) != folder["fingerprint"]:
        raise UserError(
            f"{one_line(folder['path'])}: files were added, removed or changed since this run was "
            "asked for; start the same command again, which asks for a run on what is there now"
        )


def reference_of(measurement: dict[str, Any]) -> dict[str, str]:
    """Returns what the specs of a measurement say of the photographs that it compares with.

    That is their fingerprint, the given one if there is one; nothing where there are no such
    photographs, or not on this machine: the job that needs them says so.
    """
    if "reference_fingerprint" in measurement:
        return {"reference_fingerprint": measurement["reference_fingerprint"]}
    folder = measurement["settings"].get("reference")
    if folder is None or not placed(folder).is_dir():
        return {}
    return {"reference_fingerprint": taken_once(str(placed(folder)))}


@functools.cache
def taken_once(folder: str) -> str:
    """Returns the fingerprint of a folder, taken once in this process: it may have a million files,
    and is that of every task."""
    return fingerprint({"path": folder})


def check_reference(spec: Spec) -> None:
    """Raises UserError if the photographs that a measurement compares with are no longer as they
    were when it was asked for."""
    if "reference_fingerprint" in spec:
        folder = str(placed(spec["settings"]["reference"]))
        check_fingerprint({"path": folder, "fingerprint": spec["reference_fingerprint"]})
