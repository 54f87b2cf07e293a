"""When what happens in a training: the learning rate of a step, and which epochs are evaluated."""

import math
from collections.abc import Callable

from vpbench.spec.settings import Settings

MILESTONES = 0.5, 0.72  # shares of a training: of ILM-VP's code, and of SMM's and BLM's

FALLS: dict[
    str, Callable[[int, int], float]
] = {  # schedule -> share of the rate that is left after so many of the steps it falls in
    "cosine": lambda step, steps: 0.5 * (1 + math.cos(math.pi * step / steps)),  # official code
    "linear": lambda step, steps: 1 - step / steps,
    "constant": lambda step, steps: 1.0,
    "multistep": lambda step, steps: (
        0.1 ** sum(step >= round(share * steps) for share in MILESTONES)
    ),
}


def learning_rate(
    step: int,
    steps: int,
    lr: float,
    warm_up_steps: int,
    schedule: str,
    warm_up_lr: float | None = None,
    t_max: str = "rest",
) -> float:
    """Returns the learning rate of `step`: linear up to `lr`, then down as `schedule` says.

    The warm-up is not linear but at a constant `warm_up_lr`, if that is given. The rate would fall
    to its end in as many steps as the warm-up leaves (`t_max` rest), or in as many as there are in
    `all`, so that the training ends before: Dassl's scheduler, whose T_max are all epochs.
    """
    if step < warm_up_steps:
        if warm_up_lr is not None:
            return warm_up_lr
        return lr * (step + 1) / warm_up_steps
    falling = steps if t_max == "all" else steps - warm_up_steps
    return lr * FALLS[schedule](step - warm_up_steps, falling)


def warm_up_length(settings: Settings, steps: int) -> int:
    """Returns the number of warm-up steps: `warm_up_steps` if given, else a share of all steps.

    As in open_clip, a training shorter than its warm-up ends before it has reached `lr`.
    """
    wanted = settings["warm_up_steps"]
    return int(settings["warm_up"] * steps) if wanted is None else wanted


def steps_of_epoch(settings: Settings, images: int) -> int:
    """Returns the number of batches of an epoch of so many training images.

    The last one is left out where `drop_last` says so and it is not whole, unless it is the only
    one: so do Dassl's loaders.
    """
    size = settings["batch_size"]
    return images // size if settings.get("drop_last") and images >= size else -(-images // size)


def is_eval_epoch(epoch: int, settings: Settings) -> bool:
    """Returns whether `epoch` ends with an evaluation; the last always does."""
    wanted = settings.get("eval_epochs", [])  # a method from outside may have no such setting
    chosen = epoch % wanted == 0 if isinstance(wanted, int) else epoch in wanted
    return chosen or epoch == settings["epochs"]
