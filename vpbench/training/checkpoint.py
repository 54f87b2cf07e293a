"""A run that was interrupted goes on where it was, and ends as if nothing had happened."""

import hashlib
import io
import json
import os
import platform
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import IO, Any, BinaryIO, NoReturn, cast

import torch
from tqdm import tqdm

from vpbench.common import atomic_files, locks, strict_json
from vpbench.common.errors import UserError
from vpbench.common.hashing import digest
from vpbench.common.signals import heard_by
from vpbench.compute import distributed
from vpbench.compute.distributed import SIGNALS
from vpbench.records.schema import difference

FORMAT = 4  # of the file: HEAD with the SHA-256 of all that follows, the run as JSON, its state
TRIES = 2  # starts at one step, before another one is refused
HEAD = "vpbench checkpoint {} sha256 {}\n"


class Stopped(SystemExit):
    """The run was asked to end (by one of SIGNALS) and has kept its state."""


class Checkpoint:
    """The two files that a run keeps its last two states in; without a `path` none.

    It is time for the next one after `every` seconds, and at each `steps`-th step if that is given.
    `about` says which run it is, as JSON would: the file of another run is not used.
    """

    def __init__(
        self,
        path: str | Path | None = None,
        every: float = 300,
        about: dict[str, Any] | None = None,
        steps: int | None = None,
    ):
        self.path = None if path is None else Path(path)
        self.older = self.path and self.path.with_suffix(".older" + self.path.suffix)
        self.starts = self.path and self.path.with_suffix(".starts")  # see `trying`
        self.every, self.steps = every, steps
        self.tell(about or {})
        self.started = self.written = time.perf_counter()
        self.before = 0.0  # seconds of the parts before this one
        self.stopped_by: signal.Signals | None = None  # the signal that has come

    @property
    def seconds(self) -> float:
        """The time that the run has taken, all its parts together."""
        return self.before + time.perf_counter() - self.started

    @property
    def stop(self) -> bool:
        """Whether the run is to end."""
        return self.stopped_by is not None

    def tell(self, about: dict[str, Any]) -> None:
        """Sets which run it is."""
        self.about = json.loads(json.dumps(about))

    @property
    def is_there(self) -> bool:
        """Whether one of the two files is there, of whatever run."""
        return any(path is not None and path.exists() for path in (self.path, self.older))

    def obstacle(self) -> str | None:
        """Returns why none of the two files can be used, or None if one can or none is there."""
        reason = None
        for path in filter(None, (self.path, self.older)):
            try:
                load(path, self.about)
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                reason = reason or f"{path}: {error}"
            else:
                return None
        return reason

    def due(self, step: int) -> bool:
        """Returns whether it is time to write, after `step` steps of the training."""
        if self.path is None:
            return False
        in_steps = self.steps is not None and step % self.steps == 0
        return in_steps or time.perf_counter() - self.written >= self.every

    def read(self) -> dict[str, Any] | None:
        """Returns the last state of the run, on the CPU, or None if it starts now.

        A file that is broken or of another run is put aside, beside where it was, and the older one
        is used.
        """
        refused = False
        for path in filter(None, (self.path, self.older)):
            try:
                self.before, state = load(path, self.about)
            except FileNotFoundError:
                continue  # of the newer one too: killed between two renames
            except OSError as error:
                put_aside(path, error.strerror or "it cannot be read")
            except ValueError as error:
                put_aside(path, str(error))
            else:
                if refused:
                    say(f"vpbench: the run goes on from the checkpoint before it, {path}")
                return state
            refused = True
        if refused:
            say("vpbench: there is no other checkpoint, the run starts anew")
        return None

    def write(self, state: dict[str, Any]) -> None:
        """Writes `state`; a disk that is full does not end the run.

        It goes to the disk as it is, without a copy in memory: it may be a backbone and the moments
        of its weights. Not more than two files are on the disk at any time.
        """
        self.written = time.perf_counter()
        if self.path is None or self.older is None or distributed.rank() > 0:
            return
        try:
            if self.path.exists():  # else the older one is all there is
                self.older.unlink(missing_ok=True)
            with atomic_files.whole_file(self.path, older=self.older) as file:
                file.write(HEAD.format(FORMAT, "0" * 64).encode())
                content = Hashed(file)
                content.write(json.dumps(self.about).encode() + b"\n")
                torch.save({"seconds": self.seconds, "state": state}, cast(IO[bytes], content))
                digest = content.end()
                file.seek(0)
                file.write(HEAD.format(FORMAT, digest).encode())
        except (UserError, OSError) as error:
            say(f"warning: no checkpoint, {error}")

    def remove(self) -> None:
        """Removes both files, the count of starts, and what a killed process left of one.

        Where that is forbidden they stay: the record is there, and they do no harm.
        """
        if self.path is None or self.older is None or distributed.rank() > 0:
            return
        try:
            atomic_files.clear_parts(self.path)
            for path in (self.older, self.path, self.starts):
                if path is not None and path.exists():
                    path.unlink(missing_ok=True)
        except OSError as error:
            say(f"warning: {self.path} stays there, {error.strerror}")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Notes one of SIGNALS in `stop`, for the time of a block, instead of ending at once.

        A second Ctrl-C does that. Signals that this process was started to ignore stay ignored.
        """
        if self.path is None or threading.current_thread() is not threading.main_thread():
            yield
            return

        def note(number: int, frame: FrameType | None) -> None:
            # Where several processes share a run, the one that has started them passes it on, too.
            if number == signal.SIGINT == self.stopped_by and distributed.processes() == 1:
                raise KeyboardInterrupt
            self.stopped_by = signal.Signals(number)

        with heard_by(note, SIGNALS):
            yield

    @contextmanager
    def trying(self, step: int, steps: int) -> Iterator[None]:
        """Counts a start at `step` of `steps` that is ended from outside within a block.

        Raises UserError if TRIES starts there were: a run whose every part is too short for one
        step, or for an evaluation, would be started again for ever. A user's Ctrl-C and an error do
        not count.
        """
        if self.starts is None or distributed.rank() > 0:
            yield
            return
        here = {"run": digest([self.about]), "step": step}
        starts = starts_at(self.starts, here)
        ended = [start for start in starts if not goes_on(start)]
        if len(ended) >= TRIES:
            raise UserError(
                f"{self.path}: {len(ended)} starts at step {step} of {steps} were ended before one "
                "more was kept, by a time limit or for lack of memory; choose a larger max_runtime "
                f"or a smaller batch_size, and delete {self.starts}: then the run is tried again"
            )
        with suppress(UserError):  # who cannot write here says so of the checkpoint
            start = {"host": platform.node(), "pid": os.getpid()}
            atomic_files.write(self.starts, here | {"starts": [*starts, start]})
        counts = False
        try:
            yield
        except Stopped:
            counts = self.stopped_by != signal.SIGINT
            raise
        finally:
            if not counts:
                with suppress(OSError):
                    self.starts.unlink(missing_ok=True)

    def end(self) -> NoReturn:
        """Raises `Stopped`, after a line that says how the run goes on."""
        by = self.stopped_by or signal.SIGTERM  # which another process of the run has got
        say(f"vpbench: stopped by {by.name}; started again, the run goes on from {self.path}")
        raise Stopped(128 + by)


def starts_at(path: Path, point: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the processes that the file `path` has at `point`: a run and a step of it."""
    try:
        noted = strict_json.parse_json(path.read_bytes())
        starts = noted["starts"] if point.items() <= noted.items() else []
        return [{"host": start["host"], "pid": int(start["pid"])} for start in starts]
    except (OSError, ValueError, KeyError, AttributeError, TypeError):  # there is none, or no more
        return []


def goes_on(start: dict[str, Any]) -> bool:
    """Returns whether a start has not ended: another process of this machine that is still there.

    Two that do the same run at once are no tries of it.
    """
    other = start["host"] == platform.node() and start["pid"] != os.getpid()
    return other and not locks.is_gone(start["pid"])


class Hashed(io.RawIOBase):
    """A file to write into that knows the SHA-256 of what has gone through it.

    A failure is raised at its end: torch, which writes here, cannot be ended by one.
    """

    def __init__(self, file: BinaryIO):
        super().__init__()
        self.file, self.digest = file, hashlib.sha256()
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        """Returns the number of bytes of `data`, which are written unless there was a failure."""
        if self.failure is None:
            self.digest.update(data)
            try:
                self.file.write(data)
            except OSError as error:
                self.failure = error
        return len(data)

    def end(self) -> str:
        """Returns the SHA-256 as hexadecimal digits; raises OSError if not all is written."""
        if self.failure is not None:
            raise self.failure
        return self.digest.hexdigest()


def load(path: str | Path, about: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Returns (seconds, state) of the checkpoint `path` of the run `about`, on the CPU.

    Raises UserError with the reason if it is not sound or of another run. Nothing is unpickled
    before its checksum is right and the run is this one, and then no more than plain values.
    """
    with open(path, "rb") as file:
        head = file.readline(200)
        parts = re.fullmatch(HEAD.format(r"(\d+)", "([0-9a-f]{64})").encode(), head)
        if not parts:
            raise UserError("it is no checkpoint of this version of vpbench")
        if int(parts[1]) != FORMAT:
            raise UserError(f"its format is {int(parts[1])}, this version reads {FORMAT}")
        if hashlib.file_digest(file, "sha256").hexdigest() != parts[2].decode():
            raise UserError("it is broken: its checksum is not that of its content")
        file.seek(len(head))
        try:
            differing = difference(json.loads(file.readline()), about)
            if not differing:
                content = torch.load(file, "cpu", weights_only=True)
                return content["seconds"], content["state"]
        except Exception:  # whatever torch says of a state that `write` did not make
            raise UserError("it is broken: it holds no state of a run") from None
    key, its, mine = differing
    raise UserError(f"its {key} is {its!r}, the run's is {mine!r}")


def put_aside(path: Path, reason: str) -> None:
    """Gives the file `path` another name, if that is allowed, and says why in a line."""
    aside = path.with_name(path.name + ".aside")
    if distributed.rank() == 0:
        try:
            path.replace(aside)
            say(f"{path}: not used, {reason}; it is now {aside}")
        except OSError as error:
            say(f"{path}: not used, {reason}; it stays there: {error.strerror}")


def say(line: str) -> None:
    """Prints `line` on stderr, once and not in the middle of a progress bar."""
    if distributed.rank() == 0:
        tqdm.write(line, file=sys.stderr)
