"""What other seeds would change: variances between seeds, and the part they have in an interval.

An arm is a backbone with a method and a variant. The accuracies (%) of its seeds differ by a
variance that is pooled over its tasks, so that a task with one seed can borrow it. Half of an
interval is the root of the sum of two squares: the half-width over the test images, and that over
the seeds. Chance on single images is in both parts, so intervals are a little too wide.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtrit

from analysis.common.aliases import Record
from vpbench.spec.methods import METHODS

Arm = tuple[str, str, str]  # backbone, method, variant
OWN, POOLED, NONE = "own", "pooled", "none"  # where a variance comes from, the surest first


class Pool(NamedTuple):
    """The variance between the seeds of an arm."""

    variance: float = 0.0  # in squared percentage points
    freedom: int = 0  # degrees of freedom: the sum of (seeds - 1); 0: nothing is known


class Part(NamedTuple):
    """The part that seeds have in an interval."""

    half: float = 0.0  # half of their 95 % interval, in percentage points
    source: str | None = None  # OWN, POOLED or NONE; None where another seed changes nothing


Pools = Mapping[Arm, Pool]


def pooled(tasks: Iterable[ArrayLike]) -> Pool:
    """Returns the variance within tasks, given the numbers (in points) of the seeds of each."""
    arrays = [np.asarray(values, float) for values in tasks]
    freedom = sum(len(values) - 1 for values in arrays)
    squares = sum(float(np.sum((values - values.mean()) ** 2)) for values in arrays)
    return Pool(squares / freedom, freedom) if freedom else Pool()


def pools(groups: Iterable[Sequence[Record]]) -> Pools:
    """Returns arm -> its variance; each of `groups` has the runs of one task, one per seed."""
    tasks: dict[Arm, dict[str, list[float]]] = {}
    for group in filter(None, groups):
        by_task = tasks.setdefault(arm_of(group[0]), {})
        by_task[group[0]["spec"]["task"]] = [accuracy(record) for record in group]
    return {arm: pooled(by_task.values()) for arm, by_task in tasks.items()}


def shared(groups: Iterable[Sequence[Record]]) -> Pools:
    """Returns arm -> the variance pooled over all `groups`, each the runs of one arm.

    So may the levels of one ablation on one task, which take the place of tasks.
    """
    there = list(filter(None, groups))
    pool = pooled([accuracy(record) for record in group] for group in there)
    return {arm_of(group[0]): pool for group in there}


def arm_of(record: Record) -> Arm:
    """Returns the (backbone, method, variant) of a run."""
    spec = record["spec"]
    return spec["backbone"], spec["method"], spec["variant"]


def accuracy(record: Record) -> float:
    """Returns the test accuracy (%) of a run, at the epoch that the tables read."""
    return float(record["selection"][record["rule"]]["test"]["accuracy"])


def is_random(record: Record) -> bool:
    """Returns whether another seed would change a run, which learns by steps, or from images that
    are drawn."""
    method = METHODS[record["spec"]["method"]]
    drawn = "epochs" in method.settings or "shots" in record["spec"]["data"]
    return drawn and method.learns != "nothing"


def part(group: Sequence[Record], known: Pools | None = None) -> Part:
    """Returns the part of the seeds in the interval of a mean over the runs of one task.

    Their variance is that of their arm in what is `known`; without that, of these runs alone.
    """
    pool = (pools([group]) if known is None else known).get(arm_of(group[0]), Pool())
    if not pool.variance and not is_random(group[0]):
        return Part()
    return of_mean(len(group), pool)


def of_mean(seeds: int, pool: Pool) -> Part:
    """Returns the part of the seeds in the interval of a mean over so many of them: a t-interval.

    One seed borrows the variance; where nothing is known of it the part is empty.
    """
    if not pool.freedom:
        return Part(0.0, NONE)
    half = float(stdtrit(pool.freedom, 0.975)) * math.sqrt(pool.variance / seeds)
    return Part(half, OWN if seeds > 1 else POOLED)


def together(parts: Sequence[Part], weight: float = 1.0) -> Part:
    """Returns the part of the seeds in a sum of independent means, each times `weight` or minus it.

    Its source is the least sure one.
    """
    half = abs(weight) * math.hypot(*(one.half for one in parts))
    return Part(half, weakest(one.source for one in parts))


def of_difference(
    group: Sequence[Record], other: Sequence[Record], known: Pools | None = None
) -> Part:
    """Returns the same of the difference of two means."""
    return together([part(group, known), part(other, known)])


def weakest(sources: Iterable[str | None]) -> str | None:
    """Returns the least sure of sources, None of none."""
    there = [source for source in sources if source is not None]
    return max(there, key=(OWN, POOLED, NONE).index) if there else None


def widened(measured: float, low: float, high: float, half: float) -> tuple[float, float]:
    """Returns the interval (low, high) of a number with the part `half` of the seeds in it."""
    if not half:
        return low, high  # to the last bit
    return measured - math.hypot(measured - low, half), measured + math.hypot(high - measured, half)
