"""Prompts on disk: safetensors with a JSON card, PNG and npy."""

from hashlib import sha256
from pathlib import Path

import torch
from safetensors.torch import load, save

from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line, one_line
from vpbench.prompts.pixel import part, restore_prompt
from vpbench.spec import schema_check
from vpbench.spec.methods import METHODS
from vpbench.spec.schema import SCHEMA, closed_schema
from vpbench.spec.settings import legal
from vpbench.spec.text_prompts import worded

SUFFIXES = (".safetensors", ".json", ".npy", ".png")
CARD = (
    *("schema", "backbone", "weights", "task", "template", "size", "image_size", "settings"),
    *("class_names", "text_prompt", "sha256"),
)
OF_MAP = "label_map"  # the part of a file that is not the prompt's
# What is read of a card, as JSON schema: of the settings those that a prompt is used with.
_TEXT = {"type": "string"}
_USED = (
    *("template", "size", "bound", "operation", "ensemble_size", "gradient"),
    *("prompt_space", "image_side", "label_map", "source_classes", "text_encoder"),
    *("text_prompt", "class_names", "position_range", "test_position"),
)
LEGAL = {
    "type": "object",
    "properties": {
        **dict.fromkeys(("backbone", "weights", "task", "text_prompt", "sha256"), _TEXT),
        "image_size": {"type": "integer", "minimum": 1},
        "class_names": {"type": "array", "items": _TEXT},
        "settings": closed_schema(legal(METHODS["visual_prompt"].settings), list(_USED)),
    },
}


def _named(path, suffix):
    # Only our own endings are replaced: the name of a prompt may have a dot in it, as in v1.2.
    path = Path(path)
    return path.with_name((path.stem if path.suffix in SUFFIXES else path.name) + suffix)


def prompt_card(prompt_settings, backbone, task, accuracy):
    """Returns the card of a prompt: what it was made for, with which recipe, and how good it is.

    `accuracy` maps split names to percent.
    """
    task = worded(task, prompt_settings)
    return {
        "schema": SCHEMA,
        "backbone": backbone.name,
        "weights": backbone.weights_hash,
        "task": task.name,
        "class_names": list(task.class_names),
        "text_prompt": task.template,
        "template": prompt_settings["template"],
        "size": prompt_settings["size"],
        "image_size": backbone.image_size,
        "settings": prompt_settings,
        "accuracy": accuracy,
    }


def save_prompt(path, prompt, card):
    """Returns the path `path`.safetensors; beside it the card is written as .json."""
    path, of_map = _named(path, ".safetensors"), card.get("label_map", {})
    tensors = prompt.state_dict() | {f"{OF_MAP}.{name}": tensor for name, tensor in of_map.items()}
    state = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    data = save(state)
    atomic_files.write_bytes(path, data)
    plain = {key: value for key, value in card.items() if key != "label_map"}
    atomic_files.write(path.with_suffix(".json"), plain | {"sha256": sha256(data).hexdigest()})
    return path


def load_prompt(path, backbone):
    """Returns (prompt, card) of the files at `path`, made for exactly this `backbone`.

    The card has the tensors of a label map that belongs to the prompt, under label_map.
    """
    path, card_path = _named(path, ".safetensors"), _named(path, ".json")
    for file in (path, card_path):
        if not file.is_file():
            raise UserError(
                f"{file} is missing: a prompt is a .safetensors file and its .json card"
            )
    card = _read_card(card_path)
    data = path.read_bytes()
    if sha256(data).hexdigest() != card["sha256"]:
        raise UserError(f"{path} is not the file its card {card_path} was written for")
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
    try:
        tensors = load(data)
        of_map = part(tensors, OF_MAP)
        own = {name: tensors[name] for name in tensors if not name.startswith(f"{OF_MAP}.")}
        prompt = restore_prompt(card["settings"], card["image_size"], own)
    except Exception as error:  # of what is no safetensors file, or holds other tensors
        reason = first_line((str(error).strip().splitlines() or [error])[-1])
        raise UserError(f"{path} does not hold the prompt of its card: {reason}") from None
    return prompt.to(backbone.device), card | {"label_map": of_map}


def _read_card(path):
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
        raise UserError(f"{path}: schema is {brief(card['schema'])}, this version reads {SCHEMA}")
    complaint = schema_check.complaint(card, LEGAL, path)
    if complaint:
        raise UserError(complaint)
    return card


def export_prompt(prompt, path):
    """Returns the paths of `prompt` as .npy (float32 [C, S, S], its own units) and .png.

    The PNG shows the prompt alone, each channel stretched so that 0 is mid-grey and the largest
    magnitude of all channels is black or white; it is a picture, not a lossless copy.
    """
    import numpy as np
    from PIL import Image

    with torch.no_grad():
        canvas = prompt.canvas()[0].cpu().numpy()
    stretched = 0.5 + 0.5 * canvas / max(float(abs(canvas).max()), 1e-12)
    picture = Image.fromarray((stretched.transpose(1, 2, 0) * 255).round().astype(np.uint8))
    paths = _named(path, ".npy"), _named(path, ".png")
    atomic_files.write_with(paths[0], lambda file: np.save(file, canvas))
    atomic_files.write_with(paths[1], lambda file: picture.save(file, "PNG"))
    return paths


def load_run_prompt(run, backbone):
    """Returns (prompt, card) of the loaded record of a run."""
    return load_prompt(Path(run["file"]).with_suffix(".prompt.safetensors"), backbone)
