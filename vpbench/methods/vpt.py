"""VPT (Jia et al., 2022): tokens that the image tower reads beside the patches, shallow or deep."""

from collections.abc import Collection

import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.data.task import Task
from vpbench.methods import token_fit
from vpbench.methods.fit import Adapted, Fit
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.prompts.token import PromptedTower, initial_tokens
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import coop_class_name, text_prompts
from vpbench.training.checkpoint import Checkpoint


class LearnedTokens(Adapted):
    """Images -> logits [N, K] of an image tower with learned tokens [depth, T, W].

    Its features go to the text features of the classes, as in MaPLe's VPT (`head` text), or to a
    linear layer that is learned as well, as in VPT (`head` linear). The tokens come in after the
    norm before the first layer, VPT's place, or before it, MaPLe's (`tokens_at`).
    """

    def __init__(self, backbone: VisionLanguageBackbone, task: Task, settings: Settings):
        super().__init__(backbone)
        self.tower = PromptedTower(backbone, settings["tokens_at"])
        self.tokens = nn.Parameter(
            initial_tokens(backbone, settings["image_tokens"], settings["depth"], settings["init"])
        )
        self.dropout = nn.Dropout(settings["dropout"])
        self.head: nn.Linear | None = None
        if settings["head"] == "linear":
            self.head = linear_head(self.tower.tower.output_dim, len(task.class_names))
        else:
            texts = text_prompts(task.template, task.class_names, coop_class_name)
            self.text, self.scale = backbone.class_features(texts), backbone.logit_scale

    def logits(self, x: Tensor) -> Tensor:
        # not len(x): a number, and an exported graph takes any number of images
        tokens = self.dropout(self.tokens.expand(x.shape[0], -1, -1, -1))
        features = self.tower.features(x, tokens)
        if self.head is not None:
            return self.head(features)
        return self.scale * F.normalize(features, dim=-1) @ self.text.t()


def linear_head(width: int, classes: int) -> nn.Linear:
    """Returns VPT's last layer: weights by He's rule for its outputs, biases of 0."""
    head = nn.Linear(width, classes)
    nn.init.kaiming_normal_(head.weight, mode="fan_out")
    nn.init.zeros_(head.bias)
    return head


def fit(
    backbone: VisionLanguageBackbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = (),
) -> Fit:
    """Returns the `Fit` of tokens, and of a linear head if there is one.

    From a `checkpoint` the training goes on where it was.
    """
    return token_fit.fit("vpt", LearnedTokens, backbone, task, settings, seed, checkpoint, keep)


def learner(backbone: VisionLanguageBackbone, task: Task, settings: Settings, seed: int) -> Adapted:
    """Returns what is trained, as it starts; it draws from torch's generators."""
    return token_fit.learner(LearnedTokens, backbone, task, settings)
