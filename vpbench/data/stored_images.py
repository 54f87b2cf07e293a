"""The images of a split in one array: in memory, or mapped from a file where they are many."""

import math
import tempfile
from collections.abc import Iterable

import numpy as np

from vpbench.common.errors import UserError
from vpbench.common.messages import gigabytes
from vpbench.common.paths import data_dir

IN_MEMORY = 2**30  # bytes of the images of a split; more are mapped from a file


def stored(pictures: Iterable[np.ndarray], count: int, side: int) -> np.ndarray:
    """Returns `count` pictures, uint8 [side, side, 3] each, as one array [count, side, side, 3].

    Each is taken as it comes, so that none is held beside the array. Raises UserError if there is
    no room on disk for those that memory is not for.
    """
    shape = (count, side, side, 3)
    if math.prod(shape) > IN_MEMORY:
        return _on_disk(pictures, shape)
    images = np.zeros(shape, np.uint8)  # a list would be a second copy
    for number, picture in enumerate(pictures):
        images[number] = picture
    return images


def _on_disk(pictures: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.memmap:
    """Returns an array mapped from a file without a name, which goes when the process does."""
    where = data_dir() / "cache"
    try:
        where.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=where) as file:
            for picture in pictures:  # into a mapped file a full disk would be a crash
                file.write(np.ascontiguousarray(picture).data)
            file.flush()
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"{where}: {shape[0]:,} images, {gigabytes(math.prod(shape))}, do not go there "
            f"({error.strerror or error}); choose another disk with --data-dir, or fewer images"
        ) from None
