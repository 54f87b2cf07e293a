"""Images that are there more than once: in two splits, or in two classes."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import NamedTuple

import numpy as np
from PIL import Image

ROWS, COLUMNS = 8, 9  # of the small grey picture; between 9 columns are 8 differences
FLAT = (0, 2**64 - 1)  # no or every difference rises: a plain colour and a gradient tell nothing


class Prints(NamedTuple):
    """What tells the N images of a split from others."""

    labels: Sequence[int]
    exact: Sequence[str]  # hashes of the files or of all pixels
    looks: Sequence[int]  # of difference_hash


def difference_hash(image: Image.Image) -> int:
    """Returns 64 bits that a picture shares with its smaller, larger and compressed copies.

    Each says whether one of 8 x 8 fields of the whole picture is darker than the next to its right.
    """
    small = image.resize((COLUMNS, ROWS), Image.Resampling.BOX, reducing_gap=2.0).convert("L")
    grey = np.asarray(small)
    return int.from_bytes(np.packbits(grey[:, 1:] > grey[:, :-1]).tobytes())


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
