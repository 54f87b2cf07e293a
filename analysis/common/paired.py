"""Two methods on the same test images: their difference with an interval, and McNemar's test.

A pair is (correct_a, correct_b): for every test image, in the same order, whether it was classified
correctly. With several seeds each is an array [seeds, images]; an image then counts with the share
of the seeds that are right. Images are paired, seeds are not: each method may have any number of
them. What other seeds would change is said by `analysis.common.seed_variance`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from analysis.common.aliases import Record
from analysis.common.seed_variance import Part, widened
from vpbench.common import paired
from vpbench.common.errors import RecordError
from vpbench.common.paired import bootstrap, mcnemar, per_image
from vpbench.records import reading

__all__ = ["bootstrap", "difference", "matched", "matched_runs", "mcnemar", "per_image"]
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

    `pairs` has one pair per task. The 95 % interval is that of vpbench.common.paired.difference,
    over the images, widened by what other seeds would change.
    """
    if not pairs:
        raise RecordError("a paired difference needs at least one task that both methods have")
    measured, low, high = paired.difference(pairs, samples, seed)
    return measured, *widened(measured, low, high, other_seeds.half)
