"""The training that all methods of learned tokens share."""

from collections.abc import Callable, Collection

import torch

from vpbench.data.task import Task
from vpbench.methods.fit import Adapted, Fit, fit_seeded
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.checkpoint import Checkpoint

Build = Callable[[VisionLanguageBackbone, Task, Settings], Adapted]


def fit(
    method: str,
    build: Build,
    backbone: VisionLanguageBackbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None,
    keep: Collection[str],
) -> Fit:
    """Returns the `Fit` of SGD on the parameters of the learner build(backbone, task, settings)."""

    def built() -> tuple[Adapted, torch.optim.Optimizer]:
        adapted = learner(build, backbone, task, settings)
        optimiser = torch.optim.SGD(
            adapted.parameters(),
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        )
        return adapted, optimiser

    return fit_seeded(method, built, backbone, task, settings, seed, checkpoint, keep)


def learner(
    build: Build, backbone: VisionLanguageBackbone, task: Task, settings: Settings
) -> Adapted:
    """Returns build(backbone, task, settings), given the task in the words of `settings`."""
    return build(backbone, worded(task, settings), settings).to(backbone.device)
