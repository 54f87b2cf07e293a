"""CoCoOp (Zhou et al., 2022): CoOp's context, shifted by what a small network says of the image."""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint as again

from vpbench.data.task import Task
from vpbench.methods import token_fit
from vpbench.methods.fit import Adapted, Fit
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.prompts.token import ClassTexts, initial_context
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint

TEXTS = 1024  # that go through the text tower at a time: an image needs one for each class


class ConditionalContext(Adapted):
    """Images -> scaled cosines [N, K] to class names in a context of each image's own.

    It is the learned context [M, W], and to each of its tokens is added what the network makes of
    the unit features of the image. Texts of more than a few images go through the tower in parts;
    what the gradients of a part need is computed again when it is their turn, so that memory does
    not grow with images and classes.
    """

    def __init__(self, backbone: VisionLanguageBackbone, task: Task, settings: Settings):
        super().__init__(backbone)
        count, hidden = settings["context_tokens"], settings["hidden_width"]
        self.texts = ClassTexts(backbone, task, count)
        self.context = nn.Parameter(initial_context(backbone, count, settings["context_words"]))
        features = backbone.model.text_projection.shape[1]
        self.network = nn.Sequential(
            nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, self.context.shape[1])
        )
        self.image_features, self.scale = backbone.features, backbone.logit_scale
        self.at_once = max(1, TEXTS // len(task.class_names))  # images

    def logits(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            image = F.normalize(self.image_features(x), dim=-1)
        parts = image.split(self.at_once)
        if len(parts) == 1 or not torch.is_grad_enabled():
            return torch.cat([self.compared(part) for part in parts])
        return torch.cat([again(self.compared, part, use_reentrant=False) for part in parts])

    def compared(self, image: Tensor) -> Tensor:
        """Returns the logits [N, K] of unit image features [N, D]."""
        context = self.context + self.network(image)[:, None]  # [N, M, W]
        text = self.texts.features(context[:, None])  # [N, K, D]
        return self.scale * torch.einsum("nd,nkd->nk", image, text)


def fit(
    backbone: VisionLanguageBackbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = (),
) -> Fit:
    """Returns the `Fit` of a context and its network.

    From a `checkpoint` the training goes on where it was.
    """
    return token_fit.fit(
        "cocoop", ConditionalContext, backbone, task, settings, seed, checkpoint, keep
    )


def learner(backbone: VisionLanguageBackbone, task: Task, settings: Settings, seed: int) -> Adapted:
    """Returns what is trained, as it starts; it draws from torch's generators."""
    return token_fit.learner(ConditionalContext, backbone, task, settings)
