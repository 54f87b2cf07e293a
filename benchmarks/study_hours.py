"""The hours of a core that a configuration of twins takes, block by block, before it is run.

`python -m benchmarks.study_hours config/study.yaml`: one cell of each kind is measured first, on
few images, in seconds of the processor, so that what else runs on the machine counts little.
"""

import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, NamedTuple

import torch

from vpbench.common.errors import UserError
from vpbench.data.load import load_task
from vpbench.data.task import Task
from vpbench.methods.kept_models import implementation_of
from vpbench.models.backbone import load_backbone
from vpbench.spec import costs
from vpbench.spec.aliases import Spec
from vpbench.spec.grid import Grid, expand
from vpbench.spec.recipes import read_configs
from vpbench.spec.schedules import is_eval_epoch
from vpbench.training.evaluate import predict

Kind = tuple[str, str]  # backbone, method
IMAGES = 640  # training images of a measured cell
FEW = {"train": IMAGES, "validation": 64, "test": 64, "resolution": "backbone"}
HOUR = 3600


class Rate(NamedTuple):
    """Images per second of the processor."""

    trained: float  # there and back, once; of a method without steps: fitted
    looked_at: float


def per_second(images: int, work: Callable[[], Any]) -> float:
    """Returns the images per second of the processor."""
    started = time.process_time()
    work()
    return images / (time.process_time() - started)


def rate(spec: Spec, task: Task) -> Rate:
    """Returns the `Rate` of a kind of run: of an epoch, without what is done once."""
    backbone, settings = load_backbone(spec["backbone"]), spec["settings"]
    images = task.splits["train"].images
    look = per_second(
        len(images), lambda: predict(lambda x: backbone.features(backbone.prepare(x)), images)
    )
    fit = implementation_of(spec["method"]).fit
    if "epochs" not in settings:
        return Rate(per_second(len(images), partial(fit, backbone, task, settings, 0)), look)
    seconds = []
    for epochs in (1, 3):
        short = settings | {"epochs": epochs, "eval_epochs": []}
        seconds.append(1 / per_second(1, partial(fit, backbone, task, short, 0)))
    return Rate(2 * len(images) / (seconds[1] - seconds[0]), look)


def rates(wanted: Grid) -> dict[Kind, Rate]:
    """Returns (backbone, method) -> its `Rate`, measured on the task of its first run."""
    first: dict[Kind, Spec] = {}
    for spec in wanted.specs.values():
        first.setdefault((spec["backbone"], spec["method"]), spec)
    found = {}
    for kind, spec in first.items():
        found[kind] = rate(spec, load_task(spec["task"], FEW))
        said = f"{found[kind].trained:,.0f} images/s trained, {found[kind].looked_at:,.0f} seen"
        print(" ".join(kind), said, file=sys.stderr, flush=True)
    return found


def seconds_of(spec: Spec, rate: Rate) -> float:
    """Returns the seconds of a run."""
    images, settings = costs.images_of(spec) or {}, spec["settings"]
    epochs, looks = settings.get("epochs", 1), 1
    if "epochs" in settings:
        looks = sum(is_eval_epoch(each, settings) for each in range(1, epochs + 1))
    held_out = sum(images.values()) - images["train"]
    trained = 0 if spec["method"] == "text_prompt" else epochs * images["train"]
    return trained / rate.trained + looks * held_out / rate.looked_at


def blocks(wanted: Grid, measured: dict[Kind, Rate]) -> Iterator[tuple[str, int, float, float]]:
    """Yields (block, runs, million images trained on, hours of a core); a run counts once."""
    seen: set[str] = set()
    for name, runs in wanted.blocks.items():
        new = [spec for path, spec in runs.items() if path not in seen]
        seen |= runs.keys()
        images = sum(
            spec["settings"]["epochs"] * (costs.images_of(spec) or {})["train"]
            for spec in new
            if "epochs" in spec["settings"]
        )
        taken = sum(seconds_of(spec, measured[spec["backbone"], spec["method"]]) for spec in new)
        yield name, len(new), images / 1e6, taken / HOUR


def painting(wanted: Grid) -> float:
    """Returns the hours that the jobs take to paint their images."""
    painted = {(file, run["task"]): run for file, specs in wanted.jobs.items() for run in specs}
    paces = {task: per_second(100, partial(paint, task)) for _, task in painted}
    images = [(sum((costs.images_of(run) or {}).values()), run["task"]) for run in painted.values()]
    return sum(count / paces[task] for count, task in images) / HOUR


def paint(task: str) -> Task:
    """Returns a hundred images of a twin."""
    return load_task(task, {"train": 50, "validation": 25, "test": 25, "resolution": "backbone"})


def report(wanted: Grid, measured: dict[Kind, Rate], painted: float) -> str:
    """Returns the table: a line per block, and their sum on one core and on two."""
    lines = [("block", "runs", "million images", "hours")]
    total, runs = painted, 0
    for name, count, images, hours in blocks(wanted, measured):
        lines.append((name, str(count), f"{images:.2f}", f"{hours:.2f}"))
        total, runs = total + hours, runs + count
    lines += [("painting", "", "", f"{painted:.2f}"), ("all", str(runs), "", f"{total:.2f}")]
    lines.append(("on two cores", "", "", f"{total / 2:.2f}"))
    return "\n".join(f"{a:24}{b:>6}{c:>16}{d:>8}" for a, b, c, d in lines)


def main(configs: list[str]) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr."""
    torch.set_num_threads(1)
    try:
        wanted = expand(*read_configs(configs))
        print(report(wanted, rates(wanted), painting(wanted)))
    except (UserError, IndexError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
