"""Budget: accuracy of every method against its compute and the number of its parameters."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas
from numpy.typing import ArrayLike

from analysis.common import gaps, method_accuracies, style
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from analysis.figures import methods

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COSTS = {  # column -> name of the axis
    "seconds": "Seconds of training\nand evaluation",
    "passes": "Passes of an image\nthrough the backbone",
    "trained_parameters": "Trained parameters",
}
COLUMNS = (
    *("backbone", *method_accuracies.ENTRANT, "device", "accuracy", "low", "high", "seeds"),
    *(*method_accuracies.COSTS, *(f"front_{cost}" for cost in COSTS)),
)


def budgets(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per backbone, method and variant: the columns COLUMNS.

    Accuracy (%) and costs are those of `method_accuracies` over the datasets without a shift, empty
    unless all of them were run. front_... says whether no other method of the same backbone and
    device is at least as accurate for less, or more accurate for as much.
    """
    frame = method_accuracies.accuracies(records)
    frame = frame[frame.task == "average"].rename(columns={"measured": "accuracy"})
    frame = frame.assign(**{f"front_{cost}": False for cost in COSTS}).reset_index(drop=True)
    for _, rows in frame.groupby(["backbone", "device"], sort=False):
        for cost in COSTS:
            frame.loc[rows.index, f"front_{cost}"] = front(rows[cost], rows.accuracy)
    return frame[list(COLUMNS)]


def front(costs: ArrayLike, values: ArrayLike) -> np.ndarray:
    """Returns for each of several things whether it is on the Pareto front: no other is better.

    Better is a lower cost for no lower a value, or a higher value for no higher a cost; what has
    no cost or no value (NaN) is not on it.
    """
    costs, values = (np.asarray(numbers, float) for numbers in (costs, values))
    cheap, good = np.less_equal.outer(costs, costs), np.greater_equal.outer(values, values)
    strictly = np.less.outer(costs, costs) | np.greater.outer(values, values)
    return ~(cheap & good & strictly).any(axis=0) & ~np.isnan(costs + values)


def front_of(frame: pandas.DataFrame, cost: str) -> pandas.DataFrame:
    """Returns the rows on the front of a cost, the cheapest first."""
    return frame[frame[f"front_{cost}"]].sort_values([cost, "accuracy"], kind="stable")


def draw_panel(axes: "Axes", frame: pandas.DataFrame, cost: str) -> "Axes":
    """Returns `axes` with a point per method, variants hollow, and a line along the front."""
    for row in frame[frame[cost].notna()].itertuples():
        axes.errorbar(
            getattr(row, cost), row.accuracy,
            style.whiskers(row.accuracy, row.low, row.high),
            fmt=style.described(row.method).marker,
            color=style.KINDS[methods.kind_of(row)], markersize=5, elinewidth=0.7, mew=0.9,
            fillstyle="full" if row.variant == "default" else "none",
        )  # fmt: skip
    best = front_of(frame, cost)
    axes.plot(best[cost], best.accuracy, color="black", lw=1, ls="--", zorder=0)
    axes.plot(best[cost], best.accuracy, "o", ms=9.5, mfc="none", mec="black", mew=0.9)
    if cost == "trained_parameters":
        axes.set_xscale("symlog", linthresh=100)  # a text prompt trains none, and log has no zero
    else:
        style.logarithmic(axes, frame[cost])
    axes.minorticks_off()
    axes.tick_params(axis="x", labelsize=7)
    names = ", ".join(map(methods.named, best.itertuples()))
    axes.set_title("\n".join(textwrap.wrap(f"Front: {names}", 42)), fontsize=7)
    axes.grid(linewidth=0.4, color="#cccccc")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def legend(frame: pandas.DataFrame) -> "tuple[list[Artist], list[str]]":
    """Returns (handles, names) of the methods in `frame`, of variants and of the front."""
    from matplotlib.lines import Line2D

    handles = {}
    for method in frame.method.unique():
        entry = style.described(method)
        look = {"color": style.KINDS[entry.learns], "marker": entry.marker, "linestyle": "none"}
        handles[style.variant_name(method, "default")] = Line2D([], [], markersize=5, **look)
    if (frame.variant != "default").any():
        look = {"color": "black", "marker": "o", "mfc": "none", "linestyle": "none"}
        handles["Variants"] = Line2D([], [], markersize=5, **look)
    handles["Pareto front"] = Line2D(
        [], [], color="black", marker="o", ms=9, mfc="none", ls="--", lw=1
    )
    return list(handles.values()), list(handles)


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: a row per backbone and device, a panel per cost."""
    import matplotlib.pyplot as plt

    style.set_theme()
    there = frame[frame.accuracy.notna()]
    groups = list(there.groupby(["backbone", "device"], sort=False))
    height = max(3, 1.4 + 0.12 * len(missing) + 2.1 * len(groups))
    figure = plt.figure(figsize=(style.WIDTH, height), layout="constrained")
    title = "Accuracy against compute and parameters; seconds are those of this machine"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if not groups:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(len(groups), len(COSTS), squeeze=False, sharey="row")
    for row, ((backbone, device), methods_run) in zip(panels, groups):
        for axes, cost in zip(row, COSTS):
            if methods_run[cost].notna().any():
                draw_panel(axes, methods_run, cost)
            else:
                gaps.explain(axes, "Not measured")
        row[0].set_ylabel(f"{style.backbone_name(backbone)} ({device}):\nmean accuracy (%)")
    for axes, cost in zip(panels[-1], COSTS):
        axes.set_xlabel(COSTS[cost])
    handles, names = legend(there)
    figure.legend(
        handles, names, title=gaps.note(missing), title_fontsize=7,
        loc="outside lower center", ncols=7, frameon=False, columnspacing=1, handletextpad=0.3,
    )  # fmt: skip
    return figure


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns which methods lack the average, in words."""
    if frame.empty:
        return ["any method"]
    lacking = frame[frame.accuracy.isna()].groupby("backbone", sort=False)
    return [
        f"{style.backbone_name(backbone)} {', '.join(map(methods.named, rows.itertuples()))}"
        " on all datasets without a shift"
        for backbone, rows in lacking
    ]


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = budgets(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "budget")
