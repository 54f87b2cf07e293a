"""VP + FT: a prompt in the image and every weight of the image model, trained together."""

from collections.abc import Collection

import torch
from torch import Tensor

from vpbench.data.task import Task
from vpbench.methods import fine_tune
from vpbench.methods.fine_tune import adamw, parameter_groups
from vpbench.methods.fit import Adapted, Fit, fit_seeded
from vpbench.models.backbone import Backbone
from vpbench.prompts.build import build_prompt
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint


class PromptedFineTune(Adapted):
    """A prompt, added to normalised images, and the image model that sees them."""

    def __init__(self, backbone: Backbone, task: Task, settings: Settings, seed: int):
        super().__init__(backbone)
        prompt = build_prompt(
            settings["template"], backbone.image_size, settings["size"], init=settings["init"]
        )
        self.prompt = prompt.to(backbone.device)
        self.model = fine_tune.learner(backbone, task, settings, seed)

    def logits(self, x: Tensor) -> Tensor:
        return self.model.logits(self.prompt(x))


def fit(
    backbone: Backbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = (),
) -> Fit:
    """Returns the `Fit` of AdamW on a prompt, added after normalisation, and on all weights.

    The prompt has a rate of its own, prompt_lr, and no weight decay; its state is `prompt`. From a
    `checkpoint` the training goes on where it was.
    """

    def build() -> tuple[Adapted, torch.optim.Optimizer]:
        both = learner(backbone, task, settings, seed)
        groups = parameter_groups(both.model, settings["decay_gains_and_biases"])
        factor, values = settings["prompt_lr"] / settings["lr"], list(both.prompt.parameters())
        of_prompt = {"params": values, "factor": factor, "weight_decay": 0.0}
        return both, adamw([*groups, of_prompt], settings)

    return fit_seeded("prompted_fine_tune", build, backbone, task, settings, seed, checkpoint, keep)


def learner(backbone: Backbone, task: Task, settings: Settings, seed: int) -> PromptedFineTune:
    """Returns what is trained, as it starts; it draws from torch's generators."""
    return PromptedFineTune(backbone, task, settings, seed)
