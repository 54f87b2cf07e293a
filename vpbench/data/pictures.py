"""Pictures in memory, as people have them: of Pillow, numpy or torch; shown as files are."""

from typing import Any

import numpy as np
import torch
from PIL import Image

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line
from vpbench.data.photographs import Photograph, as_seen
from vpbench.spec.preprocessing import check_picture

CHANNELS = (1, 3, 4)  # grey, RGB, RGB with transparency
KINDS = "a PIL image, or uint8 [H, W, C] or [C, H, W]"


def photograph_of(picture: Any) -> Photograph:
    """Returns a picture in RGB: an image of Pillow, or uint8 [H, W], [H, W, C] or [C, H, W].

    It is turned upright and put on white as that of a file is. Raises UserError, without saying
    which picture it is, for anything else: a prompt acts on pixels before they are normalised.
    """
    if isinstance(picture, torch.Tensor):
        picture = picture.detach().cpu().numpy()
    image = picture
    if isinstance(picture, np.ndarray):
        image = Image.fromarray(_with_channels_last(picture))
    if not isinstance(image, Image.Image):
        raise UserError(f"{brief(picture)} is no picture; expected {KINDS}")
    check_picture(image, "its picture")
    try:
        return as_seen(image)
    except Exception as error:  # an image of Pillow is decoded late, and its file may be damaged
        raise UserError(f"the image cannot be read ({first_line(error)})") from error


def _with_channels_last(array: np.ndarray) -> np.ndarray:
    """Returns an array of pixels as [H, W] or [H, W, C]."""
    shown = f"{array.dtype} {list(array.shape)}"
    if array.dtype.kind == "f":
        raise UserError(
            f"its picture is {shown}; expected {KINDS}: a prompt acts between resize and "
            "normalisation, so give it without ToTensor and Normalize"
        )
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or 0 in array.shape:
        raise UserError(f"its picture is {shown}; expected {KINDS}")
    if array.ndim == 2:
        return array
    first, last = array.shape[0] in CHANNELS, array.shape[2] in CHANNELS
    if first == last:
        what = "which side are the channels?" if first else "no side has 1, 3 or 4 channels;"
        raise UserError(f"its picture is {shown}: {what} expected {KINDS}")
    if first:
        array = array.transpose(1, 2, 0)
    return np.ascontiguousarray(array[:, :, 0] if array.shape[2] == 1 else array)
