"""One run on several devices of a machine: each process takes a share of every batch.

torchrun, or `vpbench run --processes N`, starts the processes. Each starts from the same state and
draws the same random numbers; gradients are summed over the shares of a batch, so that the result
is that of one process but for rounding. Batch norm, which only fine-tuning trains, normalises by
the share of a process, as in PyTorch's own DDP; its running statistics are averaged.
"""

import logging
import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from vpbench.common.errors import UserError
from vpbench.common.messages import first_line

Key = TypeVar("Key")
Value = TypeVar("Value")
# Of schedulers, some time before they kill; of Ctrl-C; of a terminal that is closed.
SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT, signal.SIGHUP)
ALONE = "another process of this run has ended"


class LostProcess(UserError):
    """Another process of this run does not answer any more."""


@contextmanager
def together() -> Iterator[None]:
    """Turns what torch says, when the processes cannot do something together, into one line."""
    try:
        yield
    except RuntimeError as error:
        raise LostProcess(f"{ALONE} ({first_line(error)})") from None


def processes() -> int:
    """Returns the number of processes of this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Returns the number of this process; 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def launched() -> bool:
    """Returns whether this process is one of several that torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def launch(count: int, arguments: Sequence[str]) -> int:
    """Returns the exit code of `vpbench` with these arguments in `count` processes.

    A signal to end goes on to them, so that they can write their checkpoint. Raises UserError with
    what one of them complains of, or how it ended; the others are ended then.
    """
    # What torchrun is made of, without what it prints about its processes: that is said below.
    command = [sys.executable, "-m", "vpbench", *arguments]
    logging.disable()
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // count)))
    with tempfile.TemporaryDirectory(prefix="vpbench-") as folder:
        config = LaunchConfig(
            *(1, 1, count, DefaultLogsSpecs(folder)),
            run_id="vpbench",
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            signals_to_handle=",".join(each.name for each in SIGNALS),
        )
        try:
            elastic_launch(config, command[0])(*command[1:])
        except SignalException as stopped:
            return 128 + int(stopped.sigval)
        except ChildFailedError as error:
            print(file=sys.stderr)  # the bar of one that was killed is still in its line
            return judge(error.failures, count)
        finally:
            logging.disable(logging.NOTSET)
    return 0


def judge(failures: dict[int, ProcessFailure], count: int) -> int:
    """Returns the exit code of a run with `failures` (rank -> torch's ProcessFailure).

    It is 128 + signal where they were stopped. Else raises UserError with the reason.
    """
    stopped = [128 + number for number in SIGNALS]

    def cause(rank: int) -> tuple[bool, bool, bool, int]:
        failure = failures[rank]
        by_us = failure.exitcode in (-signal.SIGTERM, *stopped)  # if it is not the only one
        lost = failure.message.startswith(ALONE)
        return by_us, lost, failure.exitcode >= 0, failure.timestamp

    rank = min(failures, key=cause)
    failure = failures[rank]
    if failure.exitcode in stopped:
        return int(failure.exitcode)
    if os.path.isfile(failure.error_file):
        raise UserError(failure.message)  # see cli.main.complain
    how = f"has ended with code {failure.exitcode}"
    if failure.exitcode < 0:
        how = f"was killed by {failure.signal_name()}"
    raise UserError(
        f"process {rank + 1} of {count} {how}; started again, the run goes on from its checkpoint"
    )


@contextmanager
def group(device: torch.device) -> Iterator[None]:
    """Joins the processes that torchrun has started, if it has, for the time of a block."""
    if not launched():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    with together():
        dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    yield
    dist.destroy_process_group()  # not after an error: the others may never come


def share(index: Tensor) -> Tensor:
    """Returns this process's part of the tensor `index` [N]; sizes differ by one at most."""
    return index.tensor_split(processes())[rank()]


@together()
def broadcast(module: nn.Module) -> None:
    """Gives every process the state of `module` in process 0."""
    if processes() > 1:
        for value in module.state_dict().values():
            dist.broadcast(value, src=0)


@together()
def sum_gradients(module: nn.Module) -> None:
    """Replaces every gradient by the sum of those of all processes."""
    if processes() == 1:
        return
    parameters = list(module.parameters())
    used = torch.tensor([p.grad is not None for p in parameters], dtype=torch.uint8)
    dist.all_reduce(used, dist.ReduceOp.MAX)  # a process without an image has no gradients
    for parameter, somewhere in zip(parameters, used.tolist(), strict=True):
        if somewhere:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            dist.all_reduce(parameter.grad)


@together()
def sum_numbers(*numbers: float) -> tuple[float, ...]:
    """Returns each of the numbers summed over all processes."""
    if processes() == 1:
        return numbers
    total = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(total)
    return tuple(total.tolist())


@together()
def sum_tensor(values: Tensor) -> Tensor:
    """Returns the tensor `values`, on the CPU, summed over all processes."""
    if processes() > 1:
        dist.all_reduce(values)
    return values


@together()
def average_buffers(module: nn.Module) -> None:
    """Replaces running statistics by the mean of those of all processes.

    They are sums over the batches, so it does not matter when, or how often, this is done.
    """
    if processes() > 1:
        for buffer in module.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= processes()


@together()
def merge(parts: dict[Key, Value]) -> dict[Key, Value]:
    """Returns the dicts `parts` of all processes as one."""
    if processes() == 1:
        return parts
    gathered: list[Any] = [None] * processes()
    dist.all_gather_object(gathered, parts)
    return {key: value for each in gathered for key, value in each.items()}
