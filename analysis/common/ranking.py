"""Many methods on many tasks: mean ranks, Friedman's test and Nemenyi's critical difference.

After Demsar (2006), Statistical comparisons of classifiers over multiple data sets. Scores are
accuracies in percent [tasks, methods]; the best method of a task has rank 1, ties share theirs.
"""

import math
from collections.abc import Iterable

import numpy as np

LEVEL = 0.05
DECIMALS = 4  # of a percentage: equal shares of the images may differ in their last bits
FEWEST = 3  # methods of Friedman's test


def mean_ranks(scores: np.ndarray) -> np.ndarray:
    """Returns the mean rank of each method [methods] over the tasks."""
    from scipy.stats import rankdata

    return rankdata(-np.round(scores, DECIMALS), axis=1).mean(axis=0)


def friedman(scores: np.ndarray) -> float:
    """Returns the p value of Friedman's test that all methods rank alike, NaN of fewer than 3."""
    from scipy.stats import friedmanchisquare

    scores = np.round(scores, DECIMALS)
    if scores.shape[1] < FEWEST:
        return math.nan
    if not np.ptp(scores, axis=1).any():
        return 1.0  # the statistic would be 0 by 0
    return float(friedmanchisquare(*scores.T).pvalue)


def critical_difference(methods: int, tasks: int) -> float:
    """Returns by how much two mean ranks must differ to be told apart (Nemenyi, 5 %).

    `methods` and `tasks` are their numbers; of fewer than two methods it is NaN.
    """
    from scipy.stats import studentized_range

    if methods < 2:
        return math.nan
    quantile = studentized_range.ppf(1 - LEVEL, methods, math.inf) / math.sqrt(2)
    return float(quantile * math.sqrt(methods * (methods + 1) / (6 * tasks)))


def alike(ranks: Iterable[float], difference: float) -> list[tuple[float, float]]:
    """Returns (best, worst) rank of each largest group that `difference` does not tell apart."""
    ordered = sorted(ranks)
    groups: list[tuple[float, float]] = []
    for best in ordered:
        worst = max(rank for rank in ordered if rank - best < difference)
        if worst > best and (not groups or worst > groups[-1][1]):
            groups.append((best, worst))
    return groups
