"""Prompts and label maps of one's own: any modules that map as the suite's do.

A prompt maps images [N, C, S, S] to images of that shape, a label map normalised images
[N, C, S, S] to logits [N, K].
"""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line
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
    """Returns modules of one's own as parts of a classifier, on the backbone's device.

    Raises UserError, in one line, unless they map images of the backbone's size as they should.
    """
    x = torch.zeros(2, 3, backbone.image_size, backbone.image_size, device=backbone.device)
    own_prompt: nn.Module | None = None
    if prompt is not None:
        check_maps(prompt, x, tuple(x.shape), "prompt", "images of the same shape")
        ours = isinstance(prompt, Prompt | Ensemble)
        own_prompt = prompt if ours else OwnPrompt(prompt, backbone.image_size)
    own_map: nn.Module | None = None
    if label_map is not None:
        check_maps(label_map, x, (len(x), classes), "label_map", f"logits of {classes} classes")
        ours = isinstance(label_map, LabelMap)
        own_map = label_map if ours else OwnLabelMap(label_map, backbone)
    return Own(own_prompt, own_map)


@torch.no_grad()
def check_maps(module: object, x: Tensor, shape: tuple[int, ...], which: str, wanted: str) -> None:
    """Raises UserError unless `module` maps images `x` to floats of this shape."""
    if not isinstance(module, nn.Module):
        raise UserError(f"{which} {brief(module)}: expected a torch.nn.Module, {wanted}")
    was_training = module.training
    try:
        found = module.to(x.device).eval()(x)
    except Exception as error:  # of anybody's code
        raise UserError(
            f"{which} {type(module).__name__} fails on images {list(x.shape)}: "
            f"{first_line(error)}; it is given normalised images, {wanted} are expected"
        ) from None
    finally:
        module.train(was_training)
    if not isinstance(found, Tensor) or not found.is_floating_point() or found.shape != shape:
        what = list(found.shape) if isinstance(found, Tensor) else brief(found)
        raise UserError(
            f"{which} {type(module).__name__} makes {what} of images {list(x.shape)}; expected "
            f"{wanted}, {list(shape)}"
        )
