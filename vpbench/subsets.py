"""Part of a split: fewer images, every class kept as long as possible."""

import numpy as np


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
