"""Prompts and label maps of one's own: any modules that map as the suite's do.

A prompt maps images [N, C, S, S] to images of that shape, a label map normalised images
[N, C, S, S] to logits [N, K].
"""

import copy
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line
from vpbench.compute.draws import draws_apart
from vpbench.models.backbone import Backbone
from vpbench.prompts.label_maps import LabelMap
from vpbench.prompts.pixel import Ensemble, Prompt
from vpbench.spec.settings import Settings

# The settings that say what the suite's own prompt and label map are; one's own have none.
OF_PROMPT = (
    *("template", "size", "init", "bound", "operation", "ensemble_size"),
    *("position_range", "test_position"),
)
OF_LABEL_MAP = ("label_map", "source_classes", "text_encoder")


class PromptModule(Protocol):
    """A module that maps images [N, C, S, S] to prompted images of the same shape."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Returns prompted images [N, C, S, S]."""


class LabelMapModule(Protocol):
    """A module that maps normalised images [N, C, S, S] to logits [N, K]."""

    def __call__(self, x: Tensor, /) -> Tensor:
        """Returns logits [N, K]."""


class Own(NamedTuple):
    """What stands in place of a recipe's prompt and label map."""

    prompt: Any = None  # a Prompt or an Ensemble
    label_map: Any = None  # a LabelMap

    def without(self, settings: Settings) -> Settings:
        """Returns `settings` without those that say what one's own parts are themselves."""
        keys = (
            *(OF_PROMPT if self.prompt is not None else ()),
            *(OF_LABEL_MAP if self.label_map is not None else ()),
        )
        return {key: value for key, value in settings.items() if key not in keys}


NOTHING_OWN = Own()


class OwnPrompt(Prompt):
    """A prompt of one's own; its canvas is what it makes of an image of zeros."""

    def __init__(self, module: nn.Module, image_size: int):
        super().__init__()
        self.module = module
        self.empty: Tensor
        self.register_buffer("empty", torch.zeros(1, 3, image_size, image_size), persistent=False)

    def canvas(self) -> Tensor:
        """Returns the prompt on an image of zeros [1, C, S, S]."""
        return self.module(self.empty)

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


class OwnLabelMap(LabelMap):
    """A label map of one's own."""

    def __init__(self, module: nn.Module, backbone: Backbone):
        super().__init__(backbone)
        self.module = module

    def forward(self, x: Tensor) -> Tensor:
        return self.module(x)


def own_parts(
    prompt: nn.Module | None, label_map: nn.Module | None, backbone: Backbone, classes: int
) -> Own:
    """Returns copies of modules of one's own as parts of a classifier, on the backbone's device.

    Raises UserError, in one line, unless they map images of the backbone's size as they should.
    """
    check_part(prompt, "prompt", "images of the same shape")
    check_part(label_map, "label_map", f"logits of {classes} classes")
    prompt, label_map = copies(prompt, label_map, backbone)
    x = torch.zeros(2, 3, backbone.image_size, backbone.image_size, device=backbone.device)
    if prompt is not None:
        check_maps(prompt, x, tuple(x.shape[1:]), "prompt", "images of the same shape")
        if not isinstance(prompt, Prompt | Ensemble):
            prompt = OwnPrompt(prompt, backbone.image_size)
    if label_map is not None:
        check_maps(label_map, x, (classes,), "label_map", f"logits of {classes} classes")
        if not isinstance(label_map, LabelMap):
            label_map = OwnLabelMap(label_map, backbone)
    return Own(prompt, label_map)


def check_part(part: object, which: str, wanted: str) -> None:
    """Raises UserError unless a part of one's own, if there is one, can be trained and saved."""
    if part is None:
        return
    if not isinstance(part, nn.Module):
        raise UserError(f"{which} {brief(part)}: expected a torch.nn.Module, {wanted}")
    name = f"{which} {type(part).__name__}"
    if any(isinstance(module, Backbone) for module in part.modules()):
        raise UserError(
            f"{name} has a backbone as a part of it, which would be saved with it; hold it in a "
            "tuple: self.held = (backbone,)"
        )
    if any(map(is_lazy, [*part.parameters(), *part.buffers()])):
        raise UserError(f"{name} has layers without a shape yet; call it once on images first")
    others = [key for key, value in part.state_dict().items() if not isinstance(value, Tensor)]
    if others:
        raise UserError(f"{name} has {others[0]} in its state, which is no tensor; leave it out")


def copies(
    prompt: nn.Module | None, label_map: nn.Module | None, backbone: Backbone
) -> tuple[nn.Module | None, nn.Module | None]:
    """Returns copies of both, which share what these share; the backbone stays the one that it is.

    One's own modules stay as they are, and a module may be given to many fits and loads.
    """
    try:
        return copy.deepcopy((prompt, label_map), {id(backbone): backbone})
    except Exception as error:  # of anybody's code
        parts = " and ".join(type(each).__name__ for each in (prompt, label_map) if each)
        raise UserError(f"{parts} cannot be copied ({first_line(error)})") from None


def check_maps(
    module: nn.Module, x: Tensor, shape: tuple[int, ...], which: str, wanted: str
) -> None:
    """Raises UserError unless `module` maps images `x`, also one alone, to floats of this shape."""
    name = f"{which} {type(module).__name__}"
    module.to(x.device).eval()
    for images in (x, x[:1]):
        try:
            with torch.no_grad(), draws_apart(x.device):
                found = module(images.clone())
        except Exception as error:  # of anybody's code
            raise UserError(
                f"{name} fails on images {list(images.shape)}: {first_line(error)}; it is given "
                f"normalised images, {wanted} are expected"
            ) from None
        expected = (len(images), *shape)
        if not isinstance(found, Tensor) or (found.dtype, found.shape) != (x.dtype, expected):
            what = brief(found)
            if isinstance(found, Tensor):
                kind = "" if found.dtype == x.dtype else f"{found.dtype} ".removeprefix("torch.")
                what = f"{kind}{list(found.shape)}"
            raise UserError(
                f"{name} makes {what} of images {list(images.shape)}; expected {wanted}, float32 "
                f"{list(expected)}"
            )
