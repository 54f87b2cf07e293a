"""A lock as a file, for processes that share a file system but perhaps not a machine.

The kernel's own locks are not passed on by every network file system, and they do not say who
holds them. Here the file names its holder, who touches it every few seconds as a sign of life.
"""

import json
import os
import platform
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vpbench.common.errors import UserError
from vpbench.common.messages import not_written

BEAT = 5.0  # seconds between two signs of life
POLL = 1.0  # seconds between two looks of a process that waits
# A lock is stale after this silence. It is measured with the clock of the process that waits, so
# the machines' clocks need not agree; network file systems may show a sign of life a minute late.
GONE = 3 * BEAT  # of a process of this machine that no longer exists
SILENT = 300.0  # of any other


class LostLock(UserError):
    """Another process took the lock over, since this one gave no sign of life for long."""


class NoLock(UserError):
    """The lock cannot be written: the disk is full, or read-only."""


@contextmanager
def hold(path: str | Path) -> Iterator[Callable[[], None]]:
    """Yields a function that raises LostLock once the lock `path` is held no more.

    Waits, with a line on stderr, while another process holds it; takes it over if it is stale.
    Raises NoLock if it cannot be written.
    """
    path = Path(path)
    owner = json.dumps({"host": platform.node(), "pid": os.getpid(), "token": uuid.uuid4().hex})
    _acquire(path, owner)
    ended = threading.Event()
    heart = threading.Thread(target=_beat, args=(path, owner, ended), daemon=True)
    heart.start()

    def check() -> None:
        if _read(path) != owner:
            raise LostLock(f"{path}: this process was silent and lost its lock; start it again")

    try:
        yield check
    finally:
        ended.set()
        heart.join()
        if _read(path) == owner:
            path.unlink(missing_ok=True)


@contextmanager
def one_at_a_time(folder: str | Path) -> Iterator[None]:
    """Waits until no other process is in such a block for `folder`, which is made if it is missing.

    For moments: it is the kernel's lock, gone with its process, and nothing where there is none.
    """
    import fcntl  # Unix has it; elsewhere the rest of this module works

    descriptor = None
    with suppress(OSError):  # what is wrong with the folder is said by who writes into it
        Path(folder).mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def holder(path: str | Path) -> str | None:
    """Returns who holds the lock `path`, in words, or None if nobody does."""
    text = _read(path)
    return None if text is None else _in_words(text)


def is_gone(pid: int) -> bool:
    """Returns whether this machine has no process of this number, as far as one can tell."""
    if os.name != "posix":
        return False
    try:
        os.kill(pid, 0)  # signal 0 asks only whether it exists
    except (ProcessLookupError, OverflowError):
        return True
    except PermissionError:
        return False
    return False


def _acquire(path: Path, owner: str) -> None:
    seen: tuple[str, int] | None = None
    told: str | None = None
    since = time.monotonic()
    while not _create(path, owner):
        sign = _look(path)
        if sign is None:  # released since
            continue
        if sign != seen:
            seen, since = sign, time.monotonic()
        text, _ = sign
        if text != told:
            print(f"{path}: waiting for {_in_words(text)}", file=sys.stderr, flush=True)
            told = text
        silence = time.monotonic() - since
        if silence > (GONE if _owner_is_gone(text) else SILENT):
            line = f"{_in_words(text)} gives no sign of life; its stale lock is taken over"
            print(f"{path}: {line}", file=sys.stderr, flush=True)
            _set_aside(path, text)
            continue
        time.sleep(POLL)


def _create(path: Path, owner: str) -> bool:
    try:
        with open(path, "x") as file:  # fails if it exists; atomic on network file systems too
            try:
                file.write(owner)
                file.flush()
            except OSError:  # nobody is to wait for a lock without a holder
                path.unlink(missing_ok=True)
                raise
    except FileExistsError:
        return False
    except OSError as error:
        raise NoLock(f"{path}: the lock was not written, {not_written(error)}") from None
    return True


def _set_aside(path: Path, stale: str) -> None:
    # Of several processes that rename the same file one succeeds.
    aside = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return
    taken = aside.read_text()
    aside.unlink()
    if taken != stale:  # another one was faster and this was its new lock: give it back
        _create(path, taken)


def _beat(path: Path, owner: str, ended: threading.Event) -> None:
    while not ended.wait(BEAT):
        with suppress(OSError):
            if _read(path) == owner:
                os.utime(path)


def _look(path: Path) -> tuple[str, int] | None:
    """Returns what is in the file of a lock and its last sign of life, or None without one."""
    try:
        return path.read_text(), path.stat().st_mtime_ns
    except FileNotFoundError:
        return None


def _read(path: str | Path) -> str | None:
    sign = _look(Path(path))
    return None if sign is None else sign[0]


def _parse(text: str) -> tuple[str, int] | None:
    try:
        owner = json.loads(text)
        return owner["host"], int(owner["pid"])
    except (ValueError, KeyError, TypeError):  # not written to its end yet, or never
        return None


def _in_words(text: str) -> str:
    owner = _parse(text)
    return "process {1} on {0}".format(*owner) if owner else "an unknown process"


def _owner_is_gone(text: str) -> bool:
    owner = _parse(text)
    return owner is not None and owner[0] == platform.node() and is_gone(owner[1])
