"""Images that are there more than once: in two splits, or in two classes."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import combinations
from typing import NamedTuple

import numpy as np
from PIL import Image

ROWS, COLUMNS = 8, 9  # of the small grey picture; between 9 columns are 8 differences
ENOUGH = 256  # pixels of the shorter side from which the means are taken
LEAST = 0.5  # grey values: what is rounded otherwise in a copy is no difference
FLAT = (0, 2**64 - 1)  # no or every difference rises: a plain colour and a gradient tell nothing


class Prints(NamedTuple):
    """What tells the N images of a split from others."""

    labels: Sequence[int]
    exact: Sequence[str]  # hashes of the files or of all pixels
    looks: Sequence[int]  # of difference_hash


def difference_hash(image: Image.Image) -> int:
    """Returns 64 bits that a picture (RGB) mostly shares with its resized and compressed copies.

    Each says whether one of 8 x 8 fields of the whole picture is darker than the next to its right.
    The means are those of the exact areas: with Pillow's filters a third of the copies is lost.
    """
    shrink = min(image.size) // ENOUGH
    grey = np.asarray((image.reduce(shrink) if shrink > 1 else image).convert("L"), np.float32)
    means = _areas(grey.shape[0], ROWS) @ grey @ _areas(grey.shape[1], COLUMNS).T
    lighter = means[:, 1:] > means[:, :-1] + LEAST
    return int.from_bytes(np.packbits(lighter).tobytes())


@lru_cache(64)
def _areas(length: int, fields: int) -> np.ndarray:
    """Returns the share [fields, length] of each of `length` pixels in the mean of each field."""
    edges, pixels = np.linspace(0, length, fields + 1), np.arange(length)
    ends = np.minimum(pixels + 1, edges[1:, None]) - np.maximum(pixels, edges[:-1, None])
    shares: np.ndarray = (ends.clip(0) * fields / length).astype(np.float32)
    return shares


def repetition_notes(prints: Mapping[str, Prints], same: str = "byte for byte") -> list[str]:
    """Returns in words how many images are there more than once: the same, or of the same look.

    In two splits, what is learned is asked; in two classes, no answer is right. `same` says what
    equal `exact` hashes mean. Those of the same look are counted in the later of two splits,
    without those that are the same: near copies, and different pictures that are much alike.
    """
    exact = {split: np.asarray(each.exact) for split, each in prints.items()}
    looks = {split: np.asarray(each.looks, np.uint64) for split, each in prints.items()}
    notes, near = [], []
    for a, b in combinations(prints, 2):
        both = len(np.intersect1d(exact[a], exact[b]))
        if both:
            notes.append(f"images in {a} and in {b}, {same}: {both:,}")
        alike = np.isin(looks[b], looks[a]) & ~np.isin(looks[b], np.array(FLAT, np.uint64))
        others = int((alike & ~np.isin(exact[b], exact[a])).sum())
        if others:
            near.append(
                f"images of {b} equal or nearly equal to one of {a}, by their 64-bit difference "
                f"hash: {others:,}"
            )
    classes = _in_two_classes(prints, exact)
    return notes + ([f"images in two classes, {same}: {classes:,}"] if classes else []) + near


def _in_two_classes(prints: Mapping[str, Prints], exact: Mapping[str, np.ndarray]) -> int:
    """Returns how many different images are in two classes or more."""
    _, numbers = np.unique(np.concatenate(list(exact.values())), return_inverse=True)
    labels = np.concatenate([np.asarray(each.labels, np.int64) for each in prints.values()])
    pairs = np.unique(np.stack([numbers, labels]), axis=1)  # which image, in which class
    _, classes = np.unique(pairs[0], return_counts=True)
    return int((classes > 1).sum())
