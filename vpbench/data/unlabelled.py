"""Images without labels, to be classified: files, folders of them, pictures in memory."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm import tqdm

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, one_line
from vpbench.data.folder_files import check_images, contents, left_out_note
from vpbench.data.folder_images import check_read
from vpbench.data.image_folder import check_preprocessing, say
from vpbench.data.photographs import Photograph, read_photograph
from vpbench.data.pictures import KINDS, photograph_of
from vpbench.data.stored_images import stored
from vpbench.spec.preprocessing import Preprocessing, preprocess

Named = tuple[str, Any]  # how an image is called, and its path or the picture itself
EXPECTED = f"a file, a folder, {KINDS}, or a list of them"


def read_unlabelled(what: Any, preprocessing: Preprocessing) -> tuple[tuple[str, ...], Tensor]:
    """Returns the names of images and their squares, uint8 [N, S, S, 3], for a backbone.

    `what` is a file, a folder, an image of Pillow, uint8 [H, W, C] or [C, H, W], [N, H, W, C] or
    [N, C, H, W] of several, or a list of any of these. Of a folder all images are read, at any
    depth and in the order of their names, as in a task's class: hidden files and other kinds are
    left out and counted on stderr. Files are called by their paths, pictures by their number.
    Raises UserError, in one line, if images cannot be read; it counts them.
    """
    check_preprocessing(preprocessing)
    listed = named_images(what)
    if not listed:
        raise UserError(f"there is no image in {brief(what)}; expected {EXPECTED}")
    refused: list[str] = []
    pictures = _pictures(listed, preprocessing, refused)
    images = torch.from_numpy(stored(pictures, len(listed), preprocessing.crop))
    check_read(refused)
    return tuple(name for name, _ in listed), images


def named_images(what: Any) -> list[Named]:
    """Returns the names of the images in `what` and where they are, none of them read.

    Pictures are numbered as they come. Raises UserError for a path where there is no image.
    """
    listed: list[Named] = []
    for each in _parts(what):
        if isinstance(each, str | os.PathLike):
            listed += [(path, path) for path in _files(os.fspath(each))]
        else:
            listed.append((f"image {len(listed)}", each))
    return listed


def _parts(what: Any) -> Iterator[Any]:
    """Yields the paths and pictures in `what`, lists and batches of pictures opened."""
    if isinstance(what, str | os.PathLike | Image.Image):
        yield what
    elif isinstance(what, np.ndarray | Tensor):
        yield from what if what.ndim == 4 else [what]
    elif isinstance(what, Iterable) and not isinstance(what, bytes | dict):
        for each in what:
            yield from _parts(each)
    else:
        raise UserError(f"{brief(what)} is no image; expected {EXPECTED}")


def _files(path: str) -> list[str]:
    """Returns the image files at a path, which is that of a file or of a folder."""
    if not os.path.isdir(path):
        if not path or not os.path.exists(path):
            raise UserError(f"{one_line(path) or 'an empty path'}: there is no such file or folder")
        return [path]
    folder = Path(path)
    found = contents(folder, folder, labelled=False)
    check_images(folder, found)
    if found.left_out:
        say(path, [left_out_note(found.left_out)])
    return found.images


def _pictures(
    listed: list[Named], preprocessing: Preprocessing, refused: list[str]
) -> Iterator[np.ndarray]:
    """Yields each image as uint8 [crop, crop, 3], black for one that is added to `refused`."""
    side = preprocessing.crop
    with tqdm(listed, desc="images", mininterval=5, disable=len(listed) == 1) as progress:
        for name, picture in progress:
            try:
                image, _ = _photograph(name, picture)
            except UserError as error:
                refused.append(str(error))
                yield np.zeros((side, side, 3), np.uint8)
                continue
            yield preprocess(image, preprocessing)


def _photograph(name: str, picture: Any) -> Photograph:
    """Returns a file or a picture in memory as it is meant to be seen."""
    if isinstance(picture, str):
        return read_photograph(picture)
    try:
        return photograph_of(picture)
    except UserError as error:
        raise UserError(f"{name}: {error}") from None
