"""Figure 3: mean accuracy over 12 datasets per model, measured next to the paper's."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from analysis.common import cells, published, style
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from vpbench.spec.backbones import ROLES

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


METHODS = ("visual_prompt", "linear_probe", "fine_tune")
BAR = 0.27


def averages(records: list[Record]) -> pandas.DataFrame:
    """Returns the cells of the averages over the 12 datasets, one row per model and method."""
    frames = [
        cells.table(records, published.accuracies(number), modality, shift=False)
        for number, modality in ((1, "vision_language"), (4, "vision"))
    ]
    frame = pandas.concat(frames, ignore_index=True)
    return frame[(frame.task == "average") & frame.method.isin(METHODS)]


def draw_bars(axes: "Axes", frame: pandas.DataFrame, column: str, intervals: bool) -> "Axes":
    """Returns `axes` with three bars per model, each with its value above it."""
    for offset, method in enumerate(METHODS):
        rows = frame[frame.method == method].set_index("role").loc[list(ROLES)]
        for position, row in enumerate(rows.itertuples()):
            x, value = position + (offset - 1) * BAR, getattr(row, column)
            axes.bar(
                x,
                value,
                BAR * 0.94,
                color=style.COLOURS[method],
                hatch=style.HATCHES[method],
                edgecolor="black",
                linewidth=0.6,
                label=style.full_name(method) if position == 0 else None,
            )
            top = value
            if value != value:
                axes.text(x, 1, "not measured", rotation=90, ha="center", va="bottom", fontsize=7)
                continue
            if intervals:
                axes.errorbar(
                    x, value, style.whiskers(value, row.low, row.high), color="black", lw=0.8
                )
                top = row.high
            axes.text(x, top + 1, f"{value:.0f}", ha="center", va="bottom", fontsize=7.5)
    axes.set_xlim(-0.6, len(ROLES) - 0.4)
    axes.set_xticks(range(len(ROLES)), [style.role_name(role) for role in ROLES])
    return axes


def draw(frame: pandas.DataFrame, scale: Scale) -> "Figure":
    """Returns the figure: on the left what was measured, on the right what the paper reports."""
    import matplotlib.pyplot as plt

    style.set_theme()
    figure, (ours, theirs) = plt.subplots(
        1, 2, figsize=(style.WIDTH, 3.1), sharey=True, layout="constrained"
    )
    draw_bars(ours, frame, "measured", intervals=True)
    draw_bars(theirs, frame, "published", intervals=False)
    chance = frame.chance.iloc[0]
    if chance == chance:
        line = {"color": "black", "linestyle": ":", "linewidth": 1.2, "zorder": 3}
        ours.axhline(chance, label="Chance, as measured", **line)
    ours.set(title="Measured", ylabel="Mean accuracy over 12 datasets (%)", ylim=(0, 105))
    theirs.set(title="Paper")
    figure.suptitle(f"Prompting vision models and CLIP\n{scale.title}", fontsize=9.5)
    handles, names = ours.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    for axes in (ours, theirs):
        axes.spines[["top", "right"]].set_visible(False)
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = averages(records)
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records)), figures, "figure3")
