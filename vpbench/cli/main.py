"""The command line: `vpbench VERB` or `python -m vpbench VERB`."""

import gc
import json
import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from vpbench.cli.device import claim_gpus, limit_threads
from vpbench.common import paths
from vpbench.common.errors import UserError
from vpbench.common.messages import first_line, one_line, out_of_memory
from vpbench.common.signals import heard_by


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: that of the verb, or 2 after one line on stderr for a user's mistake.

    Any other exception is a fault of ours and keeps its traceback; with --debug every one does.
    """
    gc.set_threshold(100_000, 20, 20)  # imports make a million objects, and no garbage
    line = sys.argv[1:] if argv is None else list(argv)
    arguments = Namespace(debug="--debug" in line)  # until they are parsed
    try:
        with interrupted_by(signal.SIGINT, signal.SIGTERM):
            from vpbench.cli.parser import parser  # here, where Ctrl-C is one line as well

            arguments = parser().parse_args(line)
            arguments.line = line
            code = carry_out(arguments)
            sys.stdout.flush()
            return code
    except BrokenPipeError:  # who reads has enough, as in `vpbench list | head -1`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        return 128 + signal.SIGPIPE
    except KeyboardInterrupt as stopped:
        if arguments.debug:
            raise
        number = stopped.args[0] if stopped.args else signal.SIGINT
        if os.environ.get("RANK", "0") == "0":  # once for a run that several processes share
            print("vpbench: stopped; what is written already stays", file=sys.stderr)
        return 128 + number
    except Exception as error:
        told = mistake(error)
        if told is None or arguments.debug:
            raise
        return complain(told)


def carry_out(arguments: Namespace) -> int:
    """Returns the exit code of the verb, on GPUs and threads of its own."""
    paths.use(getattr(arguments, "data_dir", None), getattr(arguments, "weights_dir", None))
    if getattr(arguments, "device", None) in ("auto", "cuda"):
        claim_gpus(getattr(arguments, "processes", 1))
    if getattr(arguments, "threads", None) is not None:
        limit_threads(arguments.threads)
    code: int | None = arguments.function(arguments)
    return code or 0


class Interrupted(KeyboardInterrupt):
    """A signal that ends the command. (Python ends by SIGINT after a plain one in some imports.)"""


@contextmanager
def interrupted_by(*numbers: signal.Signals) -> Iterator[None]:
    """Raises Interrupted(number) where one of these signals comes, for the time of a block.

    One that is ignored stays so. A training takes them by itself: see Checkpoint.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise Interrupted(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with heard_by(interrupt, numbers):
        yield


def mistake(error: Exception) -> str | None:
    """Returns what the user can mend, in one line, or None for a fault of ours."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):  # a file or folder that cannot be read or written
        where = f"{error.filename}: " if error.filename else ""
        return where + (error.strerror or str(error))
    if isinstance(error, MemoryError | RuntimeError) and out_of_memory(error):
        return (
            f"the memory is too small ({first_line(error)}); choose fewer images, a smaller batch "
            "or another machine"
        )
    return None


def complain(line: str) -> int:
    """Returns 2; `line` is on stderr, or known to the process that has started this one.

    Where several processes share a run, that one says it once: see distributed.launch.
    """
    told = os.environ.get("TORCHELASTIC_ERROR_FILE")
    if told:
        with suppress(OSError):
            Path(told).write_text(json.dumps({"message": line, "timestamp": time.time()}))
            return 2
    print(f"vpbench: {one_line(line)}", file=sys.stderr)
    return 2
