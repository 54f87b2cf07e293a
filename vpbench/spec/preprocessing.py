"""From an image of any size to the square of pixels that a backbone takes; no torch here."""

import os
from collections.abc import Callable
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from vpbench.common.errors import UserError
from vpbench.common.messages import first_line, one_line
from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.settings import Settings

# Pillow would also read formats for which it starts another program, as Ghostscript for EPS.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
Decoded = TypeVar("Decoded")
SLENDER = 200  # times longer than wide: resized, a longer image would fill the memory


class Preprocessing(NamedTuple):
    """A backbone's evaluation transform up to its pixels; sizes in pixels.

    `resize` is the new length of the shorter side, None squashes the image to the square without
    a crop; `crop` is the side of the square that is cut from the centre. `mean` and `std`, of
    pixels 0..1, are those of a model of one's own; a task and a loaded backbone leave them out.
    """

    resize: int | None
    crop: int
    interpolation: str = "bicubic"  # or bilinear
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None

    @property
    def key(self) -> str:
        """The name that equal transforms share, e.g. resize256_bilinear_crop224."""
        resized = "squash" if self.resize is None else f"resize{self.resize}"
        return f"{resized}_{self.interpolation}_crop{self.crop}"

    @property
    def geometry(self) -> "Preprocessing":
        """The same without mean and std: what becomes of the pixels that are stored."""
        return self._replace(mean=None, std=None)


def preprocessing_of(spec: Spec) -> Preprocessing:
    """Returns what the images of a run go through before they are stored.

    Those that are kept as they are (`resolution: native`) are resized when they are looked at.
    """
    transform = Preprocessing(*BACKBONES[spec["backbone"]].preprocessing)
    native = spec["data"].get("resolution") == "native"
    return transform if native else for_recipe(transform, spec["settings"])


def for_recipe(preprocessing: Preprocessing, settings: Settings) -> Preprocessing:
    """Returns a backbone's `preprocessing`, or that of a recipe which shrinks images instead.

    They go straight to its `image_side`, as in EVP: through the backbone's first they would be
    resized twice.
    """
    side, size = settings.get("image_side"), preprocessing.crop
    if side is not None and side > size:  # before images are read at that size
        raise UserError(f"image_side {side}: the backbone's images have {size} pixels; shrink them")
    return preprocessing if side is None else straight_to(side)


def straight_to(side: int) -> Preprocessing:
    """Returns the transform to a square of `side` pixels whose shorter side was resized to that."""
    return Preprocessing(side, side)


def preprocess(image: Image.Image, preprocessing: Preprocessing) -> np.ndarray:
    """Returns a PIL image (RGB) as uint8 [crop, crop, 3].

    Rounded like torchvision's Resize and CenterCrop, which CLIP's and timm's transforms use.
    """
    resize, crop, interpolation, *_ = preprocessing
    resample = Image.Resampling[interpolation.upper()]
    if resize is None:
        return np.asarray(image.resize((crop, crop), resample))
    width, height = (side * resize // min(image.size) for side in image.size)
    image = image.resize((width, height), resample)
    left, top = round((width - crop) / 2), round((height - crop) / 2)
    return np.asarray(image.crop((left, top, left + crop, top + crop)))


def read_image(path: str | os.PathLike[str], preprocessing: Preprocessing) -> np.ndarray:
    """Returns the image file, as published, as uint8 RGB [crop, crop, 3]."""
    return preprocess(open_image(path), preprocessing)


def open_image(path: str | os.PathLike[str]) -> Image.Image:
    """Returns the image file as a PIL image in RGB, whatever its mode, as published.

    So neither is it turned by its orientation tag, nor are its colours mixed by its transparency.
    Raises UserError, in one line, if it is none, or one that would take the machine's memory.
    """
    return decoded(path, _as_published)


def _as_published(file: Image.Image) -> Image.Image:
    # Pillow warns when it goes from a palette with transparency straight to RGB.
    image = file.convert("RGBA") if "transparency" in file.info else file
    return image.convert("RGB")


def decoded(
    path: str | os.PathLike[str],
    decode: Callable[[Image.Image], Decoded],
    formats: tuple[str, ...] = FORMATS,
) -> Decoded:
    """Returns what `decode` makes of the open image file at `path`.

    Raises UserError, in one line, if it is none, or one that would take the machine's memory.
    """
    where = one_line(path)
    if not os.path.isfile(path):  # of a pipe Pillow would wait for the end
        raise UserError(f"{where}: the image is missing")
    try:
        with Image.open(path, formats=formats) as file:
            image = decode(file)
    except Exception as error:  # readers of damaged files raise anything at all
        reason = first_line(error)
        raise UserError(
            f"{where}: the image cannot be read ({reason}); replace or remove it"
        ) from None
    check_picture(file, where)
    return image


def check_picture(image: Image.Image, where: str) -> None:
    """Raises UserError if an image has more than 8 bits a channel, or is too slender to resize."""
    if image.mode.startswith(("I", "F")):
        raise UserError(f"{where}: the image has more than 8 bits a channel; convert it to 8 bits")
    if max(image.size) > SLENDER * min(image.size):
        raise UserError(f"{where}: the image is {image.width} x {image.height}; crop or remove it")
