"""Two methods on the same test images: their difference with an interval, and McNemar's test.

A pair is (correct_a, correct_b): for every test image, in the same order, whether it was classified
correctly. With several seeds each is an array [seeds, images]; an image then counts with the share
of the seeds that are right. Images are paired, seeds are not: each method may have any number of
them. What other seeds would change is said by `analysis.common.seed_variance`.
"""

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import ArrayLike

from analysis.common.aliases import Record
from analysis.common.seed_variance import Part, widened
from vpbench.common.errors import RecordError
from vpbench.records import reading

Pair = tuple[np.ndarray, np.ndarray]


def correct(record: Record) -> tuple[np.ndarray, np.ndarray]:
    """Returns (ids, correct) of a run: each test image, and whether its prediction is right."""
    arrays = reading.arrays(record, "predictions")
    return arrays["id"], arrays["prediction"] == arrays["label"]


def matched(record_a: Record, record_b: Record) -> Pair:
    """Returns the pair (correct_a, correct_b) [images] of two runs on the same test images."""
    names = [f"{record['spec']['method']} of {where(record)}" for record in (record_a, record_b)]
    a, b = (reading.arrays(record, "predictions") for record in (record_a, record_b))
    if record_a["spec"]["task"] != record_b["spec"]["task"]:  # equal ids would mean nothing
        raise RecordError(f"{names[0]} and {names[1]}: two tasks; a comparison needs one")
    for key in ("id", "label"):
        if not np.array_equal(a[key], b[key]):
            raise RecordError(
                f"{names[0]} and {names[1]}: the {key}s of their test images differ; "
                "run both on the same data"
            )
    return a["prediction"] == a["label"], b["prediction"] == b["label"]


def matched_runs(records_a: list[Record], records_b: list[Record]) -> Pair:
    """Returns the pair ([seeds a, images], [seeds b, images]) of the runs of two methods."""
    ours = [matched(record, records_b[0])[0] for record in records_a]
    theirs = [matched(records_a[0], record)[1] for record in records_b]
    return np.array(ours), np.array(theirs)


def where(record: Record) -> str:
    """Returns which backbone, task, variant and seed a run is about, for people."""
    spec = record["spec"]
    return f"{spec['backbone']} on {spec['task']} ({spec['variant']}, seed {spec['seed']})"


def difference(
    pairs: Sequence[tuple[ArrayLike, ArrayLike]],
    samples: int = 2000,
    seed: int = 0,
    other_seeds: Part = Part(),
) -> tuple[float, float, float]:
    """Returns (difference, low, high): accuracy a - b in percentage points, averaged over tasks.

    `pairs` has one pair per task. The 95 % interval is the percentile interval of `bootstrap` over
    the images, widened by what other seeds would change.
    """
    if not pairs:
        raise RecordError("a paired difference needs at least one task that both methods have")
    means, drawn = bootstrap(
        [(per_image(a) - per_image(b))[:, None] for a, b in pairs], samples, seed
    )
    measured, (low, high) = float(means[0]), np.percentile(drawn[:, 0], [2.5, 97.5])
    limits = widened(100 * measured, 100 * float(low), 100 * float(high), other_seeds.half)
    return 100 * measured, *limits


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
