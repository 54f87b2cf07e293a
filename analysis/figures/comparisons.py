"""Comparisons: visual prompt against each other method on the same test images, with intervals."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas

from analysis.common import (
    cells,
    convergence,
    effects,
    gaps,
    paired,
    published,
    seed_variance,
    style,
)
from analysis.common.aliases import Groups, Record, Row
from analysis.common.convergence import Growths
from analysis.common.csv_file import write_csv
from analysis.common.paired import Pair
from analysis.common.scales import Scale, scale_of
from analysis.common.seed_variance import Part, Pools
from vpbench.spec.backbones import ROLES

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("role", "task", "method", "rival", "difference", "low", "high", "p_value", "seeds"),
    *("seed_variance", "images", "published", *effects.MOVES),
)
EMPTY = {"difference": math.nan, "low": math.nan, "high": math.nan, "p_value": None, "seeds": 0}
EMPTY |= {"seed_variance": None, "images": 0}
AVERAGES = {False: "average", True: "shift_average"}  # of the 12 datasets, of the 3 shifts
TABLES = {False: (1, 4), True: (2, 5)}  # where the paper's numbers are
MODALITIES = ("vision_language", "vision")
RIVALS = {  # what a visual prompt is compared with -> colour, marker
    "text_prompt": ("#0173b2", "o"),
    "linear_probe": ("#de8f05", "s"),
    "fine_tune": ("#595959", "^"),
}


def comparisons(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per model, rival and task, with the columns COLUMNS, in percentage points.

    The intervals and p values are those of `analysis.common.paired`, with the variance of the seeds
    of both sides; `seeds` are those of the visual prompt. An average draws the images of each task
    anew, has no p value, and is empty unless all its tasks are measured. `up` and `down` are what
    more training of either side may change, see `analysis.common.convergence`.
    """
    records = [record for record in records if record["task"]["published"]]
    groups, growths = cells.by_cell(convergence.arms(records)), convergence.grants(records)
    pools = seed_variance.pools(groups.values())
    theirs = {shift: published.accuracies(*numbers) for shift, numbers in TABLES.items()}
    rows = []
    for role, rival in duels():
        for shift, name in AVERAGES.items():
            tasks = cells.tasks_of(shift)
            pairs = {task: pair(groups, pools, role, rival, task) for task in tasks}
            tested = {task: compared([one]) for task, one in pairs.items()}
            tested[name] = compared(list(pairs.values()))
            moves = moves_of(groups, growths, role, rival, name)
            for task, values in tested.items():
                key = {"role": role, "task": task, "method": "visual_prompt", "rival": rival}
                printed = "average" if task == name else task
                both = ((role, method, printed) for method in ("visual_prompt", rival))
                ours, other = (theirs[shift].get(each, math.nan) for each in both)
                row = key | values | {"published": ours - other}
                rows.append(row | moves[task] if values["seeds"] else row)
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def duels() -> list[tuple[str, str]]:
    """Returns the (role, rival) of a visual prompt, in the paper's order."""
    rows = [row for modality in MODALITIES for row in cells.rows_of(modality)]
    return [(role, method) for role, method in rows if method != "visual_prompt"]


def pair(
    groups: Groups, pools: Pools, role: str, rival: str, task: str
) -> tuple[Pair, Part] | None:
    """Returns the pair of all runs of both methods, and what other seeds would change; None
    without any."""
    ours = groups.get((role, "visual_prompt", task), [])
    others = groups.get((role, rival, task), [])
    if not (ours and others):
        return None
    return paired.matched_runs(ours, others), seed_variance.of_difference(ours, others, pools)


def compared(pairs: Sequence[tuple[Pair, Part] | None]) -> Row:
    """Returns the measured part of a row from its pairs, one per task; empty if one is None."""
    there = [one for one in pairs if one is not None]
    if len(there) < len(pairs):
        return EMPTY
    complete = [pair for pair, _ in there]
    part = seed_variance.together([part for _, part in there], 1 / len(there))
    difference, low, high = paired.difference(complete, other_seeds=part)
    # As text, because a table rounded to three decimals would call the smallest ones zero.
    p_value = f"{paired.mcnemar(*complete[0]):.2g}" if len(complete) == 1 else None
    facts = {"seeds": min(len(ours) for ours, _ in complete)}
    facts["images"] = sum(ours.shape[1] for ours, _ in complete)
    numbers = {"difference": difference, "low": low, "high": high, "p_value": p_value}
    return numbers | facts | {"seed_variance": part.source or seed_variance.NONE}


def moves_of(
    groups: Groups, growths: Growths, role: str, rival: str, average: str
) -> dict[str, Row]:
    """Returns task, or the name of their `average` -> the columns of what more training may change
    of a difference, of the tasks that both sides have."""
    moves = {}
    for task in cells.tasks_of(average == AVERAGES[True]):
        sides = [(method, groups.get((role, method, task))) for method in ("visual_prompt", rival)]
        parts = [
            convergence.part(growths, group, f"{role} {method}", cells.cell(group)["measured"])
            for method, group in sides
            if group
        ]
        moves[task] = effects.moved(parts, [1, -1])
    mean = effects.moved(list(moves.values()), [1 / len(moves)] * len(moves))
    return {task: effects.columns(one) for task, one in (moves | {average: mean}).items()}


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words: the comparisons that lack the same tasks, together."""
    lacking: dict[str, list[str]] = {}
    tasks = frame[~frame.task.isin(AVERAGES.values())]
    groups = tasks.groupby(["role", "rival"], sort=False)
    for (role, rival), rows in groups:
        name = f"{style.role_name(role)} VP and {style.short_name(rival)}"
        empty = rows[rows.difference.isna()].task
        where = "any dataset" if len(empty) == len(rows) else ", ".join(empty)
        lacking.setdefault(where, []).append(name)
    lacking.pop("", None)
    return [
        f"{'any comparison' if len(names) == len(groups) else ', '.join(names)} on {where}"
        for where, names in lacking.items()
    ]


def draw_panel(
    axes: "Axes", frame: pandas.DataFrame, offset: float, ticks: dict[str, float]
) -> "Axes":
    """Returns `axes` with one row per task: difference and interval, hollow the paper's number."""
    rival = frame.rival.iloc[0]
    colour, marker = RIVALS[rival]
    y = [ticks[task] + offset for task in frame.task]
    axes.errorbar(
        frame.difference, y, xerr=style.whiskers(frame.difference, frame.low, frame.high),
        fmt=marker, color=colour, markersize=4, elinewidth=1, capsize=1.5,
        label=f"VP \N{MINUS SIGN} {style.short_name(rival)}",
    )  # fmt: skip
    axes.plot(frame.published, y, marker, markersize=4.5, mfc="none", mec=colour, mew=0.8)
    return axes


def frame_rows(axes: "Axes", ticks: dict[str, float], scale: Scale) -> "Axes":
    """Returns `axes` with the names of the tasks, a line at zero and the averages set apart."""
    axes.axvline(0, color="black", linewidth=0.8)
    names = style.TASKS | {"average": "Average of the 12", "shift_average": "Average of the 3"}
    for task, y in ticks.items():
        if task in AVERAGES.values():
            axes.axhspan(y - 0.5, y + 0.5, color="#eeeeee", zorder=0)
        else:
            names[task] = style.task_name(task, scale)
    axes.set_yticks(list(ticks.values()), [names[task] for task in ticks])
    axes.set_ylim(max(ticks.values()) + 0.7, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.grid(axis="x", linewidth=0.4, color="#cccccc")
    axes.set_axisbelow(True)
    return axes


def x_range(frame: pandas.DataFrame) -> tuple[float, float]:
    """Returns the ends of all panels, so that equal lengths are equal differences."""
    shown = frame[["low", "high", "published"]].to_numpy(float)
    low, high = min(0.0, float(np.nanmin(shown))), max(0.0, float(np.nanmax(shown)))
    margin = 0.04 * (high - low)
    return low - margin, high + margin


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: above CLIP, a panel per rival; below the vision models, a panel each."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    style.set_theme()
    figure = plt.figure(figsize=(style.WIDTH, 7.6), layout="constrained")
    title = "Visual prompt against other methods, on the same test images"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if frame.difference.isna().all():
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    ticks = {task: float(place) for place, task in enumerate(frame.task.unique())}
    above, below = figure.subfigures(2, 1)
    clip = above.subplots(1, 3, sharey=True)
    vision = below.subplots(1, 3, sharey=True)
    for axes, rival in zip(clip, RIVALS):
        draw_panel(axes, frame[(frame.role == "clip") & (frame.rival == rival)], 0, ticks)
        axes.set_title(f"CLIP: VP \N{MINUS SIGN} {style.short_name(rival)}")
    roles = [role for role in ROLES if role in set(frame.role) - {"clip"}]
    for axes, role in zip(vision, roles):
        for offset, rival in ((-0.2, "linear_probe"), (0.2, "fine_tune")):
            draw_panel(axes, frame[(frame.role == role) & (frame.rival == rival)], offset, ticks)
        axes.set_title(style.role_name(role))
    for axes in [*clip, *vision]:
        frame_rows(axes, ticks, scale)
        axes.set_xlim(x_range(frame))
    for axes in (clip[1], vision[1]):
        axes.set_xlabel("Difference in accuracy (points)")
    handles, names = vision[0].get_legend_handles_labels()
    handles.append(Line2D([], [], marker="o", color="black", markersize=4))
    handles.append(Line2D([], [], marker="o", color="black", mfc="none", linestyle="none"))
    names += ["Measured, 95 % interval", "Paper"]
    figure.legend(
        handles, names, title=gaps.note(missing), title_fontsize=7,
        loc="outside lower center", ncols=4, frameon=False,
    )  # fmt: skip
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = comparisons(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "comparisons")
