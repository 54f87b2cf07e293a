"""GPUs for this process: the scheduler's choice, else the first free ones of this machine.

No torch here: CUDA reads CUDA_VISIBLE_DEVICES once, when torch first asks for a GPU.
"""

import fcntl
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TextIO

from vpbench.common.errors import UserError

_locks: list[
    TextIO
] = []  # open lock files; the kernel drops the locks when the process ends, even on SIGKILL


def visible() -> list[str]:
    """Returns the ids of the GPUs that this process may use."""
    ids = os.environ.get("CUDA_VISIBLE_DEVICES")
    if ids is not None:
        return [each for each in ids.split(",") if each]
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True).stdout
    except FileNotFoundError:
        return []
    lines = [line for line in listing.splitlines() if line.startswith("GPU ")]
    return [str(number) for number in range(len(lines))]


def claim(count: int = 1, poll: float = 1.0) -> list[str]:
    """Returns the ids of `count` GPUs that are this process's alone, waiting until they are free.

    CUDA_VISIBLE_DEVICES is narrowed to them, so call this before torch is imported. Where there is
    no choice (no GPU, as many as wanted, a scheduler that has chosen) nothing is claimed. Raises
    UserError if there are fewer GPUs than wanted.
    """
    ids = visible()
    if 0 < len(ids) < count:
        raise UserError(f"{count} GPUs are wanted, {len(ids)} can be seen: {', '.join(ids)}")
    if len(ids) <= count:
        return ids
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
