"""Whether the same test images are classified correctly by two classifiers: how far they differ.

Each is an array [images], or with several seeds [seeds, images]; an image then counts with the
share of the seeds that are right. Images are paired, seeds are not.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike


def bootstrap(
    tables: Sequence[np.ndarray], samples: int = 2000, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns (means [columns], drawn [samples, columns]) of tables of images, averaged over them.

    `tables` has an array [images, columns] per task. Each sample draws the images of every task
    anew, all columns together.
    """
    generator = np.random.default_rng(seed)
    means, drawn = np.zeros(tables[0].shape[1]), np.zeros((samples, tables[0].shape[1]))
    for table in tables:
        values, counts = np.unique(table, axis=0, return_counts=True)
        # Images with the same row are alike, so only how many of each are drawn matters.
        many = generator.multinomial(len(table), counts / len(table), size=samples)
        drawn = drawn + many @ values / len(table) / len(tables)
        means = means + table.mean(axis=0) / len(tables)
    return means, drawn


def difference(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]], samples: int = 2000, seed: int = 0
) -> tuple[float, float, float]:
    """Returns (difference, low, high): accuracy a - b in percentage points, averaged over tasks.

    `pairs` has one pair per task. The 95 % interval is the percentile interval of `bootstrap` over
    the images.
    """
    tables = [(per_image(a) - per_image(b))[:, None] for a, b in pairs]
    means, drawn = bootstrap(tables, samples, seed)
    low, high = np.percentile(drawn[:, 0], [2.5, 97.5])
    return 100 * float(means[0]), 100 * float(low), 100 * float(high)


def per_image(right: ArrayLike) -> np.ndarray:
    """Returns for each image the share of the seeds that are right."""
    right = np.asarray(right, dtype=float)
    return right if right.ndim == 1 else right.mean(axis=0)


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike) -> float:
    """Returns the p value of McNemar's exact two-sided test on the images where one is right.

    With several seeds it is the largest p value of all pairs of a run of the one and a run of the
    other: below 0.05, all of them differ. Their discordant images are never added up, because a
    test image is no new one at each seed.
    """
    from scipy.stats import binomtest

    p_values = []
    for a, b in product(
        *(np.atleast_2d(np.asarray(side, bool)) for side in (correct_a, correct_b))
    ):
        only_a, only_b = int(np.sum(a & ~b)), int(np.sum(~a & b))
        discordant = only_a + only_b
        p_values.append(float(binomtest(only_a, discordant).pvalue) if discordant else 1.0)
    return max(p_values)
