"""Effects with 95 % intervals: read from the rows of a csv file, put together, and judged.

An effect is a mapping with measured, low and high, and with what more training may change: `up`
and `down`, the points by which arms that are not converged could still raise and lower it, and
`rising`, a mapping from each of them to its sign, see `analysis.common.convergence`. What the rows
do not hold is said by `NotRun`.
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
STILL_RISING = "undecided (still rising)"  # decided as it is, and undecided if trained for longer
VERDICTS = (APPEARS, CONTRARY, UNDECIDED, STILL_RISING, NOT_RUN)
SIDES = ("low", "high")
MOVES = ("up", "down", "rising")  # what more training may change; columns of a csv file, too
SIGNS = {"+": "-", "-": "+", "both": "both"}  # of an arm -> the same in what is subtracted
ROUNDING = 1e-9  # how far from a limit the last bits of a sum may put a number that is on it
UNDEFINED = "Undefined: what it is computed from is the same for all"


class NotRun(LookupError):
    """A rule needs what a csv file does not have; the message says what, after the file's name."""


def verdict(effect: Row) -> str:
    """Returns whether the effect is above 0, where the claim has it, interval and all.

    A verdict must also hold after all that more training may change. An effect that does not exist
    (not-a-number) is on neither side.
    """
    if effect["low"] > ROUNDING:
        return APPEARS if effect["low"] - effect["down"] > ROUNDING else STILL_RISING
    if effect["high"] < -ROUNDING:
        return CONTRARY if effect["high"] + effect["up"] < -ROUNDING else STILL_RISING
    return UNDECIDED


def size_verdict(effect: Row, published: float, tolerance: float, at_least: bool = False) -> str:
    """Returns whether the effect is as large as published, give or take `tolerance`.

    It is if the measured value is within it, and it is not if the whole interval is outside; both
    must hold after all that more training may change.
    """
    low, high = published - tolerance, math.inf if at_least else published + tolerance
    measured, up, down = (effect[name] for name in ("measured", "up", "down"))
    if low <= measured <= high:
        return APPEARS if low <= measured - down and measured + up <= high else STILL_RISING
    if effect["high"] < low:
        return CONTRARY if effect["high"] + up < low else STILL_RISING
    if effect["low"] > high:
        return CONTRARY if effect["low"] - down > high else STILL_RISING
    return UNDECIDED


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
    if any(math.isnan(effect[name]) for effect in effects for name in ("measured", *SIDES)):
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
    names, read = ("measured", *SIDES, "up", "down"), (*columns, "up", "down")
    numbers = np.stack([frame[name].to_numpy(float)[kept] for name in read], axis=1)
    texts = frame.rising[kept].astype(object).fillna("")  # a column of nothing is read as numbers
    return [
        dict(zip(names, row)) | {"rising": arms_in(text)}
        for row, text in zip(numbers.tolist(), texts)
    ]


def arms_in(text: str) -> dict[str, str]:
    """Returns arm -> sign of the column `rising`."""
    return dict(each.rsplit(" ", 1) for each in text.split(", ") if each)


def arms_text(rising: dict[str, str]) -> str:
    """Returns the column `rising`: each arm with its sign, e.g. clip visual_prompt +."""
    return ", ".join(f"{arm} {sign}" for arm, sign in rising.items())


def described(wanted: dict[str, Any]) -> str:
    """Returns the values that a row must have, in words."""
    return ", ".join(f"{name} {value}" for name, value in wanted.items()) or "anything"


def contrast(effects: Sequence[Row], weights: Sequence[float]) -> Row:
    """Returns the weighted sum of effects, taken as independent, as an effect."""
    low, high = cells.combined(effects, weights)
    measured = sum(weight * one["measured"] for one, weight in zip(effects, weights))
    return {"measured": measured, "low": low, "high": high} | moved(effects, weights)


def moved(effects: Sequence[Row], weights: Sequence[float]) -> Row:
    """Returns what more training may change of a weighted sum of effects: `MOVES`.

    What arms may still gain is added as it is, and not as if it were noise: all may gain it.
    """
    up, down, rising = 0.0, 0.0, dict[str, str]()
    for one, weight in zip(effects, weights):
        more, less = one.get("up", 0.0), one.get("down", 0.0)
        if weight < 0:
            more, less = less, more
        up, down = up + abs(weight) * more, down + abs(weight) * less
        for arm, sign in one.get("rising", {}).items():
            seen = SIGNS[sign] if weight < 0 else sign
            rising[arm] = seen if rising.get(arm, seen) == seen else "both"
    return {"up": up, "down": down, "rising": rising}


def columns(moves: Row) -> Row:
    """Returns `MOVES` as they are in a csv file."""
    return moves | {"rising": arms_text(moves["rising"])}


def above(effect: Row, limit: float) -> Row:
    """Returns by how much an effect is above a limit."""
    return effect | {name: effect[name] - limit for name in ("measured", *SIDES)}


def negative(effect: Row) -> Row:
    """Returns an effect with the other sign."""
    return contrast([effect], [-1])


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
    because the extreme of many is extreme by chance, too. After more training another effect may be
    the extreme one.
    """
    stretch = ndtri(1 - 0.025 / len(effects)) / ndtri(0.975)
    wide = [
        one | {side: one["measured"] + stretch * (one[side] - one["measured"]) for side in SIDES}
        for one in effects
    ]
    found = {name: float(choose([one[name] for one in wide])) for name in ("measured", *SIDES)}
    lowest = float(choose([one["low"] - one["down"] for one in wide]))
    highest = float(choose([one["high"] + one["up"] for one in wide]))
    moves = {"up": highest - found["high"], "down": found["low"] - lowest}
    return found | moved(effects, [1] * len(effects)) | moves


def best(effects: Sequence[Row]) -> Row:
    """Returns the effect with the largest value; after more training another may be that."""
    first = max(effects, key=lambda effect: effect["measured"])
    value = first["measured"]
    up = max(effect["measured"] + effect["up"] for effect in effects) - value
    down = value - max(effect["measured"] - effect["down"] for effect in effects)
    return first | moved(effects, [1] * len(effects)) | {"up": up, "down": down}


def trend(effects: Sequence[Row], places: ArrayLike) -> Row:
    """Returns the least-squares slope of effects at `places`; not-a-number where all are one."""
    away = np.asarray(places, float)
    if not np.ptp(away):  # the mean of equal numbers is not always that number
        return dict.fromkeys(("measured", *SIDES), math.nan) | moved([], [])
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
