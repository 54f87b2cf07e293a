"""Figure 4: accuracy gained by a visual prompt over the text prompt, measured and the paper's."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from analysis.common import cells, published, style
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.figure import Figure


BAR = 0.38
SIDES = {  # column -> name, offset, colour and hatch of its bars
    "measured": ("Measured", -BAR / 2, style.COLOURS["visual_prompt"], ""),
    "published": ("Paper", BAR / 2, style.COLOURS["fine_tune"], "///"),
}


def gains(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per dataset: the gain VP - TP in percentage points, largest first.

    Seeds are averaged first. The interval takes the two accuracies as independent, so it is
    somewhat too wide for two methods measured on the same images.
    """
    frame = cells.table(records, published.accuracies(1), "vision_language", shift=False)
    frame = frame[frame.task != "average"]
    prompted, plain = (
        frame[frame.method == method].set_index("task")
        for method in ("visual_prompt", "text_prompt")
    )
    rows = prompted.reset_index().assign(
        method="visual_prompt-text_prompt", spread=float("nan"), shaded=False
    )
    for column in ("measured", "published"):
        rows[column] = (prompted[column] - plain[column]).to_numpy()
    limits = [
        cells.combined([prompted.loc[task], plain.loc[task]], [1, -1]) for task in prompted.index
    ]
    rows["low"], rows["high"] = zip(*limits)
    complete = rows.measured.notna()
    rows["seeds"] = rows.seeds.where(complete, 0)
    rows.loc[~complete, "rule"] = None
    rows.loc[~complete, ["epoch", "selection_gap"]] = float("nan")
    rows = rows.sort_values(["measured", "published"], ascending=False, na_position="last")
    return pandas.DataFrame(rows, columns=list(cells.COLUMNS))


def draw(frame: pandas.DataFrame, scale: Scale) -> "Figure":
    """Returns the figure: two bars per dataset, each with its gain beside it."""
    import matplotlib.pyplot as plt

    style.set_theme()
    figure, axes = plt.subplots(figsize=(0.8 * style.WIDTH, 5.6), layout="constrained")
    for column, (name, offset, colour, hatch) in SIDES.items():
        for position, row in enumerate(frame.itertuples()):
            y, gain = position + offset, getattr(row, column)
            axes.barh(
                y, gain, BAR * 0.95, color=colour, hatch=hatch, edgecolor="black", linewidth=0.6,
                label=name if position == 0 else None,
            )  # fmt: skip
            if gain != gain:
                axes.text(1, y, "not measured", va="center", fontsize=7)
                continue
            end = gain
            if column == "measured":
                axes.errorbar(
                    gain, y, xerr=style.whiskers(gain, row.low, row.high), color="black", lw=0.8
                )
                end = row.high if gain >= 0 else row.low
            side = 1 if gain >= 0 else -1
            axes.text(
                (max(end, 0) if side > 0 else min(end, 0)) + 1.2 * side, y, style.signed(gain),
                va="center", ha="left" if side > 0 else "right", fontsize=7.5,
            )  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_yticks(range(len(frame)), [style.task_name(task, scale) for task in frame.task])
    axes.invert_yaxis()
    axes.margins(x=0.12, y=0.02)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Gain in accuracy from a visual prompt over text prompt only (points)")
    figure.suptitle(f"CLIP: visual prompt against text prompt\n{scale.title}", fontsize=9.5)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = gains(records)
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records)), figures, "figure4")
