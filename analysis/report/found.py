"""What was found: the first screen of the report, read from the csv files that it shows below.

Three sentences say where a visual prompt stands, a table ranks the methods by their averages, and
the findings of the paper that do not appear are listed with the reason.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas

from analysis.claims import claims
from analysis.claims.rules import VISION
from analysis.common import effects, style
from analysis.common.aliases import Cell, Row
from analysis.common.effects import APPEARS, CONTRARY, NOT_RUN, STILL_RISING, UNDECIDED, NotRun

DIFFERENCE = ("difference", "low", "high")
RIVALS = {"text_prompt": "the text prompt alone", "linear_probe": "a linear probe"}
AVERAGES = {"average": "12 datasets", "shift_average": "3 shifts"}
WHY = {  # what a finding that does not appear has in common with others of its verdict
    CONTRARY: "The whole interval is on the other side, and stays there whatever longer training "
    "may still change.",
    STILL_RISING: "Decided as it stands, but these trainings were not converged, and longer ones "
    "could turn it.",
    UNDECIDED: "The interval reaches to both sides: too few images, seeds or datasets to tell.",
    NOT_RUN: "What it needs was not measured here.",
}
READ = ("comparisons", *claims.TABLES)


def found(results: Path, names: Sequence[str], reference: Path | None) -> dict[str, Any] | None:
    """Returns the sentences and the ranking of a run, None if it compares nothing.

    The analyses `names` of the folder `results` are read; the averages of a `reference` run stand
    beside those of this one.
    """
    frames = claims.read(results, [name for name in READ if name in names])
    if "comparisons" not in frames:
        return None
    theirs = claims.read(reference, list(claims.TABLES)) if reference else {}
    tables, others = frames.get("tables"), theirs.get("tables")
    return {
        "sentences": sentences(frames["comparisons"]),
        "averages": AVERAGES,
        "ranking": [] if tables is None else ranking(tables, averages(others)),
        "reference": others is not None,
    }


def sentences(frame: pandas.DataFrame) -> list[tuple[str, str]]:
    """Returns (about what, what was found) of a visual prompt: with CLIP, under distribution shift,
    and with vision models."""
    plain, shift = "on average over 12 datasets", "on average over the 3 shifts"
    clip = "CLIP\N{RIGHT SINGLE QUOTATION MARK}s visual prompt"
    return [
        ("With CLIP", sentence(frame, "a visual prompt", plain, "average")),
        ("Under distribution shift", sentence(frame, clip, shift, "shift_average")),
        ("With vision models", vision_sentence(frame)),
    ]


def sentence(frame: pandas.DataFrame, subject: str, where: str, task: str) -> str:
    """Returns where CLIP's visual prompt stands against text prompt and linear probe."""
    try:
        found = {rival: of_roles(frame, ["clip"], rival, task) for rival in RIVALS}
    except NotRun:
        return f"{subject} was not run {where} beside {' and '.join(RIVALS.values())}."
    ours = " and ".join(against(effect, rival) for rival, effect in found.items())
    theirs = " and ".join(published(effect) for effect in found.values())
    return f"{subject} is, {where}, {ours}; in the paper {theirs}.{longer(found.values())}"


def vision_sentence(frame: pandas.DataFrame) -> str:
    """Returns where the visual prompt of vision models stands against the linear probe."""
    where, rival = "on average over the three and 12 datasets", "linear_probe"
    try:
        mean = of_roles(frame, VISION, rival, "average")
        single = {role: of_roles(frame, [role], rival, "average")["measured"] for role in VISION}
    except NotRun:
        return f"it was not run {where} beside {RIVALS[rival]}."
    highest, lowest = (
        f"{style.signed(single[role])} with {style.role_name(role)}"
        for role in (max(VISION, key=single.__getitem__), min(VISION, key=single.__getitem__))
    )
    ours = f"{against(mean, rival)}, from {highest} to {lowest}"
    return f"it is, {where}, {ours}; in the paper {published(mean)}.{longer([mean])}"


def of_roles(frame: pandas.DataFrame, roles: Sequence[str], rival: str, task: str) -> Row:
    """Returns the mean effect VP - rival of models, with the mean that the paper has."""
    wanted = [{"role": role, "rival": rival, "task": task} for role in roles]
    mean = effects.mean([effects.effect_of(frame, DIFFERENCE, **each) for each in wanted])
    rows = frame[frame.role.isin(roles) & (frame.rival == rival) & (frame.task == task)]
    return mean | {"published": float(rows.published.mean())}


def against(effect: Row, rival: str) -> str:
    """Returns where an effect puts a visual prompt against a rival, with the interval."""
    name, (low, high) = RIVALS[rival], (effect["low"], effect["high"])
    if low > 0:
        return f"{number(effect['measured'])} points above {name} ({number(low)} to {number(high)})"
    if high < 0:
        limits = f"{number(-high)} to {number(-low)}"
        return f"{number(-effect['measured'])} points below {name} ({limits})"
    measured = style.signed(effect["measured"])
    return f"not told apart from {name} ({measured} points, {number(low)} to {number(high)})"


def published(effect: Row) -> str:
    """Returns on which side the paper has an effect, and how far."""
    return f"{number(abs(effect['published']))} {'above' if effect['published'] > 0 else 'below'}"


def longer(found: Iterable[Row]) -> str:
    """Returns how far longer training may still move effects, in a sentence, if at all."""
    most = max(max(effect["up"], effect["down"]) for effect in found)
    if not most:
        return ""
    return f" Longer training may still change this by up to {number(most)} points."


def number(value: float) -> str:
    """Returns a number of points or percent with one decimal."""
    return effects.number(value, 1)


def averages(tables: pandas.DataFrame | None) -> dict[Cell, Row]:
    """Returns (role, method, average) -> its row of the tables."""
    if tables is None:
        return {}
    rows = tables[tables.task.isin(AVERAGES)].to_dict("records")
    return {(row["role"], row["method"], row["task"]): row for row in rows}


def ranking(tables: pandas.DataFrame, reference: Mapping[Cell, Row]) -> list[Row]:
    """Returns a row per model and method, the best average on top, and one for chance.

    Each has (measured, interval, published, reference) of both averages, as texts.
    """
    cells = averages(tables)
    rows = []
    for role, method in dict.fromkeys(key[:2] for key in cells):
        of = {task: cells.get((role, method, task), {}) for task in AVERAGES}
        place = of["average"].get("measured", math.nan)
        if all(math.isnan(one.get("measured", math.nan)) for one in of.values()):
            continue
        theirs = {task: reference.get((role, method, task), {}) for task in AVERAGES}
        names = {"model": style.role_name(role), "method": style.method_name(method, role)}
        shown = [averaged(of[task], theirs[task]) for task in AVERAGES]
        rows.append(names | {"place": place, "cells": shown})
    chance = tables[tables.task.isin(AVERAGES)].groupby("task").chance.first()
    if rows:
        shown = [(number(chance.get(task, math.nan)), "", "", "") for task in AVERAGES]
        place = chance.get("average", math.nan)
        rows.append({"model": "Chance", "method": "", "place": place, "cells": shown})
    return sorted(rows, key=lambda row: (math.isnan(row["place"]), -row["place"]))


def averaged(row: Row, reference: Row) -> tuple[str, str, str, str]:
    """Returns (measured, interval, published, reference) of an average, as texts."""
    measured, low, high, published = (
        row.get(name, math.nan) for name in ("measured", "low", "high", "published")
    )
    interval = "" if math.isnan(low) else f"{number(low)}\N{EN DASH}{number(high)}"
    theirs = reference.get("measured", math.nan)
    return number(measured), interval, number(published), number(theirs)


def lacking(counted: Sequence[Row]) -> list[tuple[str, str, list[Row]]]:
    """Returns (verdict, why, findings) of what does not appear, in the order of the verdicts.

    Of findings that longer training could turn `why` names the trainings, of those that were not
    run what is missing.
    """
    groups = []
    for verdict, why in WHY.items():
        rows = [reasoned(row) for row in counted if row["verdict"] == verdict]
        if rows:
            groups.append((verdict, why, rows))
    return groups


def reasoned(row: Row) -> Row:
    """Returns a finding with its own reason, which is empty if that of its verdict says all."""
    reason = ""
    if row["verdict"] == STILL_RISING:
        stands = APPEARS if float(row["low"]) > 0 else CONTRARY
        reason = f"as it stands it {stands}; not converged: {row['rising']}"
    elif row["verdict"] == NOT_RUN:
        reason = row["note"].rpartition("Not run: ")[2]
    return row | {"reason": reason}
