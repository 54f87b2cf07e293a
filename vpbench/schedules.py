"""When what happens in a training: the official code's learning rates, and looks at the test."""

import math


def cosine_with_warm_up(step, steps, lr, warm_up_steps):
    """Returns the learning rate of `step`: linear up to `lr`, then half a cosine down to 0."""
    if step < warm_up_steps:
        return lr * (step + 1) / warm_up_steps
    return lr * 0.5 * (1 + math.cos(math.pi * (step - warm_up_steps) / (steps - warm_up_steps)))


def warm_up_length(settings, steps):
    """Returns the number of warm-up steps: `warm_up_steps` if given, else a share of all steps.

    As in open_clip, a training shorter than its warm-up ends before it has reached `lr`.
    """
    wanted = settings["warm_up_steps"]
    return int(settings["warm_up"] * steps) if wanted is None else wanted


def looked_at(epoch, settings):
    """Returns whether validation and test are looked at after `epoch`; after the last always."""
    wanted = settings["evaluate_at"]
    chosen = epoch % wanted == 0 if isinstance(wanted, int) else epoch in wanted
    return chosen or epoch == settings["epochs"]
