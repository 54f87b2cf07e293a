"""A run that was interrupted goes on where it was, and ends as if nothing had happened."""

import signal
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import torch
from tqdm import tqdm

from vpbench import distributed, records

FORMAT = 1  # of the file


class Stopped(SystemExit):
    """The run was asked to end (SIGTERM: a scheduler's time limit) and has kept its state."""


class Checkpoint:
    """The file that a run keeps its state in, every `every` seconds; without a `path` none.

    `about` says which run it is, as JSON would: the file of another run is not used.
    """

    def __init__(self, path=None, every=300, about=None):
        self.path = None if path is None else Path(path)
        self.every, self.about = every, {"format": FORMAT} | (about or {})
        self.started = self.written = time.perf_counter()
        self.before = 0.0  # seconds of the parts before this one
        self.stop = False  # has a SIGTERM come?

    @property
    def seconds(self):
        """The time that the run has taken, all its parts together."""
        return self.before + time.perf_counter() - self.started

    @property
    def due(self):
        """Whether it is time to write."""
        return self.path is not None and time.perf_counter() - self.written >= self.every

    def read(self):
        """Returns the state of the run, on the CPU, or None if it starts now.

        A file that is broken or of another run is put aside, beside where it was.
        """
        if self.path is None or not self.path.exists():
            return None
        try:
            kept = torch.load(self.path, map_location="cpu", weights_only=True)
            differing = records.difference(kept["about"], self.about)
        except Exception:  # whatever torch says of a file that is not one of its own
            return self._put_aside("it is broken")
        if differing:
            key, found, mine = differing
            return self._put_aside(f"its {key} is {found!r}, the run's is {mine!r}")
        self.before = kept["seconds"]
        return kept["state"]

    def _put_aside(self, reason):
        if distributed.rank() == 0:
            aside = self.path.with_name(self.path.name + ".aside")
            self.path.replace(aside)
            say(f"{self.path}: not used, {reason}; it is now {aside}")

    def write(self, state):
        """Returns None once `state` is on disk; a disk that is full does not end the run."""
        self.written = time.perf_counter()
        if self.path is None or distributed.rank() > 0:
            return
        kept = {"about": self.about, "seconds": self.seconds, "state": state}
        try:
            records.write_with(self.path, lambda file: torch.save(kept, file))
        except records.RecordError as error:
            say(f"warning: no checkpoint, {error}")

    def remove(self):
        """Returns None; the file, and what a killed process left of one, is not there any more."""
        if self.path is not None and distributed.rank() == 0:
            self.path.unlink(missing_ok=True)
            for part in self.path.parent.glob(f".{self.path.name}.*.part"):
                part.unlink(missing_ok=True)

    @contextmanager
    def watching(self):
        """Notes a SIGTERM in `stop`, for the time of a block, instead of ending at once."""
        if self.path is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number, frame):
            self.stop = True

        before = signal.signal(signal.SIGTERM, note)
        try:
            yield
        finally:
            signal.signal(signal.SIGTERM, before)

    def end(self):
        """Raises `Stopped`, after a line that says how the run goes on."""
        if distributed.rank() == 0:
            say(f"vpbench: stopped by SIGTERM; started again, the run goes on from {self.path}")
        raise Stopped(128 + signal.SIGTERM)


def say(line):
    """Returns None; `line` is on stderr, not in the middle of a progress bar."""
    tqdm.write(line, file=sys.stderr)
