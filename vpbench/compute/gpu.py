"""GPUs for this process: the scheduler's choice, else the first free ones of this machine.

No torch here: CUDA reads CUDA_VISIBLE_DEVICES once, when torch first asks for a GPU.
"""

import fcntl
import os
import re
import subprocess
import sys
import tempfile
import time
from itertools import takewhile
from pathlib import Path
from typing import TextIO

from vpbench.common.errors import UserError

USABLE = re.compile(r"\d+|GPU-|MIG-")  # CUDA stops reading at another id, such as -1

_locks: list[
    TextIO
] = []  # open lock files; the kernel drops the locks when the process ends, even on SIGKILL


def visible() -> list[str]:
    """Returns the ids, as CUDA_VISIBLE_DEVICES takes them, of the GPUs this process may use.

    A slice of a GPU (MIG) counts as one; the GPU that it is cut from cannot be used as a whole.
    """
    ids = os.environ.get("CUDA_VISIBLE_DEVICES")
    if ids is not None:
        return list(takewhile(USABLE.match, map(str.strip, ids.split(","))))  # as CUDA reads it
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return []
    return listed(listing)


def listed(listing: str) -> list[str]:
    """Returns the ids of the GPUs in what `nvidia-smi -L` says.

    They are numbers. Where a GPU is cut into slices CUDA counts otherwise, so there UUIDs are used.
    """
    gpus: list[tuple[str, list[str]]] = []  # UUID of each GPU and of its slices
    for line in listing.splitlines():
        kind, uuid = line.split()[:1], re.search(r"\(UUID: (\S+)\)", line)
        if kind == ["GPU"]:
            gpus.append((uuid[1] if uuid else str(len(gpus)), []))
        elif kind == ["MIG"] and uuid and gpus:
            gpus[-1][1].append(uuid[1])
    if not any(slices for _, slices in gpus):
        return [str(number) for number in range(len(gpus))]
    return [id for gpu, slices in gpus for id in slices or [gpu]]


def claim(count: int = 1, poll: float = 1.0) -> list[str]:
    """Returns the ids of `count` GPUs that are this process's alone, waiting until they are free.

    CUDA_VISIBLE_DEVICES is narrowed to them, so call this before torch is imported. Where there is
    no choice (no GPU, as many as wanted, a scheduler that has chosen) nothing is claimed. Raises
    UserError if there are fewer GPUs than wanted; slices of GPUs cannot work together.
    """
    ids = visible()
    whole = ids if count == 1 else [each for each in ids if not each.startswith("MIG-")]
    if ids and len(whole) < count:
        cut = f" and {len(ids) - len(whole)} slices (MIG), which cannot share a run"
        raise UserError(
            f"{count} GPUs are wanted, {len(whole)} can be seen: {', '.join(whole)}"
            + (cut if ids != whole else "")
        )
    if len(ids) <= count:
        return ids
    ids = whole
    folder = Path(tempfile.gettempdir(), f"vpbench-gpus-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    waiting = False
    while True:
        free: dict[str, TextIO] = {}
        for each in ids:
            if len(free) < count and (lock := _lock(folder / each.replace("/", "_"))):
                free[each] = lock
        if len(free) == count:
            _locks.extend(free.values())
            os.environ["CUDA_VISIBLE_DEVICES"] = ",".join(free)
            return list(free)
        for lock in free.values():  # who keeps some and waits for more may wait for ever
            lock.close()
        if not waiting:
            print(f"vpbench: waiting for {count} of {len(ids)} GPUs", file=sys.stderr, flush=True)
        waiting = True
        time.sleep(poll)


def _lock(path: Path) -> TextIO | None:
    """Returns the open and locked file `path`, or None if another process has locked it."""
    file = open(path, "w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        return None
    return file
