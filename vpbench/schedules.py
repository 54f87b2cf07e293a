"""The learning-rate schedule of the official code."""

import math


def cosine_with_warm_up(step, steps, lr, warm_up_steps):
    """Returns the learning rate of `step`: linear up to `lr`, then half a cosine down to 0."""
    if step < warm_up_steps:
        return lr * (step + 1) / warm_up_steps
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warm_up_steps) / (steps - warm_up_steps)))


def warm_up_length(settings, steps):
    """Returns the number of warm-up steps: `warm_up_steps` if given, else a share of all steps."""
    wanted = settings["warm_up_steps"]
    if wanted is None:
        return int(settings["warm_up"] * steps)
    return min(wanted, steps)
