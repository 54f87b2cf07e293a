"""Convergence: what the last doubling of its training gave each arm, measured on validation.

An arm is a run that is not half of another one; its partner is the same run with half the epochs.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from analysis.common import cells, convergence, gaps, style
from analysis.common.aliases import Cell, Record, Row
from analysis.common.convergence import STATES, THRESHOLD, UNKNOWN, Arm, Growth
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.scales import Scale, scale_of
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS
from vpbench.spec.tasks import TASKS

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("backbone", "task", "method", "variant", "epochs", "state", "partner"),
    *("gain", "low", "high", "seeds", "images", "accuracy", "may_gain"),
)
COLOURS = {  # of the states of what is trained by steps
    "converged": "#029e73",
    "overfits": "#cc78bc",
    "rising": "#d55e00",
    "unknown": style.GREY,
}


def rows_of(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per arm: its state, and the gain (points) on validation that says so.

    A gain that is not the arm's own is the largest of its group, see `partner`. `accuracy` is that
    on test in percent, and `may_gain` the points that more training may still add to it.
    """
    growths = convergence.grants(records)
    groups: dict[Arm, list[Record]] = {}
    for record in same_origin(convergence.arms(records)):
        groups.setdefault(convergence.arm_of(record), []).append(record)
    rows = [row_of(group, growths[arm]) for arm, group in groups.items()]
    rows.sort(key=order)
    whole = {"epochs": "Int64", "seeds": "Int64", "images": "Int64"}
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype(whole)


def row_of(group: list[Record], growth: Growth) -> Row:
    """Returns the row of an arm."""
    spec, accuracy = group[0]["spec"], cells.cell(group)["measured"]
    row = {key: spec[key] for key in ("backbone", "task", "method", "variant")}
    row |= {key: value for key, value in growth._asdict().items() if key in COLUMNS}
    row |= {"epochs": spec["settings"].get("epochs"), "accuracy": accuracy}
    return row | {"may_gain": growth.grant(accuracy)}


def order(row: Row) -> Cell:
    """Returns the place of a row: backbone, task, method, the recipe before its variants."""
    names = (("backbone", BACKBONES), ("task", TASKS), ("method", METHODS))
    places = [style.place(row[key], there) for key, there in names]
    return *places, row["variant"] != "default", row["variant"]


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what lacks a partner of half the length, in words."""
    missing = []
    for (backbone, method), rows in frame.groupby(["backbone", "method"], sort=False):
        lacking = sum(rows.state == UNKNOWN)
        if lacking:
            name = f"{style.short_name(method)} of {backbone}"
            missing.append(f"half the length of {name}, {lacking} of {len(rows)}")
    return missing or (["any run"] if frame.empty else [])


def draw_panel(axes: "Axes", frame: pandas.DataFrame, scale: Scale) -> "Axes":
    """Returns `axes` with a row per arm of one backbone; hollow are gains of an arm's group."""
    for place, row in enumerate(frame.itertuples()):
        if math.isnan(row.gain):
            continue
        colour = COLOURS[row.state]
        axes.errorbar(
            row.gain, place, xerr=style.whiskers(row.gain, row.low, row.high), color=colour,
            marker=style.described(row.method).marker, markersize=4.5, lw=1, capsize=1.5,
            mfc=colour if row.partner == convergence.OWN else "white",
        )  # fmt: skip
    labels = [arm_name(row, scale) for row in frame.itertuples()]
    axes.set_yticks(range(len(frame)), labels, fontsize=6.5)
    for label, state in zip(axes.get_yticklabels(), frame.state):
        label.set_color("black" if state != UNKNOWN else style.GREY)
    axes.set_ylim(len(frame) - 0.5, -0.5)
    axes.axvline(0, color="black", lw=0.7)
    axes.axvline(THRESHOLD, color="black", lw=0.9, linestyle=":")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return axes


def arm_name(row: "pandas.Series", scale: Scale) -> str:
    """Returns what an arm is called: dataset, method and how long it was trained."""
    name = f"{style.task_name(row.task, scale)}, {style.variant_name(row.method, row.variant)}"
    return f"{name} ({row.epochs} epochs)"


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: a panel per backbone, of the arms that are trained by steps."""
    import matplotlib.pyplot as plt

    style.set_theme()
    frame = frame[frame.state != convergence.FINISHED]
    backbones = list(dict.fromkeys(frame.backbone))
    columns = min(2, len(backbones)) or 1
    panels = [frame[frame.backbone == backbone] for backbone in backbones]
    lines = sum(max(map(len, panels[i : i + columns])) for i in range(0, len(panels), columns))
    figure = plt.figure(figsize=(style.WIDTH, 2 + 0.13 * lines), layout="constrained")
    title = "What the last doubling of its training gave each arm"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if frame.gain.isna().all():
        gaps.explain(figure.subplots(), gaps.note(missing or ["any run of half the length"]))
        return figure
    grid = figure.subplots(-(-len(panels) // columns), columns, sharex=True, squeeze=False).flat
    for axes, rows in zip(grid, panels):
        draw_panel(axes, rows, scale)
        axes.set_title(style.backbone_name(rows.backbone.iloc[0]))
        axes.set_xlabel("Gain on validation (points)", fontsize=8)
        axes.tick_params(axis="x", labelbottom=True)
    for axes in list(grid)[len(panels) :]:
        axes.set_axis_off()
    states = [state for state in STATES if state in set(frame.state) & set(COLOURS)]
    handles = [plt.Line2D([], [], color=COLOURS[state], marker="o", lw=1) for state in states]
    handles.append(plt.Line2D([], [], color="black", marker="o", mfc="white", lw=1))
    handles.append(plt.Line2D([], [], color="black", linestyle=":", lw=0.9))
    names = [*states, "of its group", f"{THRESHOLD:g} point"]
    figure.legend(
        handles, names, loc="outside lower center", ncols=6, frameon=False,
        title=gaps.note(missing), title_fontsize=7,
    )  # fmt: skip
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = rows_of(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "convergence")
