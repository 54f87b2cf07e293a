"""The backbones: where each is built, what it stands for in the paper, and what it is."""

from typing import NamedTuple

from vpbench.spec.modalities import MODALITIES
from vpbench.spec.outside import Catalogue


class Backbone(NamedTuple):
    """A frozen model: where it is built, what it stands for in the paper, and what it is."""

    module: str  # has load(name) -> vpbench.models.backbone.Backbone
    role: str  # the paper's model it is or stands in for: a key of ROLES
    modality: str
    architecture: str
    pretrained_on: str
    objective: str
    licence: str = "MIT"  # of the weights
    # What it takes and costs, for plans and caches
    preprocessing: tuple = (56, 56, "bicubic")  # of vpbench.spec.preprocessing.Preprocessing
    parameters: int | None = None
    gflops: float | None = None  # of an image, forward: 2 x multiply-adds, torch's FlopCounterMode
    source_classes: int | None = None  # of the classifier that it is; None: it has none
    hub: str | None = None  # repository and file of the weights on the hub; None: shipped
    token_towers: tuple[str, ...] = ()  # the transformers that take learned tokens: text, image
    gpu_share: float = 0.20  # of an A100's peak that a training step reaches: see costs.stated
    stand_in: bool = True  # is or stands for one of the paper's four models, and goes by its name


TOWERS = ("text", "image")
ROLES = {"clip": "CLIP", "instagram": "Instagram", "bit_m": "BiT-M", "rn50": "RN50"}
_LAB = "vpbench.lab.micro_backbones"
_ORIGINAL = "vpbench.models.hub_backbones"
_DESK = "vpbench.models.desk."
# pretrained on, objective, licence, preprocessing (Table 3; the cards of the weights)
_SHORTER_256 = (256, 224, "bilinear")
_CLIP = ("400M image-text pairs", "Contrastive", "MIT", (224, 224, "bicubic"))
_INSTAGRAM = ("3.5B Instagram photos", "Cross Entropy", "CC-BY-NC-4.0", _SHORTER_256)
_BIT_M = ("14M ImageNet-21k", "Cross Entropy", "Apache-2.0", _SHORTER_256)
_IMAGENET = ("1.2M ImageNet-1k", "Cross Entropy", "BSD-3-Clause", _SHORTER_256)
_LITE = ("1.2M ImageNet-1k", "Cross Entropy", "Apache-2.0")


_OURS = {
    "clip_micro": Backbone(
        _LAB, "clip", "vision_language", "ViT 56/8, width 96, 4 layers", "captioned lab world",
        "Contrastive", parameters=603_169, gflops=0.046, token_towers=TOWERS,
    ),
    "instagram_micro": Backbone(
        _LAB, "instagram", "vision", "ResNeXt, 4 blocks, 8 groups",
        "hashtags of the lab world, then its labels", "Cross Entropy",
        parameters=464_339, gflops=0.028, source_classes=147,
    ),
    "bit_m_micro": Backbone(
        _LAB, "bit_m", "vision", "ResNetV2 (weight std., group norm), 4 blocks",
        "fine labels of the lab world", "Cross Entropy",
        parameters=490_441, gflops=0.015, source_classes=313,
    ),
    "rn50_micro": Backbone(
        _LAB, "rn50", "vision", "ResNet, 4 blocks", "labelled lab world", "Cross Entropy",
        parameters=434_963, gflops=0.026, source_classes=147,
    ),
    # The original ones; the facts in the order of Backbone's fields
    "clip_vit_b32": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-B/32", *_CLIP, 151_277_313, 8.82, None,
        "timm/vit_base_patch32_clip_224.openai/open_clip_model.safetensors", TOWERS,
        gpu_share=0.31,
    ),
    "clip_vit_b16": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-B/16", *_CLIP, 149_620_737, 35.13, None,
        "timm/vit_base_patch16_clip_224.openai/open_clip_model.safetensors", TOWERS,
        gpu_share=0.28, stand_in=False,
    ),
    "clip_rn50": Backbone(
        _ORIGINAL, "clip", "vision_language", "ResNet-50", *_CLIP, 102_007_137, 12.22, None,
        "timm/resnet50_clip.openai/open_clip_model.safetensors", ("text",), stand_in=False,
    ),
    "clip_rn101": Backbone(
        _ORIGINAL, "clip", "vision_language", "ResNet-101", *_CLIP, 119_688_033, 19.54, None,
        "timm/resnet101_clip.openai/open_clip_model.safetensors", ("text",), stand_in=False,
    ),
    "clip_vit_l14": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-L/14", *_CLIP, 427_616_513, 162.03, None,
        "timm/vit_large_patch14_clip_224.openai/open_clip_model.safetensors", TOWERS,
        gpu_share=0.28, stand_in=False,
    ),
    "siglip_vit_b16": Backbone(
        _ORIGINAL, "clip", "vision_language", "ViT-B/16 (SigLIP)", "WebLI image-text pairs",
        "Pairwise sigmoid", "Apache-2.0", (None, 224, "bicubic"), 203_155_970, 35.42, None,
        "timm/ViT-B-16-SigLIP/open_clip_model.safetensors", stand_in=False,
    ),
    "instagram_32x8d": Backbone(
        _ORIGINAL, "instagram", "vision", "ResNext101-32x8d", *_INSTAGRAM, 88_791_336, 32.83, 1000,
        "timm/resnext101_32x8d.fb_wsl_ig1b_ft_in1k/model.safetensors", gpu_share=0.21,
    ),
    "instagram_32x16d": Backbone(
        _ORIGINAL, "instagram", "vision", "ResNext101-32x16d", *_INSTAGRAM, 194_026_792, 72.33,
        1000, "timm/resnext101_32x16d.fb_wsl_ig1b_ft_in1k/model.safetensors", gpu_share=0.10,
        stand_in=False,
    ),
    "bit_m_r50x1": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-50", *_BIT_M, 68_256_659, 8.26, 21_843,
        "timm/resnetv2_50x1_bit.goog_in21k/model.safetensors", gpu_share=0.10,
    ),
    "bit_m_r101x1": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-101", *_BIT_M, 87_248_787, 15.69, 21_843,
        "timm/resnetv2_101x1_bit.goog_in21k/model.safetensors", gpu_share=0.11, stand_in=False,
    ),
    "bit_m_r50x3": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-50x3", *_BIT_M, 345_399_315, 72.42, 21_843,
        "timm/resnetv2_50x3_bit.goog_in21k/model.safetensors", gpu_share=0.21, stand_in=False,
    ),
    "bit_m_r101x3": Backbone(
        _ORIGINAL, "bit_m", "vision", "ResNet-101x3", *_BIT_M, 516_015_123, 139.24, 21_843,
        "timm/resnetv2_101x3_bit.goog_in21k/model.safetensors", gpu_share=0.21, stand_in=False,
    ),
    "bit_m_r50x1_zero_head": Backbone(  # as the official script builds it: it cannot learn
        _ORIGINAL, "bit_m", "vision", "ResNet-50, head zeroed", *_BIT_M, 68_256_659, 8.26, 21_843,
        "timm/resnetv2_50x1_bit.goog_in21k/model.safetensors", stand_in=False,
    ),
    "rn18": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-18", *_IMAGENET, 11_689_512, 3.63, 1000,
        "timm/resnet18.tv_in1k/model.safetensors", gpu_share=0.26, stand_in=False,
    ),
    "rn50": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-50", *_IMAGENET, 25_557_032, 8.18, 1000,
        "timm/resnet50.tv_in1k/model.safetensors",
    ),
    "rn101": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-101", *_IMAGENET, 44_549_160, 15.60, 1000,
        "timm/resnet101.tv_in1k/model.safetensors", gpu_share=0.24, stand_in=False,
    ),
    "rn152": Backbone(
        _ORIGINAL, "rn50", "vision", "ResNet-152", *_IMAGENET, 60_192_808, 23.03, 1000,
        "timm/resnet152.tv_in1k/model.safetensors", gpu_share=0.24, stand_in=False,
    ),
    # Those of the desk, whose weights are in Python packages
    "lite0_minilm": Backbone(
        _DESK + "worded_classifier", "clip", "vision_language", "EfficientNet-Lite0, MiniLM-L6",
        "1.2M ImageNet-1k; pairs of sentences", "Cross Entropy; ridge regression", "Apache-2.0",
        (146, 128, "bicubic"), 26_084_225, 0.3, stand_in=False,
    ),
    "efficientnet_lite0_128": Backbone(  # the same as the next at 128 pixels: three times as fast
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite0, 128 px", *_LITE,
        (146, 128, "bicubic"), 4_652_008, 0.3, 1000, stand_in=False,
    ),
    "efficientnet_lite0": Backbone(
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite0", *_LITE,
        (256, 224, "bicubic"), 4_652_008, 0.8, 1000, stand_in=False,
    ),
    "efficientnet_lite1": Backbone(
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite1", *_LITE,
        (272, 240, "bicubic"), 5_416_680, 1.2, 1000, stand_in=False,
    ),
    "efficientnet_lite2": Backbone(
        _DESK + "efficientnets", "rn50", "vision", "EfficientNet-Lite2", *_LITE,
        (292, 260, "bicubic"), 6_092_072, 1.8, 1000, stand_in=False,
    ),
}  # fmt: skip
BACKBONES = Catalogue(
    "vpbench.backbones",
    Backbone,
    _OURS,
    {"modality": MODALITIES, "token_towers": TOWERS},
    taken=("every_backbone", "inception_v3"),  # which a configuration says where it names others
)
