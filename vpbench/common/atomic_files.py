"""Files that are there whole or not at all."""

import errno
import glob
import io
import json
import math
import os
import platform
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from vpbench.common.errors import UserError
from vpbench.common.locks import is_gone
from vpbench.common.messages import not_written

PART = ".part"  # how the name of a file ends that is being written


def write(path: str | Path, record: Any) -> Path:
    """Returns `path` once `record` (or a manifest) is there as JSON, whole: never a part of it."""
    try:
        text = json.dumps(plain(record), indent=1, allow_nan=False) + "\n"
    except TypeError as error:
        raise UserError(f"{path}: not written, {error}") from None
    return write_bytes(path, text.encode())


def write_bytes(path: str | Path, data: bytes) -> Path:
    """Returns `path` once `data` is there, whole; a failure leaves nothing and gives one line."""
    with whole_file(path) as file:
        file.write(data)
    return Path(path)


@contextmanager
def whole_file(path: str | Path, older: Path | None = None) -> Iterator[BinaryIO]:
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
        raise UserError(f"{path}: not written, {not_written(error)}") from None


def clear_parts(path: Path) -> None:
    """Removes what processes of this machine that were killed have left of `path`."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*{PART}"):
        host, _, pid = part.name[len(path.name) + 2 : -len(PART)].rpartition(".")
        if host == platform.node() and pid.isdigit() and is_gone(int(pid)):
            part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Waits until the names of the files in `folder` are on disk as they are now."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network disks know no such thing
            raise
    finally:
        os.close(descriptor)


def write_with(path: str | Path, save: Callable[[BinaryIO], object]) -> Path:
    """Returns `path` once it holds, whole, what `save` writes into a file."""
    buffer = io.BytesIO()
    save(buffer)
    return write_bytes(path, buffer.getvalue())


def write_arrays(path: str | Path, arrays: Mapping[str, Any]) -> Path:
    """Returns `path` once it holds `arrays` (name -> values) as a compressed npz."""
    values: dict[str, Any] = {name: np.asarray(value) for name, value in arrays.items()}
    return write_with(path, lambda file: np.savez_compressed(file, **values))


def plain(value: Any) -> Any:
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
