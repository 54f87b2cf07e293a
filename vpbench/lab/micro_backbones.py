"""The lab's four backbones: the real library classes at micro size, with our own weights."""

import hashlib
import json
from pathlib import Path

from safetensors import torch as safetensors

from vpbench.common.errors import UserError
from vpbench.lab.tokenizer import CONTEXT_LENGTH, Tokenizer
from vpbench.models.backbone import VisionBackbone, VisionLanguageBackbone
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


def build_clip(vocabulary_size, patch_dropout=0.0):
    """Returns an untrained open_clip CLIP: a ViT 56/8 (7x7 tokens), a two-layer text tower."""
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    vision = CLIPVisionCfg(
        layers=4, width=96, head_width=32, patch_size=8, image_size=SIZE,
        patch_dropout=patch_dropout,
    )  # fmt: skip
    text = CLIPTextCfg(
        context_length=CONTEXT_LENGTH, vocab_size=vocabulary_size, width=64, heads=2, layers=2
    )
    return CLIP(64, vision, text)


def build_classifier(name, classes):
    """Returns an untrained timm classifier of the architecture that `name` has at micro size."""
    if name == "bit_m_micro":
        from functools import partial

        from timm.layers import GroupNormAct, StdConv2d
        from timm.models.resnetv2 import ResNetV2

        return ResNetV2(
            (1, 1, 1, 1),
            channels=(64, 128, 256, 384),
            num_classes=classes,
            stem_chs=16,
            conv_layer=partial(StdConv2d, eps=1e-8),
            norm_layer=partial(GroupNormAct, num_groups=8),
            stem_type="fixed",
        )
    from timm.models.resnet import Bottleneck, ResNet

    if name == "instagram_micro":
        return ResNet(
            Bottleneck, (1, 1, 1, 1), classes, channels=(16, 32, 64, 96), stem_width=16,
            cardinality=8, base_width=16,
        )  # fmt: skip
    return ResNet(Bottleneck, (1, 1, 1, 1), classes, channels=(16, 32, 64, 96), stem_width=16)


def load_weights(name, folder=WEIGHTS):
    """Returns (state dict in fp32, card, SHA-256); a file that is not the card's is refused."""
    path, card_path = folder / f"{name}.safetensors", folder / f"{name}.json"
    for file in (path, card_path):
        if not file.is_file():
            raise UserError(
                f"{file} is missing; restore it from the repository, or train it anew with "
                "`snakemake lab_weights`"
            )
    card, data = json.loads(card_path.read_text()), path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != card["sha256"]:
        raise UserError(
            f"{path} has the SHA-256 {found[:12]}..., its card says {card['sha256'][:12]}...; "
            "restore both from the repository"
        )
    state = {
        key: value.float() if value.is_floating_point() else value
        for key, value in safetensors.load(data).items()
    }
    return state, card, found


def load_model(name, folder=WEIGHTS):
    """Returns (model, card, SHA-256) of the micro backbone `name`."""
    state, card, found = load_weights(name, folder)
    if name == "clip_micro":
        model = build_clip(len(read_words(folder)) + 3)
    else:
        model = build_classifier(name, len(source_classes(name)))
    model.load_state_dict(state)
    return model, card, found


def source_classes(name):
    """Returns the names of the classes that a micro classifier was trained on."""
    return world.FINE_LABELS if name == "bit_m_micro" else world.LABELS


def read_words(folder=WEIGHTS):
    """Returns the words the micro-CLIP was trained with, in token order."""
    return (folder / "clip_micro.words.txt").read_text().split("\n")


def load(name, folder=WEIGHTS):
    """Returns the micro backbone `name`, its weights verified against the shipped card."""
    model, card, found = load_model(name, folder)
    mean, std = NORMALIZATION[name]
    facts = {
        "preprocessing": Preprocessing(SIZE, SIZE),
        "mean": mean,
        "std": std,
        "weights_hash": found,
        "world_hash": card["world_sha256"],
    }
    if name == "clip_micro":
        return VisionLanguageBackbone(name, model, tokenize=Tokenizer(read_words(folder)), **facts)
    return VisionBackbone(name, model, source_classes=source_classes(name), **facts)
