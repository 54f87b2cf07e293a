"""How fast a backbone is on this machine."""

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from vpbench.common.implementations import imported
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.costs import BATCH
from vpbench.spec.methods import METHODS


def measured(
    backbone: str,
    precision: str,
    device: Any,
    seconds: float = 2.0,
    batch: int = BATCH,
    clock: Callable[[], float] = time.perf_counter,
) -> float:
    """Returns the passes per second of training steps of a prompt, measured on `device` by `clock`.

    The model has random weights; if memory is short the batch is halved.
    """
    import torch

    from vpbench.compute.engine import Engine
    from vpbench.compute.precision import timed

    entry = BACKBONES[backbone]
    module: Any = imported(entry.module)
    built = hasattr(module, "build")  # one from outside may only be loaded, with its weights
    model = module.build(backbone) if built else module.load(backbone).model
    model = getattr(model, "visual", model).eval().requires_grad_(False)
    model = model.to(device, memory_format=torch.channels_last)
    forward = partial(Engine(precision).forward, model)
    per_second = timed(forward, entry.preprocessing[1], device, seconds, batch, clock)
    return per_second * METHODS["visual_prompt"].passes
