"""How fast small backbones and the painters of twins are on one core of this machine.

It is measured in seconds of the processor, so that what else runs on the machine counts little.
"""

import os
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from vpbench.common.errors import UserError
from vpbench.experiment import throughput
from vpbench.spec import costs
from vpbench.spec.grid import Grid
from vpbench.spec.tasks import is_twin

BATCH = 16  # images of a step, as in the recipes of lab and desk
SECONDS = 1.0  # that a backbone is measured for
PAINTED = {"train": 50, "validation": 25, "test": 25, "resolution": "backbone"}


def cores() -> int:
    """Returns the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def speeds(backbones: Iterable[str]) -> dict[str, float | None]:
    """Returns backbone -> passes per second of a core; None for one that cannot be loaded here."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return {name: speed(name, torch.device("cpu")) for name in backbones}
    finally:
        torch.set_num_threads(threads)


def speed(backbone: str, device: Any) -> float | None:
    """Returns the same of one backbone."""
    try:
        return throughput.measured(backbone, "fp32", device, SECONDS, BATCH, time.process_time)
    except (UserError, ImportError):  # the plan says elsewhere what is missing
        return None


def painting(wanted: Grid) -> float:
    """Returns the hours that a core takes to paint the images of all jobs."""
    painted = {
        (file, run["task"]): run
        for file, specs in wanted.jobs.items()
        for run in specs
        if is_twin(run["task"])
    }
    paces = {task: per_second(100, partial(paint, task)) for task in {each[1] for each in painted}}
    images = [(sum((costs.images_of(run) or {}).values()), run["task"]) for run in painted.values()]
    return sum(count / paces[task] for count, task in images) / costs.HOUR


def paint(task: str) -> None:
    """Paints a hundred images of a twin."""
    from vpbench.data.load import load_task

    load_task(task, PAINTED)


def per_second(images: int, work: Callable[[], None]) -> float:
    """Returns the images per second of the processor."""
    started = time.process_time()
    work()
    return images / (time.process_time() - started)
