"""One's own image files as a person sees them; the paper's datasets are read as published."""

import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from PIL import ExifTags, Image

from vpbench.spec.preprocessing import FORMATS, decoded

HEIF = (".heic", ".heif", ".hif")  # of phones; the package pillow-heif reads them
EXTENSIONS = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
_WAYS = Image.Transpose
UPRIGHT = {  # the orientation tag of Exif -> what turns the image upright
    2: _WAYS.FLIP_LEFT_RIGHT, 3: _WAYS.ROTATE_180, 4: _WAYS.FLIP_TOP_BOTTOM, 5: _WAYS.TRANSPOSE,
    6: _WAYS.ROTATE_270, 7: _WAYS.TRANSVERSE, 8: _WAYS.ROTATE_90,
}  # fmt: skip


TURNED = "turned upright by their orientation tag"
ON_WHITE = "with transparency, put on white"
FIRST = "with several frames, of which the first is read"
ALWAYS_SEVERAL = "MPO"  # of phones and cameras: a photograph, then smaller or second views of it


class Photograph(NamedTuple):
    """An image in RGB, and what was done to show it as it was meant: of the words above."""

    image: Image.Image
    done: list[str]


def read_photograph(path: str | Path) -> Photograph:
    """Returns the image file at `path`; raises UserError, in one line, if it cannot be used."""
    return decoded(path, as_seen, formats())


def as_seen(file: Image.Image) -> Photograph:
    """Returns an open image file turned upright, what is transparent in it put on white."""
    tag = file.info.get("original_orientation") or orientation(file)  # the first is HEIF's
    done = [TURNED] if tag in UPRIGHT else []
    file.load()
    left = orientation(file)  # none where the reader has turned it, as those of TIFF and HEIF do
    image = file.transpose(UPRIGHT[left]) if left in UPRIGHT else file
    if file.has_transparency_data:
        layers = image.convert("RGBA")
        if layers.getchannel("A").getextrema() != (255, 255):
            done.append(ON_WHITE)
        image = Image.alpha_composite(Image.new("RGBA", layers.size, "white"), layers)
    image = image.convert("RGB")
    if file.format != ALWAYS_SEVERAL and getattr(file, "is_animated", False):
        done.append(FIRST)
    return Photograph(image, done)


def orientation(image: Image.Image) -> int | None:
    """Returns the orientation tag of an image, None if it has none that can be read."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a broken tag, which leaves the picture sound
            found: int | None = image.getexif().get(ExifTags.Base.Orientation)
            return found
    except Exception:  # readers of damaged tags raise anything at all
        return None


def extensions() -> tuple[str, ...]:
    """Returns how the names of the files end that are read here."""
    return EXTENSIONS + HEIF if reads_heif() else EXTENSIONS


def formats() -> tuple[str, ...]:
    """Returns Pillow's names of the formats that are read here."""
    return (*FORMATS, "HEIF") if reads_heif() else FORMATS


@cache
def reads_heif() -> bool:
    """Returns whether Pillow reads HEIF; pillow-heif, where it is installed, tells it how."""
    if find_spec("pillow_heif") is None:
        return False
    from pillow_heif import register_heif_opener  # an optional package: the extra `heif`

    register_heif_opener()
    return True
