"""Learned tokens in the towers of open_clip's CLIP, whose own modules compute.

Shapes: N images, K classes, M context tokens of a text, T tokens of an image, L places of a text,
W width of a tower, D features.
"""

import copy
import math
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from open_clip.model import CLIP
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.data.task import Task
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.spec.text_prompts import coop_class_name

STD = 0.02  # of a context that starts at random, in CoOp


FILLER = "a"  # a word of one token, in whose places the context is put


class ClassTexts:
    """The texts of the K classes of a task: learned context, class name, full stop.

    (The micro-CLIP's tokenizer knows no full stop.) The name is at the `end` of the context, in its
    `middle` or at its `front`. As attention is causal, nothing is computed after the longest text.
    """

    def __init__(
        self, backbone: VisionLanguageBackbone, task: Task, count: int, name_at: str = "end"
    ):
        model = text_tower(backbone)
        names = [coop_class_name(name) for name in task.class_names]
        lengths = backbone.class_tokens(names).argmax(1) - 1  # as far as they fit
        check_room(backbone, task, names, lengths, count)
        before = {"end": count, "middle": count // 2, "front": 0}[name_at]
        tokens = backbone.tokenize([layout(name, before, count - before) for name in names])
        self.ends = tokens.argmax(1).to(backbone.device)  # its token is the largest
        tokens = tokens[:, : self.ends.max() + 1]
        self.tokens = tokens.to(backbone.device)
        places = torch.arange(1, count + 1).repeat(len(names), 1)  # 0 is the start
        places[:, before:] += lengths[:, None]
        self.places = places.to(backbone.device)  # of the context [K, M]
        self.model, self.engine = model, backbone.engine
        with torch.no_grad():
            self.embeddings = model.token_embedding(self.tokens)  # [K, L, W]

    def features(self, context: Tensor) -> Tensor:
        """Returns unit features [K, D] of a context [M, W], or [K, M, W] of each class's own.

        Of contexts [N, 1, M, W] they are [N, K, D].
        """
        batch = context.shape[:-3] if context.ndim > 2 else ()
        places = self.places[..., None].expand(*batch, -1, -1, context.shape[-1])
        embeddings = self.embeddings.expand(*batch, -1, -1, -1)
        filled = embeddings.scatter(-2, places, context.expand(places.shape))
        return F.normalize(self.engine.forward(self.encode, filled), dim=-1)

    def encode(self, embeddings: Tensor) -> Tensor:
        """Returns the features [..., K, D] of embedded texts [..., K, L, W]."""
        model, length = self.model, embeddings.shape[-2]
        x = embeddings + model.positional_embedding[:length]
        x = model.transformer(x.flatten(0, -3), attn_mask=model.attn_mask[:length, :length])
        x = x.unflatten(0, embeddings.shape[:-2])
        x = x[..., torch.arange(len(self.ends), device=x.device), self.ends, :]
        return model.ln_final(x) @ model.text_projection


def layout(name: str, before: int, after: int) -> str:
    """Returns a text with the class `name` and fillers where the context tokens will be."""
    return " ".join([FILLER] * before + [name] + [FILLER] * after) + "."


def text_tower(backbone: VisionLanguageBackbone) -> CLIP:
    """Returns the model whose text tower takes learned tokens; UserError if it is none."""
    if "text" not in backbone.token_towers:
        raise UserError(
            f"{backbone.name} has no text tower that takes context tokens: it is not open_clip's "
            "CLIP; choose one of its backbones, e.g. clip_vit_b32"
        )
    model: CLIP = backbone.model
    return model


def check_room(
    backbone: VisionLanguageBackbone, task: Task, names: list[str], lengths: Tensor, count: int
) -> None:
    """Raises UserError unless the longest name and `count` tokens fit what the tower reads."""
    stop = len(worded_tokens(backbone, "a.")) - 1
    longest = int(lengths.argmax())
    room = backbone.model.context_length - 2 - stop - int(lengths[longest])  # less start and end
    if count > room:
        advice = f"take at most {room}" if room > 0 else "give it a shorter name (class_names)"
        raise UserError(
            f"{count} context tokens and the class {names[longest]!r} of {task.name} are more than "
            f"{backbone.name} reads, {backbone.model.context_length} tokens with start and end; "
            f"{advice}"
        )


def worded_tokens(backbone: VisionLanguageBackbone, text: str) -> Tensor:
    """Returns the tokens of `text` alone, without start and end."""
    (tokens,) = backbone.tokenize([text])
    return tokens[1 : tokens.argmax()]


def initial_context(
    backbone: VisionLanguageBackbone, count: int, words: str | None, copies: int | None = None
) -> Tensor:
    """Returns context tokens [M, W], or [copies, M, W]: those of `words`, or else random ones.

    Raises UserError if the words are not `count` tokens.
    """
    width = text_tower(backbone).token_embedding.embedding_dim
    shape = (count, width) if copies is None else (copies, count, width)
    if words is None:
        return STD * torch.randn(shape)
    tokens = worded_tokens(backbone, words).to(backbone.device)
    if len(tokens) != count:
        raise UserError(
            f"context_words: {words!r} is {len(tokens)} tokens of {backbone.name}, but "
            f"context_tokens is {count}; give {len(tokens)}, or other words"
        )
    with torch.no_grad():
        return backbone.model.token_embedding(tokens).cpu().expand(shape).clone()


class PromptedTower:
    """CLIP's vision transformer, which reads T more tokens after its class token.

    They enter before the first layer, without position, `at` the place after the norm that CLIP has
    there (after_norm) or before it (before_norm). Where there are tokens for later layers, these
    take the places of what the layer before has made of its own.
    """

    def __init__(self, backbone: VisionLanguageBackbone, at: str = "after_norm"):
        tower = image_tower(backbone)
        # A copy to which something can be attached; it shares the weights.
        shared = [*tower.parameters(), *tower.buffers()]
        self.tower = copy.deepcopy(tower, {id(each): each for each in shared})
        self.engine = backbone.engine
        self.tokens: Tensor  # that `features` was given last
        first, *others = self.tower.transformer.resblocks
        first = self.tower.ln_pre if at == "before_norm" else first
        for number, module in enumerate([first, *others]):
            module.register_forward_pre_hook(partial(self.insert, number))

    def insert(self, number: int, module: nn.Module, arguments: tuple[Tensor]) -> Tensor | None:
        """Returns the arguments of layer `number`, with its tokens if there are any for it."""
        (x,) = arguments
        if number >= self.tokens.shape[-3]:
            return None
        tokens = self.tokens[..., number, :, :].to(x.dtype).expand(x.shape[0], -1, -1)
        rest = 1 if number == 0 else 1 + tokens.shape[1]
        return torch.cat([x[:, :1], tokens, x[:, rest:]], 1)

    def features(self, x: Tensor, tokens: Tensor) -> Tensor:
        """Returns the features [N, D], not normalised, of normalised images.

        `tokens` are those of the first layers [depth, T, W], or [N, depth, T, W] of each image.
        """
        self.tokens = tokens
        return self.engine.forward(self.tower, x)


def image_tower(backbone: VisionLanguageBackbone) -> VisionTransformer:
    """Returns the transformer that takes learned tokens; UserError if it is none."""
    if "image" not in backbone.token_towers:
        raise UserError(
            f"{backbone.name} has no image tower that takes tokens: it is not open_clip's vision "
            "transformer; choose one that has it, e.g. clip_vit_b32"
        )
    tower: Any = backbone.frozen
    return tower


def initial_tokens(
    backbone: VisionLanguageBackbone, count: int, depth: int | None, init: str = "uniform"
) -> Tensor:
    """Returns untrained tokens [depth, T, W] of an image; a `depth` of None means every layer.

    They are uniform in plus or minus sqrt(6 / (3 P^2 + W)), P being the side of a patch, as in VPT,
    or `normal`, as a context. Raises UserError if there are fewer layers.
    """
    tower = image_tower(backbone)
    layers, width = tower.transformer.layers, tower.transformer.width
    if depth is not None and depth > layers:
        raise UserError(f"depth: {depth} layers, but {backbone.name} has {layers}; take fewer")
    shape = (depth or layers, count, width)
    if init == "normal":
        return STD * torch.randn(shape)
    height, breadth = tower.patch_size
    bound = math.sqrt(6 / (3 * height * breadth + width))
    return torch.empty(shape).uniform_(-bound, bound)
