"""Visual prompts (section 3.2.2): one learned perturbation of every image.

Shapes: N images, C = 3 channels, S = H = W pixels, p prompt size. A prompt maps images
[N, C, S, S] to prompted images of the same shape.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.common.errors import UserError

BOUNDS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
}
Draws = torch.Generator | None  # torch's own generator if it is None
LOW_RANK_STD = 0.01  # of the second factor at the start, as in LoR-VP


class Prompt(nn.Module):
    """What all prompts share: a picture, the canvas, that is added to every image.

    `bound` bounds its values (adversarial reprogramming: tanh). With the operation `multiply` each
    pixel is multiplied by 1 + the canvas instead.
    """

    copies = 1  # prompted images per image

    def __init__(self, bound: str = "none", operation: str = "add"):
        super().__init__()
        self.bound, self.operation = BOUNDS[bound], operation

    @property
    def members(self) -> list["Prompt"]:
        """The prompts that it consists of."""
        return [self]

    @property
    def trained(self) -> int:
        """The number of its values that are trained."""
        return sum(each.numel() for each in self.parameters() if each.requires_grad)

    def canvas(self) -> Tensor:
        """Returns the prompt alone [1, C, S, S], zero where it does not act."""
        raise NotImplementedError

    def one_draw(self) -> AbstractContextManager[object]:
        """Returns the context of a batch: passes in it share what is drawn at random."""
        return nullcontext()

    def acting(self, x: Tensor, canvas: Tensor) -> Tensor:
        """Returns images [N, C, S, S] on which a canvas has acted."""
        return x * (1 + canvas) if self.operation == "multiply" else x + canvas

    def forward(self, x: Tensor) -> Tensor:
        return self.acting(x, self.canvas())


def _initial(init: str, generator: Draws, *shape: int) -> nn.Parameter:
    if init == "zeros":
        return nn.Parameter(torch.zeros(shape))
    return nn.Parameter(torch.randn(shape, generator=generator))


class Padding(Prompt):
    """A border of width p: 2Cp(H + W - 2p) parameters."""

    def __init__(self, image_size: int, size: int, init: str, generator: Draws, **form: str):
        super().__init__(**form)
        if not 1 <= 2 * size <= image_size:
            raise UserError(
                f"padding of size {size} does not fit images of {image_size} pixels; "
                f"choose 1 to {image_size // 2}"
            )
        inner = self.inner = image_size - 2 * size
        self.pad_up = _initial(init, generator, 1, 3, size, image_size)
        self.pad_down = _initial(init, generator, 1, 3, size, image_size)
        self.pad_left = _initial(init, generator, 1, 3, inner, size)
        self.pad_right = _initial(init, generator, 1, 3, inner, size)

    def canvas(self) -> Tensor:
        """Returns the prompt alone [1, C, S, S], zero where it does not act."""
        hole = self.pad_up.new_zeros(1, 3, self.inner, self.inner)
        up, down, left, right = map(
            self.bound, (self.pad_up, self.pad_down, self.pad_left, self.pad_right)
        )
        return torch.cat([up, torch.cat([left, hole, right], 3), down], 2)


class FixedPatch(Prompt):
    """A p x p patch in the upper left corner: Cp^2 parameters."""

    def __init__(self, image_size: int, size: int, init: str, generator: Draws, **form: str):
        super().__init__(**form)
        _check_patch(image_size, size)
        self.image_size = image_size
        self.patch = _initial(init, generator, 1, 3, size, size)

    def canvas(self) -> Tensor:
        """Returns the prompt alone [1, C, S, S]."""
        return _placed(self.bound(self.patch), 0, 0, self.image_size)


class RandomPatch(Prompt):
    """A p x p patch, at one random position per batch: Cp^2 parameters.

    A canvas has a position of its own; those that are made inside `one_draw` have the same.
    `position_range` "official" never reaches the last row and column, as the official code's
    half-open draw; "full" does. At test time the position is drawn again ("random", as there) or
    is the middle of the range ("centre").
    """

    def __init__(
        self,
        image_size: int,
        size: int,
        init: str,
        generator: Draws,
        position_range: str = "full",
        test_position: str = "centre",
        **form: str,
    ):
        super().__init__(**form)
        _check_patch(image_size, size)
        self.image_size, self.generator, self.test_position = image_size, generator, test_position
        self.positions = image_size - size + (1 if position_range == "full" else 0)
        self.position: list[int] | None = None  # the one that all canvases have
        if self.positions < 1:
            raise UserError(
                f"a random patch of the full side {size} has no position in the official range; "
                "use position_range: full"
            )
        self.patch = _initial(init, generator, 1, 3, size, size)

    def _draw(self) -> list[int]:
        if self.training or self.test_position == "random":
            return torch.randint(self.positions, (2,), generator=self.generator).tolist()
        return [(self.positions - 1) // 2] * 2

    @contextmanager
    def one_draw(self) -> Iterator[None]:
        """Draws a position and keeps it for the time of a block: for all passes of a batch."""
        self.position = self._draw()
        try:
            yield
        finally:
            self.position = None

    def canvas(self) -> Tensor:
        """Returns the prompt alone [1, C, S, S] at the position for this batch."""
        row, column = self.position or self._draw()
        return _placed(self.bound(self.patch), row, column, self.image_size)


def _check_patch(image_size: int, size: int) -> None:
    if not 1 <= size <= image_size:
        raise UserError(
            f"a patch of size {size} does not fit images of {image_size} pixels; "
            f"choose 1 to {image_size}"
        )


def _placed(patch: Tensor, row: int, column: int, image_size: int) -> Tensor:
    size = patch.shape[-1]
    return F.pad(patch, (column, image_size - size - column, row, image_size - size - row))


class LowRank(Prompt):
    """A whole image that is the product of two factors of rank r: 2CSr parameters (LoR-VP)."""

    def __init__(self, image_size: int, size: int, init: str, generator: Draws, **form: str):
        super().__init__(**form)
        if not 1 <= size <= image_size:
            raise UserError(
                f"a low-rank prompt of rank {size} does not fit images of {image_size} pixels; "
                f"choose 1 to {image_size}"
            )
        self.rows = _initial(init, generator, 1, 3, image_size, size)
        columns = torch.randn(1, 3, size, image_size, generator=generator)
        self.columns = nn.Parameter(LOW_RANK_STD * columns)  # both zero: nothing would be learned

    def canvas(self) -> Tensor:
        """Returns the prompt alone [1, C, S, S]."""
        return self.bound(self.rows @ self.columns)


class Conditional(Prompt):
    """A whole image, weighted for each image by a mask that a small network makes of it (SMM).

    The mask has one value for every square of p x p pixels, p a power of 2.
    """

    WIDTHS = (8, 16, 32, 64, 3)  # channels after each convolution

    def __init__(self, image_size: int, size: int, init: str, generator: Draws, **form: str):
        super().__init__(**form)
        pools = int(math.log2(size))
        if 2**pools != size or pools > len(self.WIDTHS) or image_size % size:
            raise UserError(
                f"a conditional prompt with a mask of squares of {size} pixels does not fit images "
                f"of {image_size}; choose a power of 2 up to {2 ** len(self.WIDTHS)} that divides "
                "the image"
            )
        self.size = size
        self.picture = _initial(init, generator, 1, 3, image_size, image_size)
        layers: list[nn.Module] = []
        before = 3
        for number, width in enumerate(self.WIDTHS):
            convolution = nn.Conv2d(before, width, 3, padding=1)
            bound = 1 / math.sqrt(9 * before)  # PyTorch's own start, from our generator
            for parameter in convolution.parameters():
                nn.init.uniform_(parameter, -bound, bound, generator=generator)
            layers.append(convolution)
            if number < len(self.WIDTHS) - 1:
                layers += [nn.BatchNorm2d(width), nn.ReLU()]
            if number < pools:
                layers.append(nn.MaxPool2d(2))
            before = width
        self.mask = nn.Sequential(*layers)

    def canvas(self) -> Tensor:
        """Returns the prompt [1, C, S, S] before its masks, which are those of images."""
        return self.bound(self.picture)

    def forward(self, x: Tensor) -> Tensor:
        mask = self.mask(x).repeat_interleave(self.size, 2).repeat_interleave(self.size, 3)
        return self.acting(x, self.canvas() * mask)


class Nothing(Prompt):
    """No prompt: what the label map, or the shrinking of the images, does by itself."""

    def __init__(self, image_size: int, size: int, init: str, generator: Draws, **form: str):
        super().__init__(**form)
        self.empty: Tensor
        self.register_buffer("empty", torch.zeros(1, 3, image_size, image_size), persistent=False)

    def canvas(self) -> Tensor:
        """Returns zeros [1, C, S, S]."""
        return self.empty


class Whole(Prompt):
    """A prompt kept as a whole image, of which only the pixels of its template are ever changed.

    Its gradient says how much of the loss falls on the rest of the image: see gradients.py.
    """

    def __init__(self, prompt: Prompt):
        super().__init__()
        self.operation, self.bound = prompt.operation, prompt.bound
        if isinstance(prompt, RandomPatch | LowRank | Conditional | Nothing):
            raise UserError(
                "gradient: unit_image is for prompts of one place: padding and fixed_patch"
            )
        if self.bound(torch.zeros(())) != 0:
            raise UserError(
                "gradient: unit_image needs a prompt of zeros to do nothing: no sigmoid"
            )
        prompt.bound = BOUNDS["none"]
        self.picture = nn.Parameter(prompt.canvas().detach().clone())
        for parameter in prompt.parameters():
            parameter.data.fill_(1)
        self.mask: Tensor
        self.register_buffer("mask", prompt.canvas().detach(), persistent=False)

    @property
    def trained(self) -> int:
        """The number of its values that are trained: those under its mask."""
        return int(self.mask.sum())

    def canvas(self) -> Tensor:
        """Returns the prompt alone [1, C, S, S], zero where it does not act."""
        return self.bound(self.picture)  # without the mask, so that all of it has a gradient


class Ensemble(nn.Module):
    """Several prompts, each with an image of its own per image; what they say is averaged."""

    def __init__(self, members: list[Prompt]):
        super().__init__()
        self.members: Iterable[Prompt] = nn.ModuleList(members)  # type: ignore[assignment]  # only prompts
        self.copies = len(members)

    @property
    def trained(self) -> int:
        """The number of values that are trained, of all members."""
        return sum(member.trained for member in self.members)

    def canvas(self) -> Tensor:
        """Returns the mean [1, C, S, S] of the members' canvases."""
        return torch.stack([member.canvas() for member in self.members]).mean(0)

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([member(x) for member in self.members])


AnyPrompt = Prompt | Ensemble
