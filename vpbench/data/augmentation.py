"""Training images drawn anew each time they are seen: flipped, or a part of them enlarged.

They are the squares that are stored: what lies outside the square that the preprocessing cut out is
not reached, as it is by recipes that crop the image in its file.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torchvision.transforms import InterpolationMode
from torchvision.transforms.functional import resized_crop

from vpbench.common.errors import UserError

ATTEMPTS = 10  # of torchvision's RandomResizedCrop to find a part that lies inside the image
AREA = 0.08, 1.0  # of its part, as a share of the image: its default, and CoOp's
RATIO = 3 / 4, 4 / 3  # width by height
# The usual crop of 224 pixels of 256. EVP's moves along the longer side of an image whose shorter
# side is already that of the crop: on a square it does nothing.
CROP = 7 / 8
Part = tuple[int, int, int, int]  # top, left, height, width
NUMBERS = {"none": 0, "flip": 1, "flip_crop": 3, "resized_crop": 3 + 2 * ATTEMPTS}  # per image


def diversify(images: Tensor, kind: str, generator: torch.Generator) -> Tensor:
    """Returns uint8 images [N, H, W, C], each changed by a draw of its own from `generator`.

    `kind` is none, flip (every other one is mirrored), flip_crop (and seven eighths of its side are
    enlarged) or resized_crop (and a part of it of 8 to 100 % of its area, of any shape from 3:4 to
    4:3, is; as torchvision's RandomResizedCrop). Parts are resized bicubically.
    """
    return changed(images, kind, draw(len(images), kind, generator))


def draw(count: int, kind: str, generator: torch.Generator) -> Tensor:
    """Returns what is drawn for `count` images: [count, numbers], each uniform in 0..1.

    For `none` nothing is drawn, so that the generator stays as it was.
    """
    if kind not in NUMBERS:
        raise UserError(f"unknown augmentation {kind!r}; choose one of: {', '.join(NUMBERS)}")
    return torch.rand(count, NUMBERS[kind], generator=generator)


def changed(images: Tensor, kind: str, draws: Tensor) -> Tensor:
    """Returns uint8 images [N, H, W, C], changed as `kind` and their `draws` say."""
    if kind == "none":
        return images
    flip = (draws[:, 0] < 0.5).to(images.device)
    images = torch.where(flip[:, None, None, None], images.flip(2), images)
    if kind == "flip":
        return images
    height, width = images.shape[1:3]
    find = {"flip_crop": square_part, "resized_crop": any_part}[kind]
    parts = [
        resized_crop(
            image, *find(height, width, numbers), [height, width], InterpolationMode.BICUBIC, True
        )
        for image, numbers in zip(images.permute(0, 3, 1, 2), draws[:, 1:].tolist(), strict=True)
    ]
    return torch.stack(parts).permute(0, 2, 3, 1) if parts else images


def square_part(height: int, width: int, numbers: Sequence[float]) -> Part:
    """Returns (top, left, height, width) of a part as large as CROP says, at a random place."""
    return placed(height, width, round(CROP * height), round(CROP * width), numbers)


def any_part(height: int, width: int, numbers: Sequence[float]) -> Part:
    """Returns (top, left, height, width) of a part of random area and shape, at a random place.

    Where no attempt lies inside the image it is all of it: images here are squares.
    """
    low, high = map(math.log, RATIO)
    for attempt in range(ATTEMPTS):
        share, shape = numbers[2 + 2 * attempt : 4 + 2 * attempt]
        area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * share)
        ratio = math.exp(low + (high - low) * shape)
        part = round(math.sqrt(area / ratio)), round(math.sqrt(area * ratio))
        if 0 < part[0] <= height and 0 < part[1] <= width:
            return placed(height, width, *part, numbers)
    return placed(height, width, height, width, numbers)


def placed(
    height: int, width: int, part_height: int, part_width: int, numbers: Sequence[float]
) -> Part:
    """Returns (top, left, height, width) of a part, its place by the first two of `numbers`."""
    top = int(numbers[0] * (height - part_height + 1))
    left = int(numbers[1] * (width - part_width + 1))
    return top, left, part_height, part_width
