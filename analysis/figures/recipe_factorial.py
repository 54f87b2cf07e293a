"""Recipe factorial: which of the silent choices of two recipes, the official one and EVP's, counts.

The effects are those of `analysis.common.factorial`.
"""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from analysis.common import cells, factorial, gaps, style
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.factorial import FACTORS, Factorial, change
from analysis.common.scales import Scale, scale_of

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = factorial.COLUMNS
SHOWN = 4  # interactions in the figure
LOOKS = (("#0173b2", "o", "-"), ("#de8f05", "s", "--"))  # of two levels, the official one first
MARKERS = "sD^vPX*<>"  # of datasets


def gaps_of(design: Factorial | None) -> list[str]:
    """Returns what was not run, in words."""
    if design is None:
        return ["any of the recipes"]
    return [
        f"{FACTORS[factor][0].lower()} other than {said(levels[0])}"
        for factor, levels in design.levels.items()
        if factor not in design.varied
    ]


def said(level: Any) -> str:
    """Returns a level in words."""
    return str(level).replace("_", " ")


def shown(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Returns the rows of the figure: main effects and then interactions, the largest first."""
    means = frame[frame.task == "average"]
    means = means.assign(size=means.measured.abs()).sort_values(
        "size", ascending=False, kind="stable"
    )
    largest = means[means.kind == "interaction"][:SHOWN]
    return pandas.concat([means[means.kind == "main effect"], largest])


def row_name(row: Any, design: Factorial) -> str:
    """Returns what stands beside a row of the figure."""
    name = FACTORS[row.factor][0]
    if row.kind == "interaction":
        return f"{name}\n\N{MULTIPLICATION SIGN} {FACTORS[row.other][0].lower()}"
    arrow = " \N{RIGHTWARDS ARROW} "
    return f"{name}:\n{said(change(design, row.factor, arrow))}"


def draw_effects(axes: "Axes", frame: pandas.DataFrame, design: Factorial, scale: Scale) -> "Axes":
    """Returns `axes` with a row per effect: mean with its interval, each dataset, its share."""
    rows = shown(frame)
    y = np.arange(len(rows)) + 0.6 * (rows.kind == "interaction").to_numpy()
    for number, task in enumerate(design.runs):
        by_levels = frame[frame.task == task].set_index("levels").measured
        axes.plot(
            by_levels[rows.levels], y + 0.24, MARKERS[number % len(MARKERS)], ms=3.5,
            mfc="none", mec="0.45", mew=0.8, ls="none", label=style.task_name(task, scale),
        )  # fmt: skip
    axes.errorbar(
        rows.measured, y, xerr=style.whiskers(rows.measured, rows.low, rows.high), fmt="o",
        color="#0173b2", markersize=5, elinewidth=1.1, capsize=2, label="Mean over the datasets",
    )  # fmt: skip
    for place, share in zip(y, rows.share):
        if share == share:
            axes.annotate(
                f"{share:.0f} %", (1.02, place), xycoords=("axes fraction", "data"), va="center",
                fontsize=7.5, annotation_clip=False,
            )  # fmt: skip
    axes.annotate(
        "Share", (1.02, y[0] - 0.8), xycoords=("axes fraction", "data"), va="center", fontsize=7.5,
        annotation_clip=False,
    )  # fmt: skip
    axes.axvline(0, color="black", lw=0.8)
    axes.set_yticks(y, [row_name(row, design) for row in rows.itertuples()], fontsize=7.5)
    axes.set_ylim(y[-1] + 0.6, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Effect on test accuracy (points)")
    axes.grid(axis="x", linewidth=0.4, color="#cccccc")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=2, frameon=False, fontsize=7.5,
        columnspacing=1, handletextpad=0.3,
    )  # fmt: skip
    return axes


def draw_interaction(axes: "Axes", frame: pandas.DataFrame, design: Factorial) -> "Axes":
    """Returns `axes` with the strongest interaction: mean accuracies at the levels of its two."""
    rows = shown(frame)
    names = rows[rows.kind == "interaction"][["factor", "other"]].iloc[0]
    first, second = (design.varied.index(name) for name in names)
    table = np.moveaxis(design.values.mean(axis=-1), (first, second), (0, 1)).reshape(2, 2, -1)
    for number, (colour, marker, line) in enumerate(LOOKS):
        means, limits = table[:, number].mean(axis=-1), np.full((2, 2), math.nan)
        if table.shape[-1] > 1:
            limits = np.array([cells.t_limits(values) for values in table[:, number]])
        label = f"{FACTORS[names.other][0]}: {said(design.levels[names.other][number])}"
        axes.errorbar(
            np.arange(2) + 0.06 * (number - 0.5), means,
            style.whiskers(means, *limits.T), color=colour, marker=marker,
            linestyle=line, markersize=5, lw=1.3, elinewidth=0.9, capsize=2, label=label,
        )  # fmt: skip
    levels = [said(level).replace(" ", "\n") for level in design.levels[names.factor]]
    axes.set_xticks([0, 1], levels)
    axes.set_xlim(-0.4, 1.4)
    axes.set_xlabel(FACTORS[names.factor][0])
    axes.set_ylabel("Mean test accuracy (%)")
    axes.set_title("The strongest interaction")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(
        loc="upper center", bbox_to_anchor=(0.5, -0.17), frameon=False, fontsize=7.5,
        handletextpad=0.5,
    )  # fmt: skip
    return axes


def recipes_said(frame: pandas.DataFrame) -> str:
    """Returns the accuracies of the cells that are, or are near, the two recipes, in words."""
    means = frame[(frame.task == "average") & frame.recipe.notna()]
    return ", ".join(f"{row.recipe} {row.measured:.1f} %" for row in means.itertuples())


def draw(
    frame: pandas.DataFrame, design: Factorial | None, scale: Scale, missing: list[str]
) -> "Figure":
    """Returns the figure: the effects on the left, the strongest interaction on the right."""
    import matplotlib.pyplot as plt

    style.set_theme()
    count = len(shown(frame))
    figure = plt.figure(figsize=(style.WIDTH, max(3.6, 1.9 + 0.34 * count)), layout="constrained")
    figure.suptitle(f"Choices of the recipe of a visual prompt\n{scale.title}", fontsize=9.5)
    if design is None or not count:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    left, right = figure.subplots(1, 2, width_ratios=[1.5, 1])
    draw_effects(left, frame, design, scale)
    left.set_title(f"Accuracy: {recipes_said(frame)}", fontsize=8)
    if len(design.varied) > 1:
        draw_interaction(right, frame, design)
    else:
        gaps.explain(right, "One factor alone has no interaction.")
    figure.supxlabel(gaps.note(missing), fontsize=7)
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    design = factorial.factorial(records)
    frame, missing = factorial.effects(design), gaps.warn(gaps_of(design))
    write_csv(frame, out)
    figure = draw(frame, design, scale_of(records), missing)
    style.save(figure, figures, "recipe_factorial")
