"""Which images: a split for those that have none, and a part of a split that keeps every class."""

import zlib
from collections.abc import Sequence

import numpy as np

from vpbench.common.errors import UserError
from vpbench.common.messages import brief

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def balanced(labels: Sequence[int], count: int | None, seed: int = 0) -> list[int]:
    """Returns the sorted numbers of `count` images of `labels` [N], classes in equal shares.

    None, or more than there are, means all. The images are drawn by `seed`, round robin over the
    classes, so that a small part keeps every class.
    """
    if count is None or count >= len(labels):
        return list(range(len(labels)))
    order = np.random.default_rng(seed).permutation(len(labels))
    rank: dict[int, int] = {}
    taken: dict[int, int] = {}
    for i in order:
        label = labels[i]
        rank[i] = taken.get(label, 0)
        taken[label] = rank[i] + 1
    return sorted(int(i) for i in sorted(order, key=lambda i: rank[i])[:count])


def cut(count: int, class_name: str, seed: int = 0) -> dict[str, list[int]]:
    """Returns split -> sorted numbers: `count` images of a class cut by SHARES, one at least each.

    Drawn by `seed` and the name of the class, so that no class changes the cut of another.
    """
    order = np.random.default_rng([seed, zlib.crc32(class_name.encode())]).permutation(count)
    size = max(1, round(SHARES["validation"] * count))  # of validation and of test
    parts = np.split(order, [count - 2 * size, count - size])
    return {split: sorted(part.tolist()) for split, part in zip(SHARES, parts, strict=True)}


def check_seed(seed: object) -> None:
    """Raises UserError unless this is a whole number from 0 on that all generators take."""
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed < 2**32:
        raise UserError(f"seed {brief(seed)}: expected a whole number, 0 or more, below 2**32")
