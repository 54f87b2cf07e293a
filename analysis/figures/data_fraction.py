"""Data fraction: accuracy of every method by the number of training images of each class."""

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from analysis.common import cells, gaps, seed_variance, style, variants
from analysis.common.aliases import Cell, Groups, Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from analysis.common.seed_variance import Pools
from vpbench.spec.methods import METHODS

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Line = tuple[str, str]  # method and variant
Look = tuple[str, Any, str]  # colour, line, marker
COLUMNS = (
    *("task", "method", "variant", "shots", "measured", "spread", "low", "high"),
    *("seeds", "seed_variance", "images", "epochs", "chance"),
)
COUNTS = ("seeds", "images", "epochs")
ALL = "all"
UNTRAINED = "text_prompt"  # it takes no images, so it is a line without points
LINES = (  # colour and line of the first method of a kind, the second ...
    ("#0173b2", "-"),
    ("#de8f05", "--"),
    ("#029e73", "-."),
    ("#cc78bc", (0, (4, 1, 1, 1, 1, 1))),
    ("#ca9161", "-"),
    ("#56b4e9", "--"),
    ("#949494", "-."),
)
DODGE = 0.09  # how far the points of two methods are apart, in octaves


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per task, method, variant and number of shots, and the average over tasks.

    `shots` is the number of training images of each class, or "all"; `images` are all of them
    together. `measured`, in percent, has the interval of `cells.cell`: over the test images and
    over seeds, each of which draws training images of its own. What was not run is empty, and so is
    an average that lacks a task. Tasks without a run of few images are left out.
    """
    variants.single(records, "backbone")
    few = {cells.dataset_of(one) for one in records if "shots" in one["spec"]["data"]} - {None}
    groups = cells.by_cell([one for one in records if cells.dataset_of(one) in few], run_cell)
    pools = seed_variance.pools(groups.values())
    tasks, rows = list(dict.fromkeys(task for task, *_ in groups)), []
    for method, variant, shots in points(groups):
        by_task = {
            task: values_of(groups.get((task, method, variant, shots), []), pools) for task in tasks
        }
        for task, values in (by_task | {"average": cells.average(list(by_task.values()))}).items():
            row = {"task": task, "method": method, "variant": variant, "shots": shots}
            rows.append(row | {key: value for key, value in values.items() if key in COLUMNS})
    frame = pandas.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(COUNTS, "Int64"))
    order = {task: place for place, task in enumerate([*tasks, "average"])}
    return frame.sort_values("task", key=lambda names: names.map(order), kind="stable")


def run_cell(record: Record) -> Cell:
    """Returns the (dataset, method, variant, shots) of a record.

    Runs of few images are variants with names of their own, e.g. shots_4, or shots_4_shallow for
    the variant shallow.
    """
    spec = record["spec"]
    shots = spec["data"].get("shots", ALL)
    variant = re.sub(rf"^shots_{shots}(_|\Z)", "", spec["variant"])
    return cells.dataset_of(record), spec["method"], variant or "default", shots


def points(groups: Groups) -> list[Cell]:
    """Returns the (method, variant, shots) that the table has: all that any of `groups` is about.

    A method that takes no images has no more than was run.
    """
    shots = sorted({cell[3] for cell in groups} - {ALL}) + [ALL]
    lines = sorted({cell[1:3] for cell in groups}, key=place)
    wanted = [(*line, number) for line in lines for number in shots]
    run = {cell[1:] for cell in groups}
    return [point for point in wanted if point[0] != UNTRAINED or point in run]


def place(line: tuple[str, str]) -> Cell:
    """Returns the place of a (method, variant) in table and figure."""
    method, variant = line
    return style.place(method, METHODS), variant != "default", variant


def values_of(records: list[Record], pools: Pools) -> Row:
    """Returns the measured part of a row from the records of its seeds."""
    values = cells.cell(records, pools)
    if not records:
        return values
    facts = records[0]["task"]
    images = 0 if records[0]["spec"]["method"] == UNTRAINED else facts["sizes"]["train"]
    epochs = variants.setting(records[0], "epochs")
    return values | {"images": images, "epochs": epochs, "chance": facts["chance"]}


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words."""
    if frame.empty:
        return ["any method on few training images of each class"]
    missing: dict[str, list[str]] = {}
    empty = frame[(frame.seeds == 0) & (frame.task != "average")]
    for (method, variant, task), rows in empty.groupby(["method", "variant", "task"], sort=False):
        words = f"{style.variant_name(method, variant)} of {', '.join(map(str, rows.shots))} shots"
        missing.setdefault(words, []).append(task)
    tasks = frame.task.nunique() - 1
    return [
        words if len(tasks_lacking) == tasks else f"{words} on {', '.join(tasks_lacking)}"
        for words, tasks_lacking in missing.items()
    ]


def kinds_of(frame: pandas.DataFrame) -> dict[str, dict[Line, Look]]:
    """Returns what is learned -> (method, variant) -> its colour, line and marker."""
    kinds: dict[str, dict[Line, Look]] = {}
    for method, variant in frame[["method", "variant"]].drop_duplicates().itertuples(index=False):
        if method != UNTRAINED:
            entry = style.described(method)
            lines = kinds.setdefault(entry.learns, {})
            lines[method, variant] = (*LINES[len(lines) % len(LINES)], entry.marker)
    return {kind: kinds[kind] for kind in style.KINDS if kind in kinds}


def octaves(frame: pandas.DataFrame) -> dict[Any, float]:
    """Returns shots -> where they stand: at their binary logarithm, all images aside."""
    few = [shots for shots in frame.shots.unique() if shots != ALL]
    return {shots: math.log2(shots) for shots in few} | {ALL: math.log2(max(few)) + 1.4}


def draw_line(
    axes: "Axes", rows: pandas.DataFrame, places: dict[Any, float], aside: float, look: Look
) -> "Axes":
    """Returns `axes` with the accuracies of a method; dotted on to that with all images."""
    colour, line, marker = look
    method, variant = rows[["method", "variant"]].iloc[0]
    rows = rows[rows.measured.notna()]
    x, y = rows.shots.map(places).to_numpy(float) + aside, rows.measured.to_numpy(float)
    few = (rows.shots != ALL).to_numpy(bool)
    points_ = {"color": colour, "marker": marker, "ms": 4, "mew": 0.8}
    points_ |= {} if variant == "default" else {"mfc": "white"}
    axes.errorbar(
        x,
        y,
        style.whiskers(y, rows.low, rows.high),
        fmt="none",
        ecolor=colour,
        elinewidth=0.6,
        alpha=0.6,
    )
    name = style.variant_name(method, variant)
    axes.plot(x[few], y[few], linestyle=line, lw=1.2, label=name, **points_)
    axes.plot(x[~few], y[~few], linestyle="none", **points_)
    if few.any() and not few.all():
        ends = [np.flatnonzero(few)[-1], np.flatnonzero(~few)[0]]
        axes.plot(x[ends], y[ends], color=colour, linestyle=":", lw=1)
    return axes


def draw_panel(
    axes: "Axes", frame: pandas.DataFrame, looks: dict[Line, Look], places: dict[Any, float]
) -> "Axes":
    """Returns `axes` with the methods of a kind on a task; light the others, dotted TP."""
    by_line = {line: rows for line, rows in frame.groupby(["method", "variant"], sort=False)}
    for (method, variant), rows in by_line.items():
        rows = rows[rows.measured.notna()]
        if method == UNTRAINED:
            for row in rows.iloc[:1].itertuples():
                name = style.variant_name(method, variant)
                axes.axhline(row.measured, color="black", linestyle=":", lw=1.2, label=name)
        elif (method, variant) not in looks:
            axes.plot(rows.shots.map(places), rows.measured, color="0.85", lw=0.8, zorder=0)
    for number, (line, look) in enumerate(looks.items()):
        aside = DODGE * (number - (len(looks) - 1) / 2)
        draw_line(axes, by_line[line], places, aside, look)
    axes.set_xticks(list(places.values()), list(map(str, places)))
    axes.minorticks_off()
    axes.set_ylim(0, 103)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: a row of panels per task and of the average, a column per kind."""
    import matplotlib.pyplot as plt

    style.set_theme()
    tasks, columns = list(frame.task.unique()), kinds_of(frame)
    figure = plt.figure(figsize=(style.WIDTH, 2.3 + 1.6 * len(tasks)), layout="constrained")
    title = "Accuracy by the number of training images of each class"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if not columns:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(len(tasks), len(columns), sharex=True, sharey=True, squeeze=False)
    places = octaves(frame)
    for row, task in zip(panels, tasks):
        for axes, looks in zip(row, columns.values()):
            draw_panel(axes, frame[frame.task == task], looks, places)
        row[0].set_ylabel(f"{style.task_name(task, scale)}\nTest accuracy (%)")
    for axes, kind in zip(panels[0], columns):
        axes.set_title(f"Learns: {kind}")
    for axes in panels[-1]:
        axes.set_xlabel("Images of each class")
        axes.legend(
            loc="upper center", bbox_to_anchor=(0.5, -0.3), ncols=2, frameon=False,
            columnspacing=1, handletextpad=0.3,
        )  # fmt: skip
    figure.supxlabel(gaps.note(missing), fontsize=7)
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = accuracies(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "data_fraction")
