"""Ways to adapt a backbone to a task; one file per method, each with `fit`."""

from dataclasses import dataclass, field
from typing import Any

import torch

from vpbench.training.trainer import optimise


@dataclass(frozen=True)
class Fit:
    """What a method learned: for each selection an epoch, a state and evaluations per split.

    `trained_parameters` counts what was learned, `chosen` holds settings picked on validation,
    `images` the images whose throughput the record gives: trained on, or looked at if nothing
    is trained by steps. `micro_batch` is the number of images in a pass of a training.
    """

    selection: dict[str, tuple[int | None, Any, dict]]
    trained_parameters: int
    history: list[dict] = field(default_factory=list)
    chosen: dict = field(default_factory=dict)
    images: int = 0
    micro_batch: int | None = None


def fit_seeded(method, build, backbone, task, settings, seed, checkpoint=None):
    """Returns the `Fit` of a module whose first values and training draw from torch's generators.

    build() gives the module, the function from normalised images to logits that uses it, and the
    optimiser. From a `checkpoint` (checkpoints.Checkpoint) the training goes on where it was.
    """
    gpus = [backbone.device] if backbone.device.type == "cuda" else []
    with torch.random.fork_rng(gpus):
        torch.manual_seed(seed)
        module, logits, optimiser = build()
        history, selection, micro_batch = optimise(
            module,
            lambda images: logits(backbone.normalize(backbone.scale_pixels(images))),
            optimiser, task, settings, torch.Generator().manual_seed(seed),
            f"{task.name} {backbone.name} {method} seed {seed}", backbone.engine, checkpoint,
        )  # fmt: skip
    parameters = sum(p.numel() for p in module.parameters())
    images = settings["epochs"] * len(task.splits["train"])
    return Fit(selection, parameters, history, images=images, micro_batch=micro_batch)


def unselected(evaluations, state=None):
    """Returns the selection of a method without epochs: the same evaluations three times."""
    return dict.fromkeys(("last", "best_validation", "best_test"), (None, state, evaluations))
