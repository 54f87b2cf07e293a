"""How long a fit will take, from a few steps that are timed before it."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import torch
import torch.nn.functional as F

from vpbench.cli.fits import Asked, Fits, is_trained
from vpbench.spec.schedules import is_eval_epoch, steps_of_epoch
from vpbench.spec.settings import Settings

if TYPE_CHECKING:
    from vpbench.data.task import Split
    from vpbench.training.learner import Learner

STEPS, LONG = 3, 1.0  # timed after the first one, which warms up; a longer one is enough, seconds
BATCH = 16  # images of a method that is not trained by steps


class Pace(NamedTuple):
    """Seconds per image."""

    trained: float
    looked: float


def announced(fits: Fits, trials: Sequence[Asked], waiting: Sequence[Asked]) -> str:
    """Returns how long fits will take that are `waiting`, from a few steps of the first trial.

    The fits themselves are as they would be without it. Raises UserError if a trial cannot be.
    """
    from vpbench.compute.draws import draws_apart
    from vpbench.methods.kept_models import implementation_of

    backbone, (method, settings) = fits.backbone, trials[0]
    task, module = fits.read(settings), implementation_of(method)
    with draws_apart(backbone.device):  # what is drawn here is drawn again by the fit
        for _, each in trials[1:]:
            module.learner(backbone, task, each, fits.seed)
        learner = module.learner(backbone, task, settings, fits.seed)
        pace = measured(learner, task.splits["train"], settings, backbone.device)
    sizes = {name: len(split) for name, split in task.splits.items()}
    seconds = sum(seconds_of(each, sizes, pace) for _, each in waiting)
    trainings = [each for _, each in waiting if is_trained(each)]
    steps = sum(each["epochs"] * steps_of_epoch(each, sizes["train"]) for each in trainings)
    step = pace.trained * settings.get("batch_size", BATCH)
    of_steps = f", {steps:,} steps of {step:.2g} s" if steps else ""
    return f"time: about {in_words(seconds)}: {len(waiting)} fits{of_steps}"


def measured(
    learner: "Learner",
    train: "Split",
    settings: Settings,
    device: "torch.device",
    clock: Callable[[], float] = time.perf_counter,
) -> Pace:
    """Returns the pace of a learner by a `clock`; its parameters stay as they are."""
    from vpbench.compute.engine import until_it_fits

    batch = settings.get("batch_size", BATCH)
    images, labels = train.images[:batch].to(device), train.labels[:batch].to(device)

    def look(size: int) -> None:
        with torch.no_grad():
            for part in images.split(size):
                learner(part).sum().item()  # waits for a GPU

    def step(size: int) -> None:
        with learner.one_draw():
            for part, answers in zip(images.split(size), labels.split(size), strict=True):
                loss = F.cross_entropy(learner(part), answers)
                loss.backward()
                loss.item()

    learner.eval()
    looked, size = until_it_fits(lambda size: mean_time(partial(look, size), clock), batch)
    trained = looked
    if is_trained(settings):
        trained, _ = until_it_fits(lambda size: mean_time(partial(step, size), clock), size)
    return Pace(trained / len(images), looked / len(images))


def mean_time(act: Callable[[], None], clock: Callable[[], float]) -> float:
    """Returns the seconds that an act takes, of a few after the first, which warms up."""
    started = clock()
    act()
    first = clock() - started
    if first > LONG:
        return first
    started = clock()
    for _ in range(STEPS):
        act()
    return (clock() - started) / STEPS


def seconds_of(settings: Settings, sizes: dict[str, int], pace: Pace) -> float:
    """Returns the seconds of one fit on splits of these sizes, and of a look at what it says."""
    looks = sizes.get("validation", 0) + sizes["test"]
    if not is_trained(settings):
        return pace.looked * (sizes["train"] + 2 * looks)
    epochs = settings["epochs"]
    images = steps_of_epoch(settings, sizes["train"]) * settings["batch_size"]
    evaluations = sum(is_eval_epoch(epoch, settings) for epoch in range(1, epochs + 1))
    return pace.trained * images * epochs + pace.looked * looks * (evaluations + 1)


def in_words(seconds: float) -> str:
    """Returns a time for people."""
    if seconds < 90:
        return f"{max(1, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
