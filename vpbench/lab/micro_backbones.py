"""The lab's four backbones: the real library classes at micro size, with our own weights."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import torch as safetensors
from timm.layers import GroupNormAct, StdConv2d
from timm.models.resnet import Bottleneck, ResNet
from timm.models.resnetv2 import ResNetV2
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.common.strict_json import read_json
from vpbench.lab.tokenizer import CONTEXT_LENGTH, Tokenizer
from vpbench.models.backbone import Backbone, VisionBackbone, VisionLanguageBackbone
from vpbench.spec.preprocessing import Preprocessing
from vpbench.twins import world
from vpbench.twins.painting.canvas import SIZE

WEIGHTS = Path(__file__).parent / "weights"
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
NORMALIZATION = {  # each stand-in keeps the constants of the model it stands for
    "clip_micro": (
        (0.48145466, 0.4578275, 0.40821073),
        (0.26862954, 0.26130258, 0.27577711),
    ),
    "instagram_micro": IMAGENET,
    "bit_m_micro": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "rn50_micro": IMAGENET,
}


def build_clip(vocabulary_size: int, patch_dropout: float = 0.0) -> nn.Module:
    """Returns an untrained open_clip CLIP: a ViT 56/8 (7x7 tokens), a two-layer text tower."""
    # A second, and a run with a micro classifier has no need of it.
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    vision = CLIPVisionCfg(
        layers=4, width=96, head_width=32, patch_size=8, image_size=SIZE,
        patch_dropout=patch_dropout,
    )  # fmt: skip
    text = CLIPTextCfg(
        context_length=CONTEXT_LENGTH, vocab_size=vocabulary_size, width=64, heads=2, layers=2
    )
    clip: nn.Module = CLIP(64, vision, text)
    return clip


def build_classifier(name: str, classes: int) -> nn.Module:
    """Returns an untrained timm classifier of the architecture that `name` has at micro size."""
    if name == "bit_m_micro":
        return ResNetV2(
            [1, 1, 1, 1],
            channels=(64, 128, 256, 384),
            num_classes=classes,
            stem_chs=16,
            conv_layer=partial(StdConv2d, eps=1e-8),
            norm_layer=partial(GroupNormAct, num_groups=8),
            stem_type="fixed",
        )
    block: Any = Bottleneck  # timm says that it wants an instance, and means the class
    if name == "instagram_micro":
        return ResNet(
            block, (1, 1, 1, 1), classes, channels=(16, 32, 64, 96), stem_width=16,
            cardinality=8, base_width=16,
        )  # fmt: skip
    return ResNet(block, (1, 1, 1, 1), classes, channels=(16, 32, 64, 96), stem_width=16)


def load_weights(
    name: str, folder: Path = WEIGHTS
) -> tuple[dict[str, Tensor], dict[str, Any], str]:
    """Returns (state dict in fp32, card, SHA-256); a file that is not the card's is refused."""
    path, card_path = folder / f"{name}.safetensors", folder / f"{name}.json"
    for file in (path, card_path):
        if not file.is_file():
            raise UserError(
                f"{file} is missing; restore it from the repository, or train it anew with "
                "`snakemake lab_weights`"
            )
    card, data = read_json(card_path), path.read_bytes()
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256 != card["sha256"]:
        raise UserError(
            f"{path} has the SHA-256 {sha256[:12]}..., its card says {card['sha256'][:12]}...; "
            "restore both from the repository"
        )
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in safetensors.load(data).items()
    }
    return state, card, sha256


def load_model(name: str, folder: Path = WEIGHTS) -> tuple[nn.Module, dict[str, Any], str]:
    """Returns (model, card, SHA-256) of the micro backbone `name`."""
    state, card, sha256 = load_weights(name, folder)
    if name == "clip_micro":
        model = build_clip(len(read_words(folder)) + 3)
    else:
        model = build_classifier(name, len(source_classes(name)))
    model.load_state_dict(state)
    return model, card, sha256


def source_classes(name: str) -> tuple[str, ...]:
    """Returns the names of the classes that a micro classifier was trained on."""
    return world.FINE_LABELS if name == "bit_m_micro" else world.LABELS


def read_words(folder: Path = WEIGHTS) -> list[str]:
    """Returns the words the micro-CLIP was trained with, in token order."""
    return (folder / "clip_micro.words.txt").read_text().split("\n")


def load(name: str, folder: Path = WEIGHTS) -> Backbone:
    """Returns the micro backbone `name`, its weights verified against the shipped card."""
    model, card, sha256 = load_model(name, folder)
    mean, std = NORMALIZATION[name]
    facts: dict[str, Any] = {
        "preprocessing": Preprocessing(SIZE, SIZE),
        "mean": mean,
        "std": std,
        "weights_hash": sha256,
        "world_hash": card["world_sha256"],
    }
    if name == "clip_micro":
        return VisionLanguageBackbone(name, model, tokenize=Tokenizer(read_words(folder)), **facts)
    return VisionBackbone(name, model, source_classes=source_classes(name), **facts)
