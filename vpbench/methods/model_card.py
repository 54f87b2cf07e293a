"""A model card in the format of the Hugging Face hub; nothing is uploaded."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from vpbench.common import atomic_files
from vpbench.common.messages import one_line
from vpbench.methods.exporting import OPSET, beside
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS

UNKNOWN = "unknown"  # the hub's word for a licence that nobody gave
INSIDE = {  # ending of an exported file -> what it is
    ".onnx": f"ONNX (opset {OPSET}) of prompt and model: `pixels` float32 [N, 3, S, S] in 0..1, "
    "resized and cropped as its metadata say, to `logits` [N, K]",
    ".pt2": "prompt and model, for `torch.export.load`; takes and gives what an ONNX of it does",
    ".plain.safetensors": "the prompt and what plain PyTorch needs to use it, as metadata",
    ".npy": "the prompt in its own units, float32 [C, S, S]",
    ".png": "a picture of the prompt, stretched to be seen",
    ".safetensors": "what was learned, for `vpbench.load`",
}


def write_model_card(card: dict[str, Any], files: Sequence[Path], path: str | Path) -> Path:
    """Returns the path `path`.README.md of the model card of what was saved with `card`.

    On the hub it is called README.md; here a folder may have one already. `files` are those that it
    lists, after those that it has listed before, if it is the card of the same model.
    """
    path = beside(path, ".README.md")
    before = text_at(path)
    earlier = listed(before, path)
    if before != text_of(card, earlier, path):  # there is none, or of another model
        earlier = []
    everything = [*(file for file in earlier if file not in files), *files]
    return atomic_files.write_bytes(path, text_of(card, everything, path).encode())


def is_model_card(path: Path) -> bool:
    """Returns whether there is a model card at `path`, and it is one of ours."""
    text = text_at(path)
    return text.startswith("---") and "library_name: vpbench" in text


def text_at(path: Path) -> str:
    """Returns what is written in a file; nothing where there is no text."""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""


def listed(text: str, path: Path) -> list[Path]:
    """Returns the files that the `text` of a model card at `path` lists."""
    lines = text.splitlines()
    return [path.with_name(line.split("`")[1]) for line in lines if line.startswith("- `")]


def text_of(card: dict[str, Any], files: Sequence[Path], path: Path) -> str:
    """Returns the whole model card at `path`."""
    name = path.name.removesuffix(".README.md")
    front = yaml.safe_dump(front_matter(card, name), sort_keys=False, allow_unicode=True)
    return f"---\n{front}---\n\n{body(card, files, name)}"


def front_matter(card: dict[str, Any], name: str) -> dict[str, Any]:
    """Returns what the hub reads of a model card."""
    method = method_of(card)
    licence, page = licence_and_page(card)
    matter: dict[str, Any] = {
        "license": licence,
        "library_name": "vpbench",
        "pipeline_tag": "image-classification",
        "tags": ["vpbench", "visual-prompting", method.replace("_", "-")],
    }
    matter |= {} if page is None else {"base_model": page}
    if card["accuracy"]:
        results = [
            {
                "task": {"type": "image-classification"},
                "dataset": {"name": card["task"], "type": card["task"], "split": split},
                "metrics": [{"type": "accuracy", "value": round(value, 2), "name": "accuracy, %"}],
            }
            for split, value in card["accuracy"].items()
        ]
        matter |= {"metrics": ["accuracy"], "model-index": [{"name": name, "results": results}]}
    return matter


def body(card: dict[str, Any], files: Sequence[Path], name: str) -> str:
    """Returns the text of a model card."""
    method, task = method_of(card), one_line(card["task"])
    called = METHODS[method].display if method in METHODS else one_line(method)
    backbone = one_line(card.get("address") or card["backbone"])
    said = [f"- {split}: {value:.1f} %" for split, value in card["accuracy"].items()]
    notes = [f"- {one_line(note)}" for note in card.get("notes", ())]
    inside = [f"- `{file.name}`: {contents(file)}" for file in files]
    sections = {
        "Files": inside,
        "Accuracy": said or ["Not measured."],
        "Notes on the images": notes,
        "Classes, by label": fenced(card["class_names"]),
        "Recipe": fenced(card["settings"]),
    }
    parts = [
        f"# {one_line(name)}",
        f"{called} for `{task}` on the frozen model `{backbone}` (weights SHA-256 "
        f"`{card['weights']}`), learned with vpbench. The licence is that of the weights.",
        *(f"## {title}\n\n" + "\n".join(lines) for title, lines in sections.items() if lines),
    ]
    return "\n\n".join(parts) + "\n"


def contents(file: Path) -> str:
    """Returns what is in a file that was exported."""
    return next((INSIDE[end] for end in INSIDE if file.name.endswith(end)), "weights of the above")


def fenced(value: Any) -> list[str]:
    """Returns JSON as a block of code, in which nothing is markup."""
    return ["````json", json.dumps(value, indent=1, ensure_ascii=False), "````"]


def method_of(card: dict[str, Any]) -> str:
    """Returns the name of the method that a card is of; an old card is of a prompt."""
    return str(card.get("method", "visual_prompt"))


def licence_and_page(card: dict[str, Any]) -> tuple[str, str | None]:
    """Returns the licence of a backbone's weights in the hub's words, and their page there."""
    name = card["backbone"]
    if name in BACKBONES:
        entry = BACKBONES[name]
        page = None if entry.hub is None else "/".join(entry.hub.split("/")[:2])
        return entry.licence.lower(), page
    library, _, of_library = str(card.get("address", "")).partition(":")
    if library == "timm":
        import timm  # late: a second

        of_timm = timm.get_pretrained_cfg(of_library)
        if of_timm is not None:
            return of_timm.license or UNKNOWN, of_timm.hf_hub_id
    if library == "open_clip":
        import open_clip  # late: a second

        of_clip = open_clip.get_pretrained_cfg(*of_library.split("/", 1))
        return UNKNOWN, str(of_clip.get("hf_hub", "")).strip("/") or None
    return UNKNOWN, None
