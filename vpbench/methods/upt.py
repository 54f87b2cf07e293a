"""UPT (Zang et al., 2022): one prompt for both towers, mixed by a small transformer.

The tokens of texts and images are brought to one width, one transformer sees all of them, and they
are brought to the widths of the towers. The parts are those of MVLPT, the only training of UPT that
is published, but for one thing: it hands its transformer the tokens as a batch of sequences of one
token, so that none sees another there. Here they are mixed, as the paper has it.
"""

from collections.abc import Collection

import torch
import torch.nn.functional as F
from open_clip.transformer import QuickGELU, Transformer
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.data.task import Task
from vpbench.methods import token_fit
from vpbench.methods.fit import Adapted, Fit
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.prompts.token import ClassTexts, PromptedTower, initial_context, initial_tokens
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint


class UnifiedPrompt(Adapted):
    """Images -> scaled cosines [N, K], with learned tokens in both towers."""

    def __init__(self, backbone: VisionLanguageBackbone, task: Task, settings: Settings):
        super().__init__(backbone)
        count, width = settings["context_tokens"], settings["width"]
        if width % settings["heads"]:
            raise UserError(f"width: {width} cannot be divided among {settings['heads']} heads")
        self.texts = ClassTexts(backbone, task, count, settings["class_name_at"])
        self.tower = PromptedTower(backbone)
        self.context = nn.Parameter(initial_context(backbone, count, None))
        self.tokens = nn.Parameter(
            initial_tokens(backbone, settings["image_tokens"], settings["depth"])
        )
        self.context_in, self.context_out = to_and_fro(self.context.shape[-1], width)
        self.tokens_in, self.tokens_out = to_and_fro(self.tokens.shape[-1], width)
        self.mixing = Transformer(width, settings["layers"], settings["heads"], act_layer=QuickGELU)
        self.scale = backbone.logit_scale

    def mixed(self) -> tuple[Tensor, Tensor]:
        """Returns the context [M, W] and the tokens [depth, T, W] that the towers read."""
        tokens = self.tokens_in(self.tokens).flatten(0, 1)
        both = torch.cat([self.context_in(self.context), tokens])
        context, tokens = self.mixing(both[None])[0].split([len(self.context), len(tokens)])
        shape = self.tokens.shape[:2]
        return self.context_out(context), self.tokens_out(tokens).unflatten(0, shape)

    def logits(self, x: Tensor) -> Tensor:
        context, tokens = self.mixed()
        image = F.normalize(self.tower.features(x, tokens), dim=-1)
        return self.scale * image @ self.texts.features(context).t()


def to_and_fro(outer: int, inner: int) -> tuple[nn.Linear, nn.Linear]:
    """Returns two linear layers: from the width `outer` to `inner`, and back."""
    return nn.Linear(outer, inner), nn.Linear(inner, outer)


def fit(
    backbone: VisionLanguageBackbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = (),
) -> Fit:
    """Returns the `Fit` of a unified prompt with its layers.

    From a `checkpoint` the training goes on where it was.
    """
    return token_fit.fit("upt", UnifiedPrompt, backbone, task, settings, seed, checkpoint, keep)


def learner(backbone: VisionLanguageBackbone, task: Task, settings: Settings, seed: int) -> Adapted:
    """Returns what is trained, as it starts; it draws from torch's generators."""
    return token_fit.learner(UnifiedPrompt, backbone, task, settings)
