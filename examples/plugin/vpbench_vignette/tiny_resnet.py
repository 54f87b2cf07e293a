"""A model of timm: with the weights of a local file, or with random ones, always the same."""

import timm
import torch

from vpbench.common import paths
from vpbench.common.hashing import sha256
from vpbench.models import weight_files
from vpbench.models.backbone import VisionBackbone
from vpbench.models.state_hash import tensors_hash
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import Preprocessing


def load(name: str) -> VisionBackbone:
    """Returns the backbone, on the CPU; its weights may be NAME.safetensors in the folder of
    weights."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        model = timm.create_model("test_resnet")
    file = paths.weights_dir() / f"{name}.safetensors"
    if file.is_file():
        weight_files.fill(model, weight_files.read(file), file)
    return VisionBackbone(
        name,
        model,
        preprocessing=Preprocessing(*BACKBONES[name].preprocessing),
        mean=model.pretrained_cfg["mean"],
        std=model.pretrained_cfg["std"],
        weights_hash=sha256(file) if file.is_file() else tensors_hash(model.state_dict()),
    )
