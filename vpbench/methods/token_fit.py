"""The training that all methods of learned tokens share."""

from collections.abc import Callable

import torch

from vpbench.data.task import Task
from vpbench.methods.fit import Adapted, Fit, fit_seeded
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.checkpoint import Checkpoint


def fit(
    method: str,
    build: Callable[[VisionLanguageBackbone, Task, Settings], Adapted],
    backbone: VisionLanguageBackbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None,
) -> Fit:
    """Returns the `Fit` of SGD on the parameters of the learner build(backbone, task, settings).

    It is given the task in the words of `settings`.
    """

    def built() -> tuple[Adapted, torch.optim.Optimizer]:
        said = worded(task, {"text_prompt": None} | settings)
        learner = build(backbone, said, settings).to(backbone.device)
        optimiser = torch.optim.SGD(
            learner.parameters(),
            lr=settings["lr"],
            momentum=settings["momentum"],
            weight_decay=settings["weight_decay"],
        )
        return learner, optimiser

    return fit_seeded(method, built, backbone, task, settings, seed, checkpoint)
