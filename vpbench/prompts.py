"""Visual prompts (section 3.2.2): one learned perturbation added to every image.

Shapes: N images, C = 3 channels, S = H = W pixels, p prompt size. A prompt maps images
[N, C, S, S] to prompted images of the same shape; it is not bounded.
"""

from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import nn


def _initial(init, generator, *shape):
    if init == "zeros":
        return nn.Parameter(torch.zeros(shape))
    return nn.Parameter(torch.randn(shape, generator=generator))


class Padding(nn.Module):
    """A border of width p: 2Cp(H + W - 2p) parameters."""

    def __init__(self, image_size, size, init="normal", generator=None, **_):
        super().__init__()
        if not 1 <= 2 * size <= image_size:
            raise ValueError(
                f"padding of size {size} does not fit images of {image_size} pixels; "
                f"choose 1 to {image_size // 2}"
            )
        inner = self.inner = image_size - 2 * size
        self.pad_up = _initial(init, generator, 1, 3, size, image_size)
        self.pad_down = _initial(init, generator, 1, 3, size, image_size)
        self.pad_left = _initial(init, generator, 1, 3, inner, size)
        self.pad_right = _initial(init, generator, 1, 3, inner, size)

    def canvas(self):
        """Returns the prompt alone [1, C, S, S], zero where it does not act."""
        hole = self.pad_up.new_zeros(1, 3, self.inner, self.inner)
        middle = torch.cat([self.pad_left, hole, self.pad_right], 3)
        return torch.cat([self.pad_up, middle, self.pad_down], 2)

    def forward(self, x):
        return x + self.canvas()


class FixedPatch(nn.Module):
    """A p x p patch in the upper left corner: Cp^2 parameters."""

    def __init__(self, image_size, size, init="normal", generator=None, **_):
        super().__init__()
        _check_patch(image_size, size)
        self.image_size = image_size
        self.patch = _initial(init, generator, 1, 3, size, size)

    def canvas(self):
        """Returns the prompt alone [1, C, S, S]."""
        return _placed(self.patch, 0, 0, self.image_size)

    def forward(self, x):
        return x + self.canvas()


class RandomPatch(nn.Module):
    """A p x p patch, at one random position per batch: Cp^2 parameters.

    A canvas has a position of its own, unless it is made inside `held`: there all have the same.
    `position_range` "official" never reaches the last row and column, as the official code's
    half-open draw; "full" does. At test time the position is drawn again ("random", as there) or
    is the middle of the range ("centre").
    """

    def __init__(
        self, image_size, size, init="normal", generator=None,
        position_range="full", test_position="centre",
    ):  # fmt: skip
        super().__init__()
        _check_patch(image_size, size)
        self.image_size, self.generator, self.test_position = image_size, generator, test_position
        self.positions = image_size - size + (1 if position_range == "full" else 0)
        self.position = None  # the one that is held
        if self.positions < 1:
            raise ValueError(
                f"a random patch of the full side {size} has no position in the official range; "
                "use position_range: full"
            )
        self.patch = _initial(init, generator, 1, 3, size, size)

    def _draw(self):
        if self.training or self.test_position == "random":
            return torch.randint(self.positions, (2,), generator=self.generator).tolist()
        return [(self.positions - 1) // 2] * 2

    @contextmanager
    def held(self):
        """Draws a position and keeps it for the time of a block: for all passes of a batch."""
        self.position = self._draw()
        try:
            yield
        finally:
            self.position = None

    def canvas(self):
        """Returns the prompt alone [1, C, S, S] at the position for this batch."""
        row, column = self.position or self._draw()
        return _placed(self.patch, row, column, self.image_size)

    def forward(self, x):
        return x + self.canvas()


def _check_patch(image_size, size):
    if not 1 <= size <= image_size:
        raise ValueError(
            f"a patch of size {size} does not fit images of {image_size} pixels; "
            f"choose 1 to {image_size}"
        )


def _placed(patch, row, column, image_size):
    size = patch.shape[-1]
    return F.pad(patch, (column, image_size - size - column, row, image_size - size - row))


PROMPTS = {"padding": Padding, "fixed_patch": FixedPatch, "random_patch": RandomPatch}


def build_prompt(
    template, image_size, size, *, init="normal", generator=None,
    position_range="full", test_position="centre",
):  # fmt: skip
    """Returns an untrained prompt of the given template and size."""
    if template not in PROMPTS:
        raise ValueError(f"unknown template {template!r}; choose one of: {', '.join(PROMPTS)}")
    return PROMPTS[template](
        image_size, size, init, generator,
        position_range=position_range, test_position=test_position,
    )  # fmt: skip


def restore_prompt(settings, image_size, state):
    """Returns the trained prompt with the recipe `settings` and the tensors `state`."""
    prompt = build_prompt(
        settings["template"], image_size, settings["size"], init="zeros",
        generator=torch.Generator().manual_seed(0),  # positions at test time, if they are drawn
        position_range=settings["position_range"], test_position=settings["test_position"],
    )  # fmt: skip
    prompt.load_state_dict(state)
    return prompt.eval()


def parameter_count(template, image_size, size):
    """Returns the number of trainable parameters by the paper's formulas (section 3.2.2)."""
    if template == "padding":
        return 2 * 3 * size * (2 * image_size - 2 * size)
    return 3 * size**2
