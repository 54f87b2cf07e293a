"""Correlations between two properties of the same few things, with bootstrap intervals over them.

Properties are arrays [..., things], so that a coefficient of many samples is one call. It is
not-a-number where a property is the same for all things.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

FEWEST = 4  # a correlation of fewer things says nothing
Coefficient = Callable[..., Any]  # of properties [..., things]: a number, or an array [...]


def pearson(x: ArrayLike, y: ArrayLike) -> Any:
    """Returns Pearson's correlation coefficient of x and y."""
    from_x, from_y = centred(x), centred(y)
    squares = (from_x * from_x).sum(-1) * (from_y * from_y).sum(-1)
    return divided((from_x * from_y).sum(-1), np.sqrt(squares))


def divided(values: ArrayLike, by: ArrayLike) -> Any:
    """Returns the quotient, not-a-number where the divisor is not positive."""
    values, by = np.broadcast_arrays(np.asarray(values, float), np.asarray(by, float))
    return np.divide(values, by, out=np.full(by.shape, math.nan), where=by > 0)[()]


def centred(values: ArrayLike) -> np.ndarray:
    """Returns how far numbers are from their mean."""
    numbers = np.asarray(values, float)
    return numbers - numbers.mean(-1, keepdims=True)


def spearman(x: ArrayLike, y: ArrayLike) -> Any:
    """Returns Spearman's correlation coefficient: Pearson's of the ranks, ties sharing theirs."""
    return pearson(ranks(x), ranks(y))


def partial(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> Any:
    """Returns Pearson's coefficient of what a line through `given` leaves of x and of y."""
    xy, xz, yz = pearson(x, y), pearson(x, given), pearson(y, given)
    left = (1 - xz**2) * (1 - yz**2)
    left = np.where(left > 1e-12, left, 0)  # 0: it explains all
    return divided(xy - xz * yz, np.sqrt(left))


def partial_spearman(x: ArrayLike, y: ArrayLike, given: ArrayLike) -> Any:
    """Returns `partial` of the ranks, which bend with a bound such as gain <= 100 - accuracy."""
    return partial(ranks(x), ranks(y), ranks(given))


def ranks(x: ArrayLike) -> np.ndarray:
    """Returns the ranks of x from 1, ties sharing theirs; of few things faster than scipy's."""
    values = np.asarray(x)
    one, other = values[..., :, None], values[..., None, :]
    return (other < one).sum(-1) + ((other == one).sum(-1) + 1) / 2


def bootstrap(
    statistic: Coefficient,
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
    values = values_of(statistic, columns[:, drawn])
    values = values[~np.isnan(values)]
    low, high = np.percentile(values, [2.5, 97.5]) if len(values) else (math.nan, math.nan)
    return float(values_of(statistic, columns)), float(low), float(high)


def values_of(statistic: Coefficient, columns: Iterable[ArrayLike]) -> np.ndarray:
    """Returns `statistic` of the columns, not-a-number where one of them is constant."""
    arrays = np.broadcast_arrays(*(np.asarray(column, float) for column in columns))
    varied = np.all([(each != each[..., :1]).any(-1) for each in arrays], axis=0)
    return np.where(varied, statistic(*arrays), math.nan)


def p_value(coefficient: float, count: int, given: int = 0) -> float:
    """Returns the two-sided p value, by the t distribution, that nothing is behind a coefficient.

    It is that of `count` things after as many columns were `given`.
    """
    freedom = count - 2 - given
    if not abs(coefficient) < 1:
        return math.nan if math.isnan(coefficient) else 0.0
    t = coefficient * math.sqrt(freedom / (1 - coefficient**2))
    return float(2 * special.stdtr(freedom, -abs(t)))
