"""Any model of timm or open_clip by its name there, with the weights that its authors published.

`timm:NAME[.TAG]`, where no tag means timm's default, and `open_clip:ARCHITECTURE/TAG`.
"""

import warnings
from typing import Any

import timm
from timm.data import infer_imagenet_subset
from torch import nn

from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.common.messages import first_line, instead, one_line
from vpbench.models import weight_files
from vpbench.models.backbone import Backbone
from vpbench.models.hub_backbones import source_classes, tokenizer_of
from vpbench.models.weight_files import Published
from vpbench.models.wrapped import backbone_of, frozen_copy

SAFE = ".safetensors"


def load(address: str) -> Backbone:
    """Returns the backbone at an address; UserError, in one line, without such a model or file."""
    library, _, name = address.partition(":")
    return of_timm(name) if library == "timm" else of_open_clip(name)


def of_timm(name: str) -> Backbone:
    """Returns timm's model `name` as a backbone."""
    wanted = published_by_timm(name)
    path = weight_files.find(wanted)
    state = weight_files.read(path)
    weight_files.check_finite(state, path)
    try:  # timm's own names of tensors may differ from those of the file
        model: Any = timm.create_model(
            wanted.stem, pretrained=True, pretrained_cfg_overlay={"state_dict": state}
        )
    except (RuntimeError, KeyError, ValueError, AttributeError) as error:
        raise UserError(f"{path} is not of {wanted.name} ({reason(error)})") from None
    model.pretrained_cfg.pop("state_dict", None)  # gigabytes
    names = class_names(model.num_classes)
    frozen = model.eval().requires_grad_(False)
    return backbone_of(wanted.name, frozen, None, sha256(path), names)


def class_names(count: int) -> tuple[str, ...]:
    """Returns the names of so many classes, none where they are not one of ImageNet's sets."""
    return source_classes(count) if infer_imagenet_subset({"num_classes": count}) else ()


def published_by_timm(name: str) -> Published:
    """Returns where timm's weights `name` lie; UserError if timm has no such model or weights."""
    architecture, _, tag = name.partition(".")
    if not timm.is_model(architecture):
        known = instead(architecture, timm.list_models(), "timm.list_models() has all")
        raise UserError(f"timm has no model {one_line(architecture)!r}; {known}")
    found = timm.list_pretrained([architecture, f"{architecture}.*"])
    tags = [each.partition(".")[2] for each in found]
    if not tags or (tag and tag not in tags):
        known = instead(tag, tags, "timm.list_pretrained() has all") if tags else "it has none"
        raise UserError(f"timm has no weights {one_line(tag)!r} of {architecture}; {known}")
    facts: Any = timm.get_pretrained_cfg(name)
    full = f"{architecture}.{facts.tag}" if facts.tag else architecture
    file = facts.hf_hub_filename or "model.safetensors"
    if not facts.hf_hub_id or not file.endswith(SAFE):
        raise UserError(
            f"timm:{full} has no safetensors file on the hub, and nothing else is read from there; "
            "build it yourself and give it to vpbench.wrap"
        )
    return Published(f"timm:{full}", full, facts.hf_hub_id, file)


def of_open_clip(name: str) -> Backbone:
    """Returns open_clip's model and weights ARCHITECTURE/TAG as a backbone."""
    import open_clip  # late: a run with a classifier has no need of it

    architecture, _, tag = name.rpartition("/")
    wanted = published_by_open_clip(architecture, tag)
    path = weight_files.find(wanted)
    state = weight_files.read(path)
    facts = open_clip.get_pretrained_cfg(architecture, tag)
    model = weight_files.fill(empty_clip(architecture, facts), state, path)
    del state  # gigabytes
    tokenize = tokenizer_of(architecture, wanted.name, wanted.stem)
    frozen = frozen_copy(model, wanted.name)
    return backbone_of(wanted.name, frozen, None, sha256(path), tokenize=tokenize)


def published_by_open_clip(architecture: str, tag: str) -> Published:
    """Returns where weights of open_clip lie; UserError if it has no such model or weights."""
    import open_clip  # late as above

    known = open_clip.list_pretrained()
    if (architecture, tag) not in known:
        names = [f"{each}/{other}" for each, other in known]
        near = instead(f"{architecture}/{tag}", names, "open_clip.list_pretrained() has all")
        raise UserError(
            f"open_clip has no weights {one_line(architecture)}/{one_line(tag)}; {near}"
        )
    hub = open_clip.get_pretrained_cfg(architecture, tag).get("hf_hub", "")
    repository, _, file = hub.rpartition("/")
    file = file if file.endswith(SAFE) else open_clip.constants.HF_SAFE_WEIGHTS_NAME
    name, stem = f"open_clip:{architecture}/{tag}", f"{architecture}-{tag}"
    return Published(name, stem, repository, file)


def empty_clip(architecture: str, facts: dict[str, Any]) -> nn.Module:
    """Returns open_clip's model with random weights, as published weights with these facts need it.

    It says of itself what happens to an image before it.
    """
    import open_clip  # late as above

    keys = ("mean", "std", "interpolation", "resize_mode")
    images = {key: facts[key] for key in keys if key in facts}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model: nn.Module = open_clip.create_model(
                architecture,
                force_quick_gelu=bool(facts.get("quick_gelu")),
                force_preprocess_cfg=images,
                pretrained_text=False,
            )
    except Exception as error:  # the configuration of its text tower may lie on the hub
        raise UserError(f"open_clip cannot build {architecture} ({first_line(error)})") from None
    return model


def reason(error: Exception) -> str:
    """Returns what is wrong with the tensors of a file, without torch's headline."""
    lines = str(error).strip().splitlines()
    return first_line(lines[1].strip() if len(lines) > 1 else error)
