"""FT: every weight of the image model is trained, with a head for the task (section 4.2)."""

import copy
from collections.abc import Collection
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.data.task import Task
from vpbench.methods.fit import Adapted, Fit, fit_seeded
from vpbench.models.backbone import Backbone, VisionLanguageBackbone
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import text_prompts
from vpbench.training.checkpoint import Checkpoint


class TextHeadClassifier(Adapted):
    """CLIP's image tower and a linear head that starts as the scaled text features.

    The tower is computed as the backbone's `engine` says, the head in float32.
    """

    def __init__(self, backbone: VisionLanguageBackbone, task: Task):
        super().__init__(backbone)
        text = backbone.class_features(text_prompts(task.template, task.class_names))
        self.tower = copy.deepcopy(backbone.image_tower())
        self.head = nn.Parameter(text * backbone.logit_scale)
        self.engine = backbone.engine

    def logits(self, x: Tensor) -> Tensor:
        return F.normalize(self.engine.forward(self.tower, x), dim=-1) @ self.head.t()


class NewHeadClassifier(Adapted):
    """The image model with a linear head that starts at random, computed as the engine says."""

    def __init__(self, backbone: Backbone, task: Task):
        super().__init__(backbone)
        self.model, self.engine = backbone.with_head(len(task.class_names)), backbone.engine

    def logits(self, x: Tensor) -> Tensor:
        return self.engine.forward(self.model, x)


def learner(backbone: Backbone, task: Task, settings: Settings, seed: int) -> Adapted:
    """Returns a copy of the image model with the head of `settings`; all of it can be trained.

    A new head draws from torch's generators.
    """
    if settings["head"] == "new":
        tuned: Adapted = NewHeadClassifier(backbone, task)
    elif isinstance(backbone, VisionLanguageBackbone):
        tuned = TextHeadClassifier(backbone, task)
    else:
        raise UserError(f"{backbone.name} has no text features: use head: new")
    return tuned.to(backbone.device).requires_grad_(True)


def parameter_groups(model: nn.Module, decay_gains_and_biases: bool) -> list[dict[str, Any]]:
    """Returns the parameter groups of AdamW: gains and biases, which are vectors, may not decay."""
    if decay_gains_and_biases:
        return [{"params": list(model.parameters())}]
    matrices = [each for each in model.parameters() if each.ndim > 1]
    vectors = [each for each in model.parameters() if each.ndim < 2]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]


def adamw(groups: list[dict[str, Any]], settings: Settings) -> torch.optim.AdamW:
    """Returns AdamW on parameter groups, as the settings of a fine-tune say."""
    return torch.optim.AdamW(
        groups,
        lr=settings["lr"],
        betas=tuple(settings["betas"]),
        eps=settings["eps"],
        weight_decay=settings["weight_decay"],
    )


def fit(
    backbone: Backbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = (),
) -> Fit:
    """Returns the `Fit` of AdamW on all weights.

    From a `checkpoint` the training goes on where it was.
    """

    def build() -> tuple[Adapted, torch.optim.Optimizer]:
        tuned = learner(backbone, task, settings, seed)
        groups = parameter_groups(tuned, settings["decay_gains_and_biases"])
        return tuned, adamw(groups, settings)

    return fit_seeded("fine_tune", build, backbone, task, settings, seed, checkpoint, keep)
