"""What was learned, on disk: safetensors with a JSON card; of a prompt also PNG and npy."""

import copy
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load, save
from torch import Tensor

from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line, one_line
from vpbench.data.folder_images import DIGITS
from vpbench.data.task import Task
from vpbench.models.backbone import Backbone
from vpbench.prompts.build import part, restore_prompt
from vpbench.prompts.own import OF_LABEL_MAP, OF_PROMPT
from vpbench.prompts.pixel import AnyPrompt
from vpbench.spec import schema_check
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS
from vpbench.spec.schema import SCHEMA, Schema, closed_schema
from vpbench.spec.settings import Settings, legal
from vpbench.spec.text_prompts import worded

SUFFIXES = (".safetensors", ".json", ".npy", ".png")
CARD = (
    *("schema", "backbone", "weights", "task", "image_size", "settings"),
    *("class_names", "text_prompt", "accuracy", "sha256"),
)
USUAL = "visual_prompt"  # the method of a card that says none, as those beside records
OF_MAP = "label_map"  # the part of a file that is not the prompt's
EXPORTED = {  # endings of what Model.export writes and nothing loads again -> what it is
    ".plain.safetensors": "a prompt for plain PyTorch",
    ".onnx": "a prompt and its model for onnxruntime",
    ".pt2": "a prompt and its model for torch.export.load",
    ".README.md": "a model card",
}
# What is read of a card, as JSON schema: of the settings those that a prompt is used with.
_TEXT = {"type": "string"}
_TEXTS = {"type": "array", "items": _TEXT}
_USED = (
    *("template", "size", "bound", "operation", "ensemble_size", "gradient"),
    *("prompt_space", "image_side", "label_map", "source_classes", "text_encoder"),
    *("text_prompt", "class_names", "position_range", "test_position"),
)
_PART = {
    "type": "object",
    "properties": {"name": _TEXT, "state_sha256": _TEXT},
    "required": ["name"],
}
LEGAL = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("backbone", "weights", "task", "text_prompt", "sha256"), _TEXT),
        **dict.fromkeys(("method", "address"), _TEXT),
        "own": {"type": "object", "additionalProperties": _PART},
        "preprocessing": {"type": "object"},
        "image_size": {"type": "integer", "minimum": 1},
        "accuracy": {"type": "object", "additionalProperties": {"type": "number"}},
        **dict.fromkeys(("class_names", "original_names", "notes"), _TEXTS),
        "trained_on": {"type": "string", "pattern": rf"^([0-9a-f]{{{DIGITS}}})*\Z"},
        "settings": {"type": "object"},
    },
}


class BackboneFacts(NamedTuple):
    """What of a backbone says whether what was learned fits it."""

    name: str
    weights_hash: str
    image_size: int


class Stored(NamedTuple):
    """What the two files of what was learned hold."""

    tensors: dict[str, Tensor]
    card: dict[str, Any]


class StoredPrompt(NamedTuple):
    """The same of a prompt."""

    prompt: AnyPrompt  # on the CPU
    of_map: dict[str, Tensor]  # what its label map learned
    card: dict[str, Any]


def a_path(path: object) -> Path:
    """Returns a path; raises UserError for anything else, as a model in its place."""
    if not isinstance(path, str | Path):
        raise UserError(f"{brief(path)} is no path of a file, as results/my_prompt is")
    return Path(path)


def named(path: str | Path, suffix: str) -> Path:
    """Returns `path` with the ending `suffix` instead of another one of ours."""
    # The name of a prompt may have a dot in it, as in v1.2.
    path = a_path(path)
    if path.name in ("", ".."):
        raise UserError(f"{path} is no name of a file; add one, as in results/my_prompt")
    return path.with_name((path.stem if path.suffix in SUFFIXES else path.name) + suffix)


def prompt_card(
    settings: Settings,
    backbone: Backbone,
    task: Task,
    accuracy: dict[str, float],
    method: str = USUAL,
) -> dict[str, Any]:
    """Returns the card of a prompt: what it was made for, with which recipe, and how good it is.

    So is that of what another `method` learns. `accuracy` maps split names to percent. Where the
    settings call the classes by other names than the task, its own names are there as well, and so
    are the notes on its images, if any.
    """
    original, task = task.class_names, worded(task, settings)
    card: dict[str, Any] = {
        "schema": SCHEMA,
        "method": method,
        "backbone": backbone.name,
        "weights": backbone.weights_hash,
        "task": task.name,
        "class_names": list(task.class_names),
        "text_prompt": task.template,
        **{key: settings[key] for key in ("template", "size") if key in settings},
        "image_size": backbone.image_size,
        "settings": copy.deepcopy(settings),
        "accuracy": dict(accuracy),
    }
    if original != task.class_names:
        card["original_names"] = list(original)
    if backbone.address is not None:
        card["address"] = backbone.address  # what load_backbone takes
    else:  # of one that was wrapped no name tells it
        card["preprocessing"] = preprocessing_of(backbone)
    return card | ({"notes": list(task.notes)} if task.notes else {})


def preprocessing_of(backbone: Backbone) -> dict[str, Any]:
    """Returns what happens to an image before a backbone sees it, as JSON."""
    mean, std = (tuple(each.flatten().tolist()) for each in (backbone.mean, backbone.std))
    facts = backbone.preprocessing._replace(mean=mean, std=std)._asdict()
    return {key: list(value) if isinstance(value, tuple) else value for key, value in facts.items()}


def write_prompt(
    path: str | Path, prompt: AnyPrompt, of_map: dict[str, Tensor], card: dict[str, Any]
) -> Path:
    """Returns the path `path`.safetensors; beside it the card is written as .json."""
    of_map = {f"{OF_MAP}.{name}": of_map[name] for name in of_map}
    return write(path, prompt.state_dict() | of_map, card)


def write(path: str | Path, tensors: dict[str, Tensor], card: dict[str, Any]) -> Path:
    """Returns the path `path`.safetensors with `tensors`; the card comes beside it, as .json."""
    path = named(path, ".safetensors")
    data = save(apart(tensors))
    atomic_files.write_bytes(path, data)
    atomic_files.write(path.with_suffix(".json"), card | {"sha256": sha256(data).hexdigest()})
    return path


def apart(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Returns tensors on the CPU, each with memory of its own, as safetensors wants them.

    Those of layers that share their weights are copied, no others.
    """
    found: dict[str, Tensor] = {}
    seen: set[int] = set()
    for name, value in tensors.items():
        value = value.detach().cpu().contiguous()
        memory = value.untyped_storage().data_ptr()
        found[name] = value.clone() if memory in seen else value
        seen.add(memory)
    return found


def read_prompt(path: str | Path, backbone: Backbone | BackboneFacts) -> StoredPrompt:
    """Returns the prompt that the files at `path` hold, made for exactly this `backbone`."""
    tensors, card = read(path, backbone)
    settings = card["settings"]
    if card.get("own") or not METHODS[card.get("method", USUAL)].keeps_prompt:
        raise UserError(f"{path} holds no prompt of ours alone; load it by vpbench.load in Python")
    try:
        of_map = part(tensors, OF_MAP)
        of_prompt = {key: tensors[key] for key in tensors if not key.startswith(f"{OF_MAP}.")}
        prompt = restore_prompt(settings, card["image_size"], of_prompt)
    except Exception as error:  # of what holds other tensors
        raise other_tensors(path, error) from None
    return StoredPrompt(prompt, of_map, card)


def other_tensors(path: str | Path, error: Exception) -> UserError:
    """Returns what to raise where a file does not hold what its card says."""
    reason = first_line((str(error).strip() or type(error).__name__).splitlines()[-1])
    file = named(path, ".safetensors")
    return UserError(f"{file} does not hold what its card says: {reason}")


def read_card(path: str | Path) -> dict[str, Any]:
    """Returns the card of what was learned at `path`, checked as far as it is used."""
    ending = next((each for each in EXPORTED if str(path).endswith(each)), None)
    if ending is not None:
        raise UserError(
            f"{path} is {EXPORTED[ending]}, which was exported (docs/using-a-prompt.md) and is not "
            "loaded here; give what was saved, a .safetensors file with its .json card"
        )
    for file in (named(path, ".safetensors"), named(path, ".json")):
        if not file.is_file():
            raise UserError(
                f"{file} is missing: what was learned is a .safetensors file and its .json card"
            )
    return _read_card(named(path, ".json"))


def address_of(card: dict[str, Any]) -> str | None:
    """Returns what load_backbone takes to load the backbone of a card, None if it was wrapped."""
    named: str = card["backbone"]  # a card beside a record says no more
    return card.get("address") or (named if named in BACKBONES else None)


def read(path: str | Path, backbone: Backbone | BackboneFacts) -> Stored:
    """Returns what the files at `path` hold, made for exactly this `backbone`."""
    path, card_path = named(path, ".safetensors"), named(path, ".json")
    card = read_card(path)
    data = path.read_bytes()
    if sha256(data).hexdigest() != card["sha256"]:
        raise UserError(f"{path} is not the file its card {card_path} was written for")
    _check_backbone(path, card, backbone)
    try:
        tensors = load(data)
    except Exception as error:  # of what is no safetensors file
        raise other_tensors(path, error) from None
    members = card["settings"].get("ensemble_size", 1)
    if members > max(1, len(tensors)):  # before as many are built as the card says
        raise other_tensors(path, ValueError(f"{members} prompts in {len(tensors)} tensors"))
    return Stored(tensors, card)


def _check_backbone(path: Path, card: dict[str, Any], backbone: Backbone | BackboneFacts) -> None:
    """Raises UserError unless the prompt at `path` was made for this backbone."""
    if card["backbone"] != backbone.name or card["weights"] != backbone.weights_hash:
        raise UserError(
            f"{path} was made for {one_line(card['backbone'][:80])} "
            f"(weights {one_line(card['weights'][:12])}), not for {backbone.name} "
            f"(weights {backbone.weights_hash[:12]}); load that backbone, or fit a new prompt"
        )
    if card["image_size"] != backbone.image_size:
        raise UserError(
            f"{path} was made for images of {card['image_size']} pixels, {backbone.name} takes "
            f"{backbone.image_size}"
        )
    told = card.get("preprocessing")
    if told is not None and isinstance(backbone, Backbone):
        now = preprocessing_of(backbone)
        other = [key for key in now if told.get(key) != now[key]]
        if other:
            raise UserError(
                f"{path} was made for {other[0]} {brief(told.get(other[0]))}, {backbone.name} has "
                f"{brief(now[other[0]])}; wrap it with the transform of then"
            )


def _read_card(path: Path) -> dict[str, Any]:
    """Returns the card in the file `path`, checked as far as a prompt is used with it."""
    try:
        card = strict_json.parse_json(path.read_bytes())
    except ValueError:
        card = None
    if not isinstance(card, dict):
        raise UserError(f"{path} is not the card of a prompt: broken JSON")
    missing = [key for key in CARD if key not in card]
    if missing:
        raise UserError(f"{path} is not the card of a prompt: it lacks {missing[0]!r}")
    if card["schema"] != SCHEMA:
        version = brief(card["schema"])
        raise UserError(
            f"{path}: schema is {version}, this version reads {SCHEMA}; fit the prompt again"
        )
    schema_check.check(card, LEGAL, str(path))
    settings = legal_settings(card.get("method", USUAL), card.get("own", {}), path)
    schema_check.check(card["settings"], settings, f"{path} at settings")
    return card


def legal_settings(method: str, own: dict[str, Any], path: Path) -> Schema:
    """Returns the JSON schema of the settings in the card at `path`, as far as they are used."""
    if "method" in own:
        return {"type": "object"}
    if method not in METHODS:
        raise UserError(f"{path} is of the method {one_line(method)[:80]}, which is not here")
    known = legal(METHODS[method].settings)
    if not METHODS[method].keeps_prompt:
        return closed_schema(known, True)
    unsaid = {"prompt": OF_PROMPT, "label_map": OF_LABEL_MAP}
    without = [key for which in own for key in unsaid.get(which, ())]
    return closed_schema(known, [key for key in _USED if key not in without])


def export_prompt(prompt: AnyPrompt, path: str | Path) -> tuple[Path, Path]:
    """Returns the paths of `prompt` as .npy and .png; see PromptedClassifier.export."""
    with torch.no_grad():
        canvas = prompt.canvas()[0].cpu().numpy()
    stretched = 0.5 + 0.5 * canvas / max(float(abs(canvas).max()), 1e-12)
    picture = Image.fromarray((stretched.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    paths = named(path, ".npy"), named(path, ".png")
    atomic_files.write_with(paths[0], lambda file: np.save(file, canvas))
    atomic_files.write_with(paths[1], lambda file: picture.save(file, "PNG"))
    return paths
