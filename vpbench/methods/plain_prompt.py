"""A prompt as plain tensors, for PyTorch without this suite: see docs/using-a-prompt.md."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.methods.exporting import beside, check_repeats, facts_of, images, kind
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.prompts import label_maps
from vpbench.spec.settings import Settings


def export_plain(
    classifier: PromptedClassifier,
    settings: Settings,
    class_names: Sequence[str],
    path: str | Path,
) -> Path:
    """Returns the path `path`.plain.safetensors: a prompt, and its label map if that has numbers.

    `prompt` is float32 [M, 3, S, S] of M prompts, in the units that the metadata calls
    prompt_space. Each value of the metadata is JSON. Raises UserError for a prompt that is not one
    and the same picture for all images.
    """
    path = beside(path, ".plain.safetensors")
    backbone = classifier.backbone
    facts = facts_of(backbone, settings, class_names)
    check_repeats(classifier, facts["crop"])
    members = list(classifier.prompt.members)
    with torch.no_grad():
        canvas = torch.cat([member.canvas() for member in members])
    tensors, of_map = numbers_of(classifier.label_map)
    facts |= {
        "mean": backbone.mean.flatten().tolist(),
        "std": backbone.std.flatten().tolist(),
        "image_size": backbone.image_size,
        "prompt_space": classifier.prompt_space,
        "operation": getattr(members[0], "operation", "add"),
    }
    check_picture(classifier, canvas, facts)
    tensors = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    tensors["prompt"] = canvas.cpu().contiguous()
    facts |= of_map
    data = save(tensors, metadata={key: json.dumps(facts[key]) for key in facts})
    return atomic_files.write_bytes(path, data)


@torch.no_grad()
def check_picture(classifier: PromptedClassifier, canvas: Tensor, facts: dict[str, Any]) -> None:
    """Raises UserError unless the plain sum, or product, is what the prompt does to images."""
    backbone, size = classifier.backbone, classifier.backbone.image_size
    pixels = backbone.unit_pixels(images(facts["crop"]))
    seen = classifier.with_prompt(pixels)
    before = (size - facts["crop"]) // 2
    after = size - facts["crop"] - before
    x = torch.nn.functional.pad(pixels, (before, after, before, after))
    in_units = facts["prompt_space"] == "normalized"
    x = (x - backbone.mean) / backbone.std if in_units else x
    x = x * (1 + canvas[:, None]) if facts["operation"] == "multiply" else x + canvas[:, None]
    x = x if in_units else (x - backbone.mean) / backbone.std
    if not torch.allclose(x.flatten(0, 1), seen, atol=1e-4):
        raise UserError(
            f"{kind(classifier)}: the prompt is not one picture for all images, so plain tensors "
            "do not tell it; export it with its model, to .onnx or .pt2"
        )


def numbers_of(label_map: Any) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Returns the tensors of a label map and what is done with them; nothing of one's own map.

    `weights` and `bias` are a linear layer on what the model gives, which is brought to length 1
    before where `unit_features` is true; `numbers` are the places of the classes in it.
    """
    match label_map:
        case label_maps.Text():
            return {"weights": label_map.scale * label_map.weights}, {"unit_features": True}
        case label_maps.LearnedClassifier():
            return {"weights": label_map.weights}, {"unit_features": True}
        case label_maps.Chosen():
            return {"numbers": label_map.numbers}, {"unit_features": False}
        case label_maps.Bayesian():
            return {"weights": label_map.mixture}, {"unit_features": False}
        case label_maps.Linear():
            layer: dict[str, Tensor] = {"weights": label_map.weights, "bias": label_map.bias}
            return layer, {"unit_features": False}
    return {}, {}
