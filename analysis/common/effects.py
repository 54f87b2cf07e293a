"""Effects with 95 % intervals: read from the rows of a csv file, put together, and judged.

An effect is a mapping with measured, low and high. What the rows do not hold is said by `NotRun`.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas
from numpy.typing import ArrayLike
from scipy.special import ndtri

from analysis.common import cells
from analysis.common.aliases import Row
from vpbench.common.errors import RecordError

APPEARS, CONTRARY, UNDECIDED, NOT_RUN = "appears", "does not appear", "undecided", "not run"
VERDICTS = (APPEARS, CONTRARY, UNDECIDED, NOT_RUN)
SIDES = ("low", "high")
ROUNDING = 1e-9  # how far from a limit the last bits of a sum may put a number that is on it
UNDEFINED = "Undefined: what it is computed from is the same for all"


class NotRun(LookupError):
    """A rule needs what a csv file does not have; the message says what, after the file's name."""


def verdict(effect: Row, side: str = "above", limit: float = 0.0) -> str:
    """Returns whether the effect is on the claimed side of `limit`, interval and all.

    One that does not exist (not-a-number) is on neither.
    """
    low, high = effect["low"], effect["high"]
    if side == "below":
        low, high, limit = -high, -low, -limit
    if low > limit + ROUNDING:
        return APPEARS
    return CONTRARY if high < limit - ROUNDING else UNDECIDED


def size_verdict(effect: Row, published: float, tolerance: float, at_least: bool = False) -> str:
    """Returns whether the effect is as large as published, give or take `tolerance`.

    It is if the measured value is within it, and it is not if the whole interval is outside.
    """
    low, high = published - tolerance, math.inf if at_least else published + tolerance
    if low <= effect["measured"] <= high:
        return APPEARS
    return CONTRARY if effect["high"] < low or effect["low"] > high else UNDECIDED


def effect_of(
    frame: pandas.DataFrame, columns: Sequence[str] = ("measured", "low", "high"), **wanted: Any
) -> Row:
    """Returns the effect in `columns` of the one row of `frame` that has the values `wanted`."""
    return only(effects_of(frame, columns, **wanted), wanted)


def statistic_of(frame: pandas.DataFrame, **wanted: Any) -> Row:
    """Returns the same of a statistic, which may not exist: then it is not-a-number."""
    return only(effects_in(frame, ("value", "low", "high"), wanted), wanted)


def only(effects: list[Row], wanted: dict[str, Any]) -> Row:
    """Returns the one effect there is with the values `wanted`."""
    if len(effects) > 1:
        raise RecordError(f"{len(effects)} rows with {described(wanted)}, where one is expected")
    return effects[0]


def effects_of(
    frame: pandas.DataFrame, columns: Sequence[str] = ("measured", "low", "high"), **wanted: Any
) -> list[Row]:
    """Returns the effects in `columns` of all rows of `frame` with the values `wanted`."""
    effects = effects_in(frame, columns, wanted)
    if any(math.isnan(number) for effect in effects for number in effect.values()):
        raise NotRun(f"has nothing measured with {described(wanted)}")
    return effects


def effects_in(
    frame: pandas.DataFrame, columns: Sequence[str], wanted: dict[str, Any]
) -> list[Row]:
    """Returns the same, with what is not measured as not-a-number."""
    kept = np.ones(len(frame), bool)
    for name, value in wanted.items():
        kept &= (frame[name] == value).to_numpy(bool)
    if not kept.any():
        raise NotRun(f"has no row with {described(wanted)}")
    numbers = np.stack([frame[name].to_numpy(float)[kept] for name in columns], axis=1)
    return [dict(zip(("measured", *SIDES), row)) for row in numbers.tolist()]


def described(wanted: dict[str, Any]) -> str:
    """Returns the values that a row must have, in words."""
    return ", ".join(f"{name} {value}" for name, value in wanted.items()) or "anything"


def contrast(effects: Sequence[Row], weights: Sequence[float]) -> Row:
    """Returns the weighted sum of effects, taken as independent, as an effect."""
    low, high = cells.combined(effects, weights)
    measured = sum(weight * one["measured"] for one, weight in zip(effects, weights))
    return {"measured": measured, "low": low, "high": high}


def minus(effect: Row, other: Row) -> Row:
    """Returns the difference of two effects."""
    return contrast([effect, other], [1, -1])


def mean(effects: Sequence[Row]) -> Row:
    """Returns the mean of effects."""
    return contrast(effects, [1 / len(effects)] * len(effects))


def smallest(effects: Sequence[Row]) -> Row:
    """Returns the smallest of several effects: above a limit only if all of them are."""
    return extreme(effects, np.min)


def largest(effects: Sequence[Row]) -> Row:
    """Returns the largest of several effects: below a limit only if all of them are."""
    return extreme(effects, np.max)


def extreme(effects: Sequence[Row], choose: Callable[..., float]) -> Row:
    """Returns the smallest or largest effect, its interval widened so that all hold together.

    Each interval is stretched about its value as Bonferroni's correction stretches a normal one,
    because the extreme of many is extreme by chance, too.
    """
    stretch = ndtri(1 - 0.025 / len(effects)) / ndtri(0.975)
    wide = [
        one | {side: one["measured"] + stretch * (one[side] - one["measured"]) for side in SIDES}
        for one in effects
    ]
    return {name: float(choose([one[name] for one in wide])) for name in ("measured", *SIDES)}


def trend(effects: Sequence[Row], places: ArrayLike) -> Row:
    """Returns the least-squares slope of effects at `places`; not-a-number where all are one."""
    away = np.asarray(places, float)
    if not np.ptp(away):  # the mean of equal numbers is not always that number
        return dict.fromkeys(("measured", *SIDES), math.nan)
    away = away - away.mean()
    return contrast(effects, list(away / (away @ away)))


def shown(effect: Row, decimals: int) -> str:
    """Returns an effect for people: 1.2 (-0.3 to 2.7), or undefined."""
    if math.isnan(effect["measured"]):
        return "undefined"
    measured, low, high = (number(effect[name], decimals) for name in ("measured", *SIDES))
    return f"{measured} ({low} to {high})"


def number(value: float, decimals: int) -> str:
    """Returns a number for people, nothing for a missing one."""
    text = "" if math.isnan(value) else f"{value:,.{decimals}f}"
    return text.replace("-", "\N{MINUS SIGN}")
