"""Correlations between two properties of the same few things, with bootstrap intervals over them.

A coefficient is not-a-number where a property is the same for all things.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

FEWEST = 4  # a correlation of fewer things says nothing


def pearson(x: ArrayLike, y: ArrayLike) -> float:
    """Returns Pearson's correlation coefficient of x and y."""
    from_x, from_y = centred(x), centred(y)
    size = math.sqrt((from_x @ from_x) * (from_y @ from_y))
    return float(from_x @ from_y) / size if size > 0 else math.nan


def centred(values: ArrayLike) -> np.ndarray:
    """Returns how far numbers are from their mean."""
    numbers = np.asarray(values, float)
    return numbers - numbers.mean()


def spearman(x: ArrayLike, y: ArrayLike) -> float:
    """Returns Spearman's correlation coefficient: Pearson's of the ranks, ties sharing theirs."""
    return pearson(ranks(x), ranks(y))


def partial(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> float:
    """Returns Pearson's coefficient of what a line through `given` leaves of x and of y."""
    xy, xz, yz = pearson(x, y), pearson(x, given), pearson(y, given)
    left = (1 - xz**2) * (1 - yz**2)
    return (xy - xz * yz) / math.sqrt(left) if left > 1e-12 else math.nan  # 0: it explains all


def partial_spearman(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> float:
    """Returns `partial` of the ranks, which bend with a bound such as gain <= 100 - accuracy."""
    return partial(ranks(x), ranks(y), ranks(given))


def ranks(x: ArrayLike) -> np.ndarray:
    """Returns the ranks of x from 1, ties sharing theirs; of few things faster than scipy's."""
    below, same = np.less.outer(x, x).sum(0), np.equal.outer(x, x).sum(0)
    return below + (same + 1) / 2


def bootstrap(
    statistic: Callable[..., float],
    x: ArrayLike,
    y: ArrayLike,
    samples: int = 2000,
    seed: int = 0,
    given: ArrayLike | None = None,
) -> tuple[float, float, float]:
    """Returns (value, low, high): `statistic` of x and y, and `given` if any, with its interval.

    The 95 % percentile interval of `samples` bootstrap samples of the things. Samples for which
    the statistic does not exist, most often because they hold one thing only, are left out.
    """
    columns = np.array([x, y] if given is None else [x, y, given], float)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(columns.shape[1], size=(samples, columns.shape[1]))
    values = np.array([value_of(statistic, columns[:, index]) for index in drawn])
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (math.nan, math.nan)
    return value_of(statistic, columns), float(low), float(high)


def value_of(statistic: Callable[..., float], columns: np.ndarray) -> float:
    """Returns `statistic` of the columns, not-a-number where one of them is constant."""
    varied = (columns != columns[:, :1]).any(axis=1).all()
    return statistic(*columns) if varied else math.nan


def p_value(coefficient: float, count: int, given: int = 0) -> float:
    """Returns the two-sided p value, by the t distribution, that nothing is behind a coefficient.

    It is that of `count` things after as many columns were `given`.
    """
    freedom = count - 2 - given
    if not abs(coefficient) < 1:
        return math.nan if math.isnan(coefficient) else 0.0
    t = coefficient * math.sqrt(freedom / (1 - coefficient**2))
    return float(2 * special.stdtr(freedom, -abs(t)))
