"""The precision in which a machine is fastest, measured once for every backbone."""

import json
import platform
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from vpbench.common import atomic_files, paths
from vpbench.common.errors import UserError
from vpbench.common.locks import one_at_a_time
from vpbench.common.strict_json import read_json
from vpbench.compute.engine import (
    Computing,
    Engine,
    Function,
    check_precision,
    computing,
    until_it_fits,
)

CANDIDATES = ("fp32", "bf16")
BATCH = {"cpu": 16, "cuda": 128}  # images of a measured step
SIDE = 512  # of the matrices whose product says whether a precision is worth a step
IMITATED = 5  # times as slow as in the first candidate, or more: not computed but imitated
SECONDS = 1.0  # that a precision is measured for, at least


class TimedBackbone(Computing, Protocol):
    """A backbone, as far as its speed is concerned."""

    name: str

    @property
    def image_size(self) -> int: ...

    def features(self, x: Tensor) -> Tensor: ...


def fastest_precision(
    backbone: TimedBackbone, folder: Path | None = None
) -> tuple[str, dict[str, float]]:
    """Returns (precision, candidate -> images per second of a prompt's steps).

    The choice is kept in `folder` (by default engine/ in the folder of the data), so that all runs
    of a machine have the same. A processor that only imitates a precision takes minutes for a step
    in it: there it is not measured, and is missing among the speeds.
    """
    device = backbone.device
    machine = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.node()
    name = re.sub("[^a-z0-9]+", "_", f"{machine} {backbone.name}".lower())
    folder = paths.data_dir() / "engine" if folder is None else folder
    path = folder / f"{name}.json"
    with one_at_a_time(folder):
        if not path.exists():
            measured = {each: speed(backbone, each) for each in usable(device)}
            atomic_files.write_bytes(path, (json.dumps(measured) + "\n").encode())
        speeds = read_json(path)
    if (
        not speeds
        or not isinstance(speeds, dict)
        or not all(
            name in CANDIDATES and isinstance(value, float) for name, value in speeds.items()
        )
    ):
        raise UserError(f"{path}: not the speeds of precisions; remove it to measure them again")
    return max(speeds, key=lambda name: speeds[name]), speeds


def usable(device: torch.device) -> list[str]:
    """Returns the candidates that `device` computes in: steps decide which of them is faster."""
    seconds: dict[str, float] = {}
    for precision in CANDIDATES:
        try:
            check_precision(precision, device)
        except UserError:
            continue
        seconds[precision] = product_seconds(Engine(precision), device)
    return [each for each in seconds if seconds[each] < IMITATED * seconds[CANDIDATES[0]]]


def product_seconds(engine: Engine, device: torch.device) -> float:
    """Returns the seconds of one product of two matrices, after another one."""
    matrix = torch.ones(SIDE, SIDE, device=device)
    for _ in range(2):
        started = time.perf_counter()
        engine.forward(lambda x: x @ x, matrix)[0, 0].item()  # waits for a GPU
    return time.perf_counter() - started


def speed(backbone: TimedBackbone, precision: str) -> float:
    """Returns the images per second of steps that go back to the input of `backbone`."""
    batch = BATCH[backbone.device.type]
    with computing(backbone, Engine(precision)):
        return timed(backbone.features, backbone.image_size, backbone.device, SECONDS, batch)


def timed(
    function: Function,
    side: int,
    device: torch.device,
    seconds: float,
    batch: int,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Returns the images per second, of a `clock`, of steps through `function` back to its input.

    The images, of `side` pixels, are random; if memory is short the batch is halved.
    """

    def steps(size: int) -> float:
        images = torch.randn(size, 3, side, side, device=device)
        prompt = torch.zeros(1, 3, side, side, device=device, requires_grad=True)

        def step() -> None:
            function(images + prompt).square().mean().backward()
            assert prompt.grad is not None
            prompt.grad.sum().item()  # waits for a GPU

        step()  # the first chooses kernels and fills caches
        started, count = clock(), 0
        while count < 2 or clock() - started < seconds:
            step()
            count += 1
        return count * size / (clock() - started)

    return until_it_fits(steps, batch)[0]
