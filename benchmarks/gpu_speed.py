"""How fast a GPU takes the official steps, beside its own products; one process and two."""

import multiprocessing
import os
import socket
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch.utils.flop_counter import FlopCounterMode

from benchmarks import report
from benchmarks.against_official import relative, update
from benchmarks.gpu_parts import SAME, STEPS, Found, Material, material, whole_float32
from benchmarks.our_step import OurStep
from vpbench.compute import distributed
from vpbench.compute.engine import Engine, computing
from vpbench.compute.precision import usable

BATCH = {"clip_vit_b32": 256, "instagram_32x8d": 32, "bit_m_r50x1": 128, "rn50": 128}
SECONDS = 3.0  # that each is measured for
SIDE = 8192  # of the square product that says what the GPU can do


def speeds(device: torch.device, tiny: bool) -> Found:
    """Returns images per second of the paper's four backbones, and their share of the products."""
    side, rows = 256 if tiny else SIDE, []
    limits = {each: product_rate(device, each, side) for each in usable(device)}
    for name, batch in BATCH.items():
        made = material(name, device, tiny, 8 if tiny else batch)
        seconds = 0 if tiny else SECONDS
        rows += [speed(made, each, limit, seconds) for each, limit in limits.items()]
    return {"rows": rows, "goals": []}


def product_rate(device: torch.device, precision: str, side: int) -> float:
    """Returns the operations per second of a square product, the best of five."""
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    matrix, seconds = torch.randn(side, side, device=device, dtype=dtype), []
    for _ in range(6):
        started = time.perf_counter()
        (matrix @ matrix)[0, 0].item()  # waits for a GPU
        seconds.append(time.perf_counter() - started)
    return 2 * side**3 / min(seconds[1:])


def speed(made: Material, precision: str, limit: float, least: float) -> Found:
    """Returns the images per second of steps, and the share of `limit` (FLOP/s) they reach.

    They are measured for `least` seconds, and twice.
    """
    train, batch = made.task.splits["train"], made.settings["batch_size"]
    device = made.backbone.device
    images, labels = train.images[:batch].to(device), train.labels[:batch].to(device)
    with computing(made.backbone, Engine(precision)):
        step = OurStep(*made)
        step(images, labels)  # the first chooses kernels and fills caches
        with FlopCounterMode(display=False) as counter:
            step(images, labels)
        started, count = time.perf_counter(), 0
        while count < 2 or time.perf_counter() - started < least:
            step(images, labels)
            count += 1
        seconds = (time.perf_counter() - started) / count
    return {
        "backbone": made.backbone.name, "precision": precision, "batch": batch,
        "images of a pass": step.trainer.progress.micro_batch,
        "images per second": batch / seconds,
        "TFLOP/s": counter.get_total_flops() / seconds / 1e12,
        "TFLOP/s of products": limit / 1e12,
        "share": counter.get_total_flops() / seconds / limit,
    }  # fmt: skip


def shared(device: torch.device, tiny: bool) -> Found:
    """Returns what one process and two find, and how fast they are.

    Two GPUs work together through NCCL. Two processes on one GPU, which NCCL refuses, work through
    gloo: that shows that they find the same, not how fast two GPUs are.
    """
    gpus = torch.cuda.device_count() if device.type == "cuda" else 0
    through = "nccl" if gpus > 1 else "gloo"
    with tempfile.TemporaryDirectory() as folder:
        one = members(1, device, tiny, through, Path(folder, "one"))
        two = members(2, device, tiny, through, Path(folder, "two"))
    difference = relative(two["update"], one["update"])
    row = {
        "GPUs": gpus, "through": through, "difference": difference,
        "images per second of one": one["speed"], "images per second of two": two["speed"],
    }  # fmt: skip
    text = "two processes, difference of the update from one's"
    return {"rows": [row], "goals": [report.goal(text, difference, SAME, at_most=True)]}


def members(count: int, device: torch.device, tiny: bool, through: str, path: Path) -> Any:
    """Returns what the first of `count` processes that share the steps has found."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = multiprocessing.get_context("spawn")
    arguments = [(rank, count, port, str(device), tiny, through, path) for rank in range(count)]
    started = [context.Process(target=member, args=each, daemon=True) for each in arguments]
    for process in started:
        process.start()
    for process in started:
        process.join()
    ended = [process.exitcode for process in started]
    if any(ended):
        raise RuntimeError(f"the processes have ended with {ended}")
    return torch.load(path, weights_only=True)


def member(
    rank: int, count: int, port: int, device: str, tiny: bool, through: str, path: Path
) -> None:
    """Takes the steps as one of `count` processes; the first writes what it found to `path`."""
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "RANK": str(rank)}
    os.environ |= {"WORLD_SIZE": str(count), "LOCAL_RANK": str(rank)}
    mine = torch.device(f"cuda:{rank if through == 'nccl' else 0}" if "cuda" in device else device)
    if through == "nccl" or mine.type == "cpu":
        with distributed.group(mine):
            found = take_steps(mine, tiny)
    else:
        dist.init_process_group("gloo")
        found = take_steps(mine, tiny)
        dist.destroy_process_group()
    if rank == 0:
        torch.save(found, path)


def take_steps(device: torch.device, tiny: bool) -> Found:
    """Returns the update of the prompt after the steps of all processes, and their speed."""
    batch = 8 if tiny else 128
    made = material("clip_vit_b32", device, tiny, batch)
    train = made.task.splits["train"]
    images, labels = train.images.to(device), train.labels.to(device)
    with whole_float32():
        step = OurStep(*made)
        start = {name: value.clone() for name, value in step.prompt.state_dict().items()}
        for number in range(STEPS):
            if number == STEPS // 2:
                started = time.perf_counter()
            first = number * batch % len(images)
            index = distributed.share(torch.arange(first, first + batch)).to(device)
            step.trainer.train_step(images[index], labels[index], batch)
        seconds = (time.perf_counter() - started) / (STEPS - STEPS // 2)
    return {"update": update(step.prompt, start).cpu(), "speed": batch / seconds}
