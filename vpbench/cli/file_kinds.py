"""What kind a file is that is no record, and what shows it."""

from pathlib import Path
from typing import Any

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, one_line

CARD = {"backbone", "weights", "image_size", "settings", "class_names", "sha256"}  # keys of one
_IMAGE = "an image; a viewer of images shows it"
_CONFIGURATION = "a configuration; `vpbench plan --configfile {path}` says what it asks for"
ENDINGS = {  # of names -> the kind, and what shows it
    **dict.fromkeys((".yaml", ".yml"), _CONFIGURATION),
    **dict.fromkeys((".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".pdf"), _IMAGE),
    ".csv": "a table; an editor or `pandas.read_csv` shows it",
    ".tex": "a table for LaTeX; an editor shows it",
    ".html": "a page; a browser shows it",
    ".npy": "an array; `numpy.load` reads it",
    ".npz": "arrays beside a record; give the record, the .json that begins with the same name",
    ".plain.safetensors": "a prompt for plain PyTorch; its page is docs/using-a-prompt.md",
    ".safetensors": "what was learned; give its card, the .json of the same name",
    ".onnx": "a model for onnxruntime; its page is docs/using-a-prompt.md",
    ".pt2": "a model for torch.export.load; its page is docs/using-a-prompt.md",
}


def refuse_other_kinds(path: Path) -> None:
    """Raises UserError if a file is certainly of another kind than a record; it says of which."""
    if path.is_dir():
        raise UserError(
            f"{one_line(path)} is a folder; `vpbench verify {one_line(path)}` checks one of "
            "results, and `vpbench sheet` draws one of images"
        )
    name = path.name.lower()
    kind = next((ENDINGS[ending] for ending in ENDINGS if name.endswith(ending)), None)
    if kind is None and path.suffix == ".json" and path.is_file():
        kind = kind_of(strict_json.read_json(path))
    if kind is not None:
        raise UserError(f"{one_line(path)} is {kind.format(path=one_line(path))}")


def kind_of(document: Any) -> str | None:
    """Returns what a JSON document is, and what shows it; None for a record, or nothing of ours."""
    if isinstance(document, list):
        return "a list, no record; of specs `vpbench run-task {path}` does the runs"
    if not isinstance(document, dict) or "spec" in document:
        return None
    keys = document.keys()
    if keys >= CARD:
        return (
            f"the card of a prompt or model for {brief(document['backbone'])}; `vpbench evaluate "
            "{path}` measures it, an editor shows it"
        )
    if keys >= {"digest", "records"}:
        return f"a manifest, a list of records; show one of them{first_of(document['records'])}"
    if "measurement" in keys:
        return "a spec of a measurement, no record; `vpbench measure` does it"
    if keys >= {"task", "backbone", "method"}:
        return "a spec, no record; `vpbench run {path} --out RECORD` does the run"
    return None


def first_of(records: Any) -> str:
    """Returns the first record of a manifest as an example, or nothing."""
    if isinstance(records, list) and records and isinstance(records[0], dict):
        return f", such as {one_line(records[0].get('path'))}"
    return ""
