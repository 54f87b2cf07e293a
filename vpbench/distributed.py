"""One run on several devices of a machine: each process takes a share of every batch.

torchrun, or `vpbench run --processes N`, starts the processes. Each starts from the same state and
draws the same random numbers; gradients are summed over the shares of a batch, so that the result
is that of one process but for rounding. Batch norm, which only fine-tuning trains, normalises by
the share of a process, as in PyTorch's own DDP; its running statistics are averaged.
"""

import os
import signal
import subprocess
import sys
from contextlib import contextmanager

import torch
import torch.distributed as dist


def processes():
    """Returns the number of processes of this run."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank():
    """Returns the number of this process; 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def launched():
    """Returns whether this process is one of several that torchrun has started."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1


def launch(count, arguments):
    """Returns the exit code of `vpbench` with these arguments in `count` processes.

    A SIGTERM goes on to them, so that they can write their checkpoint.
    """
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += [f"--nproc-per-node={count}", "-m", "vpbench", *arguments]
    child, stops = subprocess.Popen(command), []

    def pass_on(number, frame):
        stops.append(number)
        child.send_signal(number)

    before = signal.signal(signal.SIGTERM, pass_on)
    try:
        code = child.wait()
    finally:
        signal.signal(signal.SIGTERM, before)
    return 128 + signal.SIGTERM if stops else code


@contextmanager
def group(device):
    """Joins the processes that torchrun has started, if it has, for the time of a block."""
    if not launched():
        yield
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    yield
    dist.destroy_process_group()  # not after an error: the others may never come


def share(index):
    """Returns this process's part of the tensor `index` [N]; sizes differ by one at most."""
    return index.tensor_split(processes())[rank()]


def broadcast(module):
    """Returns None; every process has the state of process 0 from here on."""
    if processes() > 1:
        for value in module.state_dict().values():
            dist.broadcast(value, src=0)


def sum_gradients(module):
    """Returns None; every gradient is the sum of those of all processes."""
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


def sum_numbers(*numbers):
    """Returns each of the numbers summed over all processes."""
    if processes() == 1:
        return numbers
    total = torch.tensor(numbers, dtype=torch.float64)
    dist.all_reduce(total)
    return total.tolist()


def average_buffers(module):
    """Returns None; running statistics are the mean of those of all processes.

    They are sums over the batches, so it does not matter when, or how often, this is done.
    """
    if processes() > 1:
        for buffer in module.buffers():
            if buffer.is_floating_point():
                dist.all_reduce(buffer)
                buffer /= processes()


def merge(parts):
    """Returns the dicts `parts` of all processes as one."""
    if processes() == 1:
        return parts
    gathered = [None] * processes()
    dist.all_gather_object(gathered, parts)
    return {key: value for each in gathered for key, value in each.items()}
