"""Frozen models behind one interface: images in, features or logits out.

Shapes: N images, C channels, H = W pixels, D features, K classes, S source classes.
"""

import importlib
import math

import torch
import torch.nn.functional as F
from torch import nn

from vpbench.common.errors import UserError
from vpbench.compute.engine import Engine
from vpbench.models.folded_layers import folded
from vpbench.models.vision_transformer import streamline
from vpbench.spec.backbones import BACKBONES


class Backbone(nn.Module):
    """A frozen pretrained model with what is needed to prompt it.

    `weights_hash` is the SHA-256 of the weight file, `world_hash` that of the pretraining world
    (None where it is not ours). `preprocessing` is what an image goes through before it is stored
    as uint8; such images enter as [N, H, W, C] through `scale_pixels` and `normalize`. `engine`
    says in which precision features and logits are computed; they come as float32. They come from
    `frozen`, which is faster than the part of the model that it is made of; `model` is as loaded.
    """

    engine = Engine()

    def __init__(self, name, model, *, preprocessing, mean, std, weights_hash, world_hash=None):
        super().__init__()
        self.name, self.preprocessing = name, preprocessing
        self.model = model.eval().requires_grad_(False)
        self.model.to(memory_format=torch.channels_last)  # convolutions twice as fast, same numbers
        self.frozen = folded(self.image_tower())
        self.weights_hash, self.world_hash = weights_hash, world_hash
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1))

    def image_tower(self):
        """Returns the module that maps normalised images [N, C, H, W] to features or logits."""
        return self.model

    @property
    def image_size(self):
        """The side of the square, in pixels, that the model and a prompt take."""
        return self.preprocessing.crop

    @property
    def device(self):
        return self.mean.device

    @property
    def modality(self):
        return BACKBONES[self.name].modality

    def scale_pixels(self, images):
        """Returns uint8 [N, H, W, C] as float [N, C, S, S] in 0..1 on the backbone's device.

        Images that were kept at their native size (`resolution: native`), a smaller square, are
        resized and cropped here as the preprocessing says.
        """
        pixels = images.to(self.device).permute(0, 3, 1, 2).float().div_(255)
        if pixels.shape[-1] == self.image_size:
            return pixels
        resize, crop, mode = self.preprocessing
        side = resize or crop
        pixels = F.interpolate(pixels, (side, side), mode=mode, antialias=True).clamp_(0, 1)
        margin = round((side - crop) / 2)
        return pixels[..., margin : margin + crop, margin : margin + crop]

    def pictures(self, images):
        """Returns uint8 [N, H, W, C] as uint8 [N, S, S, C], at the size that the model takes."""
        return self.scale_pixels(images).mul(255).round().byte().permute(0, 2, 3, 1)

    def normalize(self, pixels):
        """Returns pixels 0..1 in the normalised units the model was trained on."""
        # A value for every pixel, laid out as they are: the same numbers, four times as fast.
        mean, std = (torch.empty_like(pixels[:1]).copy_(each) for each in (self.mean, self.std))
        return (pixels - mean).div_(std)


class VisionLanguageBackbone(Backbone):
    """A CLIP: image and text towers into one space (section 3.3)."""

    def __init__(self, name, model, *, tokenize, **facts):
        streamline(model.visual)
        super().__init__(name, model, **facts)
        self.tokenize = tokenize

    @property
    def logit_scale(self):
        """The temperature, as a factor, clamped like the official code to at most 100.

        A SigLIP, which has a bias as well, learned its factor without that limit. The bias is left
        out: it is the same for all classes, and neither softmax nor argmax see it.
        """
        exponent = self.model.logit_scale.detach()
        if getattr(self.model, "logit_bias", None) is None:
            exponent = exponent.clamp(0, math.log(100))
        return exponent.exp()

    def features(self, x):
        """Returns the projected, not normalised image features [N, D] of normalised images."""
        return self.engine.forward(self.frozen, x)

    def image_tower(self):
        """Returns the module that maps normalised images [N, C, H, W] to features [N, D]."""
        return self.model.visual

    @torch.no_grad()
    def text_features(self, texts):
        """Returns unit text features [K, D] of a list of K texts."""
        return F.normalize(self.model.encode_text(self.tokenize(texts).to(self.device)), dim=-1)


class VisionBackbone(Backbone):
    """A classifier with a fixed set of S source classes; `source_classes` names them, if known."""

    def __init__(self, *args, source_classes=(), **facts):
        super().__init__(*args, **facts)
        self.source_classes = tuple(source_classes)

    def features(self, x):
        """Returns the penultimate activations [N, D] of normalised images."""
        return self.engine.forward(self._penultimate, x)

    def _penultimate(self, x):
        return self.frozen.forward_head(self.frozen.forward_features(x), pre_logits=True)

    def logits(self, x):
        """Returns the source logits [N, S] of normalised images."""
        return self.engine.forward(self.frozen, x)


def load_backbone(name, device="cpu"):
    """Returns the frozen backbone `name` of catalogue.BACKBONES, its weight file verified."""
    if name not in BACKBONES:
        raise UserError(f"unknown backbone {name!r}; choose one of: {', '.join(BACKBONES)}")
    module = importlib.import_module(BACKBONES[name].module)
    return module.load(name).to(device)
