"""Training images drawn anew each time they are seen: flipped, or a part of them enlarged.

They are the squares that are stored: what lies outside the square that the preprocessing cut out is
not reached, as it is by recipes that crop the image in its file.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from vpbench.common.errors import UserError

ATTEMPTS = 10  # of torchvision's RandomResizedCrop to find a part that lies inside the image
AREA = 0.08, 1.0  # of its part, as a share of the image: its default, and CoOp's
RATIO = 3 / 4, 4 / 3  # width by height
# The usual crop of 224 pixels of 256. EVP's moves along the longer side of an image whose shorter
# side is already that of the crop: on a square it does nothing.
CROP = 7 / 8
TAPS = 4  # of a bicubic kernel
ON_A_CPU, ELSEWHERE = 2**20, 2**24  # values that are enlarged at a time: a CPU's caches are small
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
    flip = draws[:, 0] < 0.5
    if kind == "flip":
        return torch.where(flip.to(images.device)[:, None, None, None], images.flip(2), images)
    height, width = images.shape[1:3]
    parts = PARTS[kind](height, width, draws[:, 1:].double())
    values = ON_A_CPU if images.device.type == "cpu" else ELSEWHERE
    count = max(1, values // max(1, images[:1].numel()))
    some = zip(images.split(count), parts.split(count), flip.split(count), strict=True)
    return torch.cat([enlarged(*each) for each in some])


def square_parts(height: int, width: int, numbers: Tensor) -> Tensor:
    """Returns (top, left, height, width) of parts as large as CROP says, at random places, [N, 4].

    Every row of `numbers` [N, 2] is that of an image.
    """
    sides = torch.tensor([round(CROP * height), round(CROP * width)]).expand(len(numbers), 2)
    return placed(height, width, sides, numbers)


def any_parts(height: int, width: int, numbers: Tensor) -> Tensor:
    """Returns (top, left, height, width) of parts of random area, shape and place, [N, 4].

    Every row of `numbers` [N, 2 + 2 ATTEMPTS] is that of an image. Where no attempt lies inside an
    image the part is all of it: images here are squares.
    """
    low, high = map(math.log, RATIO)
    share, shape = numbers[:, 2::2], numbers[:, 3::2]
    area = height * width * (AREA[0] + (AREA[1] - AREA[0]) * share)
    ratio = torch.exp(low + (high - low) * shape)
    sides = torch.stack([(area / ratio).sqrt().round(), (area * ratio).sqrt().round()], 2).long()
    whole = torch.tensor([height, width])
    sides = torch.cat([sides, whole.expand(len(sides), 1, 2)], 1)
    inside = ((sides > 0) & (sides <= whole)).all(2)
    chosen = inside.int().argmax(1)  # the first
    return placed(height, width, sides[torch.arange(len(sides)), chosen], numbers)


def placed(height: int, width: int, sides: Tensor, numbers: Tensor) -> Tensor:
    """Returns parts of these sides [N, 2], their places by the first two of `numbers`, [N, 4]."""
    room = torch.tensor([height, width]) - sides + 1
    return torch.cat([(numbers[:, :2] * room).long(), sides], 1)


# By the kind: from the sides of the images and a row of draws for each.
PARTS: dict[str, Callable[[int, int, Tensor], Tensor]] = {
    "flip_crop": square_parts,
    "resized_crop": any_parts,
}


def enlarged(images: Tensor, parts: Tensor, flip: Tensor) -> Tensor:
    """Returns uint8 images [N, H, W, C]: `parts` [N, 4] at full size, mirrored before where `flip`.

    Bicubic as Pillow's, column by column and then row by row, all images at once: each of these
    vectors is a weighted sum of TAPS others.
    """
    height, width = images.shape[1:3]
    top, left, tall, wide = parts.to(images.device, torch.float32)[:, :, None, None].unbind(1)
    rows, of_rows = taps(height, top, tall)
    columns, of_columns = taps(width, left, wide)
    mirrored = flip.to(images.device)[:, None, None]
    columns = torch.where(mirrored, width - 1 - columns, columns)
    across = weighted(images.transpose(1, 2).float(), columns, of_columns)
    found = weighted(across.transpose(1, 2), rows, of_rows)
    return found.clamp_(0, 255).round_().byte()


def taps(length: int, start: Tensor, extent: Tensor) -> tuple[Tensor, Tensor]:
    """Returns (places, weights), [N, length, TAPS] each: where the vectors of an axis come from.

    The axis is enlarged to `length` from `extent` vectors that begin at `start`, both [N, 1, 1].
    """
    centre = (torch.arange(length, device=start.device)[:, None] + 0.5) * (extent / length)
    places = (centre - (TAPS - 1) / 2).floor() + torch.arange(TAPS, device=start.device)
    x = (places + 0.5 - centre).abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1  # Keys, with a = -1/2
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    weights = torch.where(x < 1, near, torch.where(x < 2, far, 0))
    weights = weights * ((places >= 0) & (places < extent))  # nothing beside the part is seen
    places = start + places.clamp(min=0).minimum(extent - 1)
    return places.long(), weights / weights.sum(2, keepdim=True)


def weighted(vectors: Tensor, places: Tensor, weights: Tensor) -> Tensor:
    """Returns sums [N, L, ...] of vectors [N, M, ...], of those at `places` [N, L, TAPS] each."""
    count, length = vectors.shape[:2]
    first = torch.arange(count, device=places.device)[:, None, None] * length
    sums = F.embedding_bag(
        (places + first).flatten(0, 1),
        vectors.reshape(count * length, -1),
        per_sample_weights=weights.flatten(0, 1),
        mode="sum",
    )
    return sums.view(count, -1, *vectors.shape[2:])
