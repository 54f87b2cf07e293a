"""Frozen models behind one interface: images in, features or logits out.

Shapes: N images, C channels, H = W pixels, D features, K classes, S source classes.
"""

import copy
import math
from collections.abc import Callable, Sequence
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.common.implementations import implementation
from vpbench.common.messages import brief, instead, one_line
from vpbench.compute.device import check_device
from vpbench.compute.engine import Engine
from vpbench.models.folded_layers import folded
from vpbench.models.vision_transformer import streamline, token_towers
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.memory_costs import TEXTS_AT_ONCE
from vpbench.spec.preprocessing import Preprocessing

OF_LIBRARIES = ("timm:", "open_clip:")  # how the names begin that are not in the catalogue,
ADDRESSES = "vpbench.models.addresses"  # and which module has their load(name)


class Backbone(nn.Module):
    """A frozen pretrained model with what is needed to prompt it.

    `weights_hash` is the SHA-256 of the weight file, `world_hash` that of the pretraining world
    (None where it is not ours). `preprocessing` is what an image goes through before it is stored
    as uint8; such images enter as [N, H, W, C] through `prepare`. `engine` says in which precision
    features and logits are computed; they come as float32. They come from `frozen`, which is faster
    than the part of the model that it is made of; `model` is as loaded.
    """

    engine = Engine()
    modality: str  # what it was trained on: vision or vision_language
    address: str | None = None  # what load_backbone takes to load it again; None: it cannot
    token_towers: tuple[str, ...] = ()  # the transformers that take learned tokens: text, image
    mean: Tensor  # [1, 3, 1, 1], of pixels 0..1
    std: Tensor

    def __init__(
        self,
        name: str,
        model: Any,  # of a library: its attributes are not those of an nn.Module alone
        *,
        preprocessing: Preprocessing,
        mean: Sequence[float],
        std: Sequence[float],
        weights_hash: str,
        world_hash: str | None = None,
    ) -> None:
        super().__init__()
        self.name, self.preprocessing = name, preprocessing
        self.model = model.eval().requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)  # convolutions twice as fast, same numbers
        self.frozen = folded(self.image_tower())
        self.weights_hash, self.world_hash = weights_hash, world_hash
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def train(self, mode: bool = True) -> Self:
        """Returns itself, in evaluation mode: it is frozen, also as a part of what is trained."""
        return super().train(False)

    def __repr__(self) -> str:
        return f"<backbone {self.name}: {self.modality}, {self.image_size} pixels, {self.device}>"

    def image_tower(self) -> nn.Module:
        """Returns the module that maps normalised images [N, C, H, W] to features or logits."""
        tower: nn.Module = self.model
        return tower

    @property
    def image_size(self) -> int:
        """The side of the square, in pixels, that the model and a prompt take."""
        return self.preprocessing.crop

    @property
    def device(self) -> torch.device:
        """Where the weights are, and images go."""
        return self.mean.device

    @property
    @torch.no_grad()
    def feature_width(self) -> int:
        """The number of features of an image."""
        side = self.image_size
        return self.features(torch.zeros(1, 3, side, side, device=self.device)).shape[1]

    def scale_pixels(self, images: Tensor) -> Tensor:
        """Returns uint8 [N, H, W, C] as float [N, C, S, S] in 0..1 on the backbone's device.

        Images that were kept at their native size (`resolution: native`), a smaller square, are
        resized and cropped here as the preprocessing says.
        """
        pixels = self.unit_pixels(images)
        if pixels.shape[-1] == self.image_size:
            return pixels
        resize, crop, mode, *_ = self.preprocessing
        side = resize or crop
        pixels = F.interpolate(pixels, (side, side), mode=mode, antialias=True).clamp_(0, 1)
        margin = round((side - crop) / 2)
        return pixels[..., margin : margin + crop, margin : margin + crop]

    def unit_pixels(self, images: Tensor) -> Tensor:
        """Returns uint8 [N, H, W, C] as float [N, C, H, W] in 0..1 on the backbone's device."""
        return images.to(self.device).permute(0, 3, 1, 2).float().div_(255)

    def pictures(self, images: Tensor) -> Tensor:
        """Returns uint8 [N, H, W, C] as uint8 [N, S, S, C], at the size that the model takes."""
        return self.scale_pixels(images).mul(255).round().byte().permute(0, 2, 3, 1)

    def normalize(self, pixels: Tensor) -> Tensor:
        """Returns pixels 0..1 in the normalised units the model was trained on."""
        # A value for every pixel, laid out as they are: the same numbers, four times as fast.
        mean, std = (torch.empty_like(pixels[:1]).copy_(each) for each in (self.mean, self.std))
        return (pixels - mean).div_(std)

    def prepare(self, images: Tensor) -> Tensor:
        """Returns uint8 [N, H, W, C] as the normalised images [N, C, S, S] that the model takes."""
        return self.normalize(self.scale_pixels(images))

    def features(self, x: Tensor) -> Tensor:
        """Returns the features [N, D] of normalised images; each kind of backbone has its own."""
        raise NotImplementedError

    def with_head(self, classes: int) -> nn.Module:
        """Returns a copy of the image model: normalised images to logits [N, K] of a new head."""
        raise NotImplementedError


class VisionLanguageBackbone(Backbone):
    """A CLIP: image and text towers into one space (section 3.3)."""

    modality = "vision_language"

    def __init__(
        self, name: str, model: Any, *, tokenize: Callable[[Sequence[str]], Tensor], **facts: Any
    ) -> None:
        streamline(model.visual)
        super().__init__(name, model, **facts)
        self.tokenize, self.token_towers = tokenize, token_towers(model)

    @property
    def logit_scale(self) -> Tensor:
        """The temperature, as a factor, clamped like the official code to at most 100.

        A SigLIP, which has a bias as well, learned its factor without that limit. The bias is left
        out: it is the same for all classes, and neither softmax nor argmax see it.
        """
        exponent: Tensor = self.model.logit_scale.detach()
        if getattr(self.model, "logit_bias", None) is None:
            exponent = exponent.clamp(0, math.log(100))
        return exponent.exp()

    def features(self, x: Tensor) -> Tensor:
        """Returns the projected, not normalised image features [N, D] of normalised images."""
        return self.engine.forward(self.frozen, x)

    def image_tower(self) -> nn.Module:
        """Returns the module that maps normalised images [N, C, H, W] to features [N, D]."""
        tower: nn.Module = self.model.visual
        return tower

    def with_head(self, classes: int) -> nn.Module:
        """Returns a copy of the image tower: normalised images to logits [N, K] of a new head."""
        head = nn.Linear(self.feature_width, classes)
        return nn.Sequential(copy.deepcopy(self.image_tower()), head)

    def text_features(self, texts: Sequence[str]) -> Tensor:
        """Returns unit text features [K, D] of a list of K texts."""
        return self._encoded(self.tokenize(texts))

    def class_features(self, texts: Sequence[str]) -> Tensor:
        """Returns unit text features [K, D] of a text about each class; see `class_tokens`."""
        return self._encoded(self.class_tokens(texts))

    @torch.no_grad()
    def _encoded(self, tokens: Tensor) -> Tensor:
        parts = tokens.to(self.device).split(TEXTS_AT_ONCE)
        return F.normalize(torch.cat([self.model.encode_text(part) for part in parts]), dim=-1)

    def class_tokens(self, texts: Sequence[str]) -> Tensor:
        """Returns the tokens [K, L] of a text about each class.

        Raises UserError if two of them, though they differ, are the same to the tokenizer. That two
        are equal is known of iWildCam, and some text prompts of the lab are so on purpose.
        """
        tokens = self.tokenize(texts)
        seen: dict[tuple[float, ...], str] = {}
        for text, row in zip(texts, tokens, strict=True):
            # Texts that stand for their tokens are embeddings, equal but for the last bits.
            key = tuple((row.round(decimals=4) if row.is_floating_point() else row).tolist())
            other = seen.setdefault(key, text)
            if other != text:
                raise UserError(
                    f"{self.name} reads two classes as the same text: {other!r} and {text!r}; "
                    "rename one of them"
                )
        return tokens


class VisionBackbone(Backbone):
    """A classifier with a fixed set of S source classes; `source_classes` names them, if known.

    `source_count` is S; 0 where the model gives features and no classes.
    """

    modality = "vision"

    def __init__(
        self, name: str, model: Any, *, source_classes: Sequence[str] = (), **facts: Any
    ) -> None:
        super().__init__(name, model, **facts)
        self.source_classes = tuple(source_classes)
        self.source_count: int = model.num_classes

    def with_head(self, classes: int) -> nn.Module:
        """Returns a copy of the model: normalised images to the logits [N, K] of a new head."""
        model = copy.deepcopy(self.model)
        model.reset_classifier(classes)
        return model

    def features(self, x: Tensor) -> Tensor:
        """Returns the penultimate activations [N, D] of normalised images."""
        return self.engine.forward(self._penultimate, x)

    def _penultimate(self, x: Tensor) -> Tensor:
        frozen: Any = self.frozen
        features: Tensor = frozen.forward_head(frozen.forward_features(x), pre_logits=True)
        return features

    def logits(self, x: Tensor) -> Tensor:
        """Returns the source logits [N, S] of normalised images."""
        return self.engine.forward(self.frozen, x)


def load_backbone(name: str, device: str | torch.device = "cpu") -> Backbone:
    """Returns the frozen backbone `name`, its weights from this machine or the hub.

    It is one of spec.backbones.BACKBONES, or any model of a library: timm:NAME[.TAG] or
    open_clip:ARCHITECTURE/TAG. Raises UserError, in one line, for an unknown name, for weights that
    are not here and not on the hub, and for files that hold anything else.
    """
    if not isinstance(name, str):
        raise UserError(f"{brief(name)} is no name of a backbone; vpbench.wrap takes a module")
    if name.startswith(OF_LIBRARIES):
        module = ADDRESSES
    elif name in BACKBONES:
        module = BACKBONES[name].module
    else:
        raise UserError(
            f"unknown backbone {one_line(name)!r} (models of timm and open_clip: timm:NAME, "
            f"open_clip:ARCH/TAG); {instead(name, BACKBONES)}"
        )
    device = check_device(device)  # before weights are read
    backbone: Backbone = implementation(f"{module}:load")(name)
    backbone.address = backbone.name
    return backbone.to(device)
