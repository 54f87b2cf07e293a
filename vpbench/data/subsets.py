"""Which images: a split for those that have none, and a part of a split that keeps every class."""

import zlib

import numpy as np

SHARES = {"train": 0.6, "validation": 0.2, "test": 0.2}


def balanced(labels, count, seed=0):
    """Returns the sorted numbers of `count` images of `labels` [N], classes in equal shares.

    None, or more than there are, means all. The images are drawn by `seed`, round robin over the
    classes, so that a small part keeps every class.
    """
    if count is None or count >= len(labels):
        return list(range(len(labels)))
    order = np.random.default_rng(seed).permutation(len(labels))
    rank, taken = {}, {}
    for i in order:
        label = labels[i]
        rank[i] = taken.get(label, 0)
        taken[label] = rank[i] + 1
    return sorted(int(i) for i in sorted(order, key=lambda i: rank[i])[:count])


def cut(count, class_name, seed=0):
    """Returns split -> sorted numbers: `count` images of a class cut by SHARES, one at least each.

    Drawn by `seed` and the name of the class, so that no class changes the cut of another.
    """
    order = np.random.default_rng([seed, zlib.crc32(class_name.encode())]).permutation(count)
    held = max(1, round(SHARES["validation"] * count))
    parts = np.split(order, [count - 2 * held, count - held])
    return {split: sorted(part.tolist()) for split, part in zip(SHARES, parts, strict=True)}
