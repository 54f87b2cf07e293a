"""Disks that are really full or read-only: by a mount, or by the limits of a plain user."""

import os
import resource
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest

SIZE = 2**20  # bytes of a small disk
FILLER = ".filler"


class Mounted:
    """A folder on a disk of its own."""

    reason = "the disk is full"

    def __init__(self, folder):
        self.folder = folder

    def fill(self, left):
        """Returns None; from here on `left` bytes can be written, in whole pages."""
        self.free()
        with open(self.folder / FILLER, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, os.statvfs(self.folder).f_bavail * PAGE - left)

    def free(self):
        """Returns None; from here on there is room again."""
        (self.folder / FILLER).unlink(missing_ok=True)


class Limited:
    """A folder as any other, but this process may write no large files."""

    reason = "the file would be larger than is allowed here"

    def __init__(self, folder):
        self.folder, self.limits = folder, resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(self, left):
        """Returns None; from here on a file may have `left` bytes."""
        resource.setrlimit(resource.RLIMIT_FSIZE, (left, self.limits[1]))

    def free(self):
        """Returns None; from here on files may be large again."""
        resource.setrlimit(resource.RLIMIT_FSIZE, self.limits)


PAGE = os.sysconf("SC_PAGE_SIZE")


def mount(*arguments):
    """Returns whether `mount` did what it was asked for; a plain user may not."""
    if os.geteuid() != 0:
        return False
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True).returncode == 0


@contextmanager
def small(folder):
    """Yields a disk that can be filled: `folder` is its `folder`, which is made."""
    folder = Path(folder)
    folder.mkdir()
    if not mount("-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder):
        disk = Limited(folder)
        try:
            yield disk
        finally:
            disk.free()
        return
    try:
        yield Mounted(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@contextmanager
def read_only(folder):
    """Yields what is said of a write into `folder`, which is read-only for the time of a block.

    Root ignores permissions, so it is mounted over itself; where that is forbidden the test is
    skipped.
    """
    if mount("--bind", folder, folder):
        try:
            assert mount("-o", "remount,ro,bind", folder)
            yield "the disk is read-only"
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
        return
    if os.geteuid() == 0:
        pytest.skip("root ignores permissions, and may not mount here")
    folders = [Path(folder), *(path for path in Path(folder).rglob("*") if path.is_dir())]
    try:
        for each in folders:
            each.chmod(0o555)
        yield "no permission to write here"
    finally:
        for each in folders:
            each.chmod(0o755)
