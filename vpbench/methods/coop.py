"""CoOp (Zhou et al., 2022): the words around the class names are learned, as tokens."""

import torch
import torch.nn.functional as F
from torch import nn

from vpbench.methods import token_fit
from vpbench.prompts.token import ClassTexts, initial_context


class LearnedContext(nn.Module):
    """Normalised images -> scaled cosines [N, K] to the class names in a learned context.

    The context is one for all classes [M, W], or each class has its own [K, M, W]. Images are seen
    by the frozen tower alone.
    """

    def __init__(self, backbone, task, settings):
        super().__init__()
        count = settings["context_tokens"]
        copies = len(task.class_names) if settings["class_specific"] else None
        self.texts = ClassTexts(backbone, task, count, settings["class_name_at"])
        self.context = nn.Parameter(
            initial_context(backbone, count, settings["context_words"], copies)
        )
        self.image_features, self.scale = backbone.features, backbone.logit_scale

    def forward(self, x):
        with torch.no_grad():
            image = F.normalize(self.image_features(x), dim=-1)
        return self.scale * image @ self.texts.features(self.context).t()


def fit(backbone, task, settings, seed, checkpoint=None):
    """Returns the `Fit` of a context; its state is `context`, [M, W] or [K, M, W].

    From a `checkpoint` (checkpoints.Checkpoint) the training goes on where it was.
    """
    return token_fit.fit("coop", LearnedContext, backbone, task, settings, seed, checkpoint)
