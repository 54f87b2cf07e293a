"""Prompts trained with the paper's official code: its model_best.pth.tar as a prompt of ours."""

import struct
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.common.messages import brief
from vpbench.common.strict_json import computable
from vpbench.data.task import Task
from vpbench.models import weight_files
from vpbench.models.backbone import Backbone
from vpbench.prompts.build import restore_prompt
from vpbench.prompts.files import StoredPrompt, prompt_card
from vpbench.spec import schema_check
from vpbench.spec.class_names import read_manifest
from vpbench.spec.methods import METHODS
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import defaults
from vpbench.spec.tasks import TASKS

PADDING = ("pad_up", "pad_down", "pad_left", "pad_right")
# The recipe of main_clip.py and main_vision.py, which the checkpoint does not hold.
RECIPE = defaults(METHODS["visual_prompt"].settings) | {
    "epochs": 1000,
    "lr": 40,
    "warm_up_steps": 1000,
    "eval_epochs": 1,
}
BY_MODALITY = {
    "vision_language": {"label_map": "text", "batch_size": 256},
    "vision": {"label_map": "hard_coded", "batch_size": 128},
}
BEST = "model_best.pth.tar"  # the one file whose epoch is that of the accuracy in it


class Number:
    """Stands for numpy's dtype in a checkpoint: the kind of number that follows, a float64."""

    def __init__(self, kind: str, *flags: bool):
        if kind != "f8":
            raise ValueError(f"a number of numpy that is no float64, but {brief(kind)}")
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = ">" if state[1] == ">" else "<"


def number(kind: Number, value: bytes) -> float:
    """Returns the number that numpy wrote as bytes, as Python's own."""
    return float(struct.unpack(f"{kind.order}d", value)[0])


# The official schedule sets the rate with numpy, so that the state of the optimiser holds a number
# of numpy's. Its two names are read by the functions above: none of numpy's own is called.
NUMPY: list[Any] = [
    (number, "numpy.core.multiarray.scalar"),
    (number, "numpy._core.multiarray.scalar"),  # since numpy 2
    (Number, "numpy.dtype"),
]


def load_checkpoint(
    path: str | Path, backbone: Backbone, task: Task, **changes: Any
) -> StoredPrompt:
    """Returns the prompt and the card of a checkpoint of the official code, trained on this task.

    The file holds the prompt, the epoch and the best test accuracy, but not the recipe: the
    defaults of the official scripts are taken, with `changes`. Only model_best.pth.tar is of the
    epoch that had this accuracy; of checkpoint.pth.tar, the last one, the card has no accuracy. A
    patch does not say whether its place was fixed: give template="fixed_patch" or "random_patch".
    Raises UserError in one line if the file is no such checkpoint or does not fit the backbone.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path} is missing: expected a {BEST} of the official code")
    with torch.serialization.safe_globals(NUMPY):
        document = weight_files.load_plain(path)
    state: Any = document.get("state_dict") if isinstance(document, dict) else None
    if not weight_files.is_state(state) or not all(v.is_floating_point() for v in state.values()):
        raise UserError(f"{path} is not a checkpoint of the official code: it has no state_dict")
    template, size = shape_of(state, path, backbone, changes.pop("template", None))
    settings = RECIPE | BY_MODALITY[backbone.modality] | changes
    settings |= {"template": template, "size": size}
    schema_check.check(settings, settings_schema("visual_prompt", complete=True), "settings")
    state = {name: value.float() for name, value in state.items()}
    prompt = restore_prompt(settings, backbone.image_size, state)
    # The accuracy is the official code's own, of its best test epoch; nothing was measured here.
    best = plain(document.get("best_acc1")) if path.name == BEST else None
    origin: dict[str, Any] = {"file": path.name, "sha256": sha256(path)}
    origin |= {"epoch": plain(document.get("epoch")), "test": best}
    card = prompt_card(settings, backbone, task, {}) | {"imported": origin}
    return StoredPrompt(prompt, {}, card)


def without_images(name: str) -> Task:
    """Returns the dataset `name` with its words only, which is all that a prompt's card tells."""
    entry = TASKS[name]
    return Task(name, entry.display, read_manifest(name), entry.template, {})


def shape_of(
    state: dict[str, Tensor], path: Path, backbone: Backbone, template: str | None
) -> tuple[str, int]:
    """Returns (template, size) of the prompt with the tensors `state`, its shapes checked."""
    side, names = backbone.image_size, set(state)
    if names == set(PADDING):
        if template not in (None, "padding"):
            raise UserError(f"{path} holds a padding, not a {template}")
        template, size = "padding", side_of(state["pad_up"], -2)
        flat, upright = (1, 3, size, side), (1, 3, side - 2 * size, size)
        expected = dict(zip(PADDING, (flat, flat, upright, upright), strict=True))
    elif names == {"patch"}:
        if template not in ("fixed_patch", "random_patch"):
            raise UserError(
                f"{path} holds a patch and does not say where it was put; "
                "give template=fixed_patch or template=random_patch"
            )
        size = side_of(state["patch"], -1)
        expected = {"patch": (1, 3, size, size)}
    else:
        raise UserError(
            f"{path} holds no prompt of the official code: expected {', '.join(PADDING)} or "
            f"patch, found {brief(', '.join(sorted(names)[:4])) if names else 'nothing'}"
        )
    for name, shape in expected.items():
        if tuple(state[name].shape) != shape:
            raise UserError(
                f"{path} does not fit {backbone.name}, which takes images of {side} pixels: "
                f"{name} is {list(state[name].shape)}, expected {list(shape)}"
            )
    return template, size


def side_of(tensor: Tensor, axis: int) -> int:
    """Returns the length of an axis of [1, 3, height, width], 0 of a tensor of another kind."""
    return tensor.shape[axis] if tensor.ndim == 4 else 0


def plain(value: Any) -> int | float | None:
    """Returns a number, of Python or in a tensor, as Python's, and anything else as None."""
    if weight_files.is_state({"": value}) and value.numel() == 1:
        value = value.item()
    return value if isinstance(value, int | float) and computable(value) else None
