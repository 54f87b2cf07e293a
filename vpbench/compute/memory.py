"""Memory of a process that computes on a CPU: what one step has freed, the next finds again."""

import ctypes
import sys

TRIM_THRESHOLD, MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
NEVER, LARGEST = 2**31 - 1, 32 * 2**20  # bytes; the largest threshold that it takes for mmap


def keep_freed() -> bool:
    """Returns whether memory that is freed stays with this process from here on: it does on glibc.

    By itself glibc gives tensors back to the system, which hands out and clears the same memory at
    the next step, page by page; here it keeps those of up to 32 MiB. `python -m benchmarks
    saved_work` says what that saves.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    thresholds = {MMAP_THRESHOLD: LARGEST, TRIM_THRESHOLD: NEVER}
    return all([library.mallopt(key, value) for key, value in thresholds.items()])
