"""CoOp (Zhou et al., 2022): the words around the class names are learned, as tokens."""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.data.task import Task
from vpbench.methods import token_fit
from vpbench.methods.fit import Adapted, Fit
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.prompts.token import ClassTexts, initial_context
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint


class LearnedContext(Adapted):
    """Images -> scaled cosines [N, K] to the class names in a learned context.

    The context is one for all classes [M, W], or each class has its own [K, M, W]. Images are seen
    by the frozen tower alone.
    """

    def __init__(self, backbone: VisionLanguageBackbone, task: Task, settings: Settings):
        super().__init__(backbone)
        count = settings["context_tokens"]
        copies = len(task.class_names) if settings["class_specific"] else None
        self.texts = ClassTexts(backbone, task, count, settings["class_name_at"])
        self.context = nn.Parameter(
            initial_context(backbone, count, settings["context_words"], copies)
        )
        self.image_features, self.scale = backbone.features, backbone.logit_scale

    def logits(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            image = F.normalize(self.image_features(x), dim=-1)
        return self.scale * image @ self.texts.features(self.context).t()


def fit(
    backbone: VisionLanguageBackbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = (),
) -> Fit:
    """Returns the `Fit` of a context; its state is `context`, [M, W] or [K, M, W].

    From a `checkpoint` the training goes on where it was.
    """
    return token_fit.fit("coop", LearnedContext, backbone, task, settings, seed, checkpoint, keep)


def learner(backbone: VisionLanguageBackbone, task: Task, settings: Settings, seed: int) -> Adapted:
    """Returns what is trained, as it starts; it draws from torch's generators."""
    return token_fit.learner(LearnedContext, backbone, task, settings)
