"""Every method on every dataset: accuracy, costs, gain over a visual prompt, and mean ranks."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas

from analysis.common import gaps, method_accuracies, ranking, style
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.method_accuracies import AVERAGES, ENTRANT, EVERY, THOSE
from analysis.common.scales import Scale, scale_of

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = method_accuracies.COLUMNS
FEW = 4  # datasets that are named one by one where they lack


def named(row: Any) -> str:
    """Returns what a row's method is called."""
    return style.variant_name(row.method, row.variant)


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words: the methods that lack the same datasets, together."""
    if frame.empty:
        return ["any method"]
    missing = []
    for backbone, rows in frame[~frame.task.isin(AVERAGES)].groupby("backbone", sort=False):
        most = rows.task.nunique()
        lacking: dict[str, list[str]] = {}
        for _, rows_of_one in rows.groupby(list(ENTRANT), sort=False):
            empty = list(rows_of_one.task[rows_of_one.measured.isna()])
            where = ", ".join(empty) if len(empty) <= FEW else f"{len(empty)} of {most} datasets"
            where = "any dataset" if len(empty) == most else where
            if empty:
                lacking.setdefault(where, []).append(named(rows_of_one.iloc[0]))
        whose = style.backbone_name(backbone)
        missing += [f"{whose} {', '.join(names)} on {where}" for where, names in lacking.items()]
    return missing


def kind_of(row: Any) -> str:
    """Returns what the method of a row learns: a key of style.KINDS."""
    if row.trained_parameters == 0:  # a variant may leave out what its method learns
        return "nothing"
    return style.described(row.method).learns


def with_a_row(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Returns the averages of a row each, the best first: those over all datasets without a shift,
    then those of methods that were run on some datasets only."""
    return pandas.concat(
        [
            frame[(frame.task == name) & frame.measured.notna()].sort_values(
                "measured", ascending=False, kind="stable"
            )
            for name in ("average", THOSE)
        ]
    )


def labelled(row: Any, datasets: pandas.DataFrame) -> str:
    """Returns the label of a row; of a method that lacks datasets with how many of them it has."""
    if row.task != THOSE:
        return named(row)
    own = datasets[(datasets.method == row.method) & (datasets.variant == row.variant)]
    return f"{named(row)}, {own.measured.notna().sum()} of {len(own)} datasets"


def draw_averages(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with a row per method, the best on top: its averages, published hollow."""
    plain, datasets = with_a_row(frame), frame[~frame.task.isin(AVERAGES)]
    places = {(row.method, row.variant): y for y, row in enumerate(plain.itertuples())}
    for name, marker, fill, aside in (("average", "o", "full", -0.14),
                                      ("shift_average", "^", "none", 0.14),
                                      (THOSE, "s", "none", -0.14)):  # fmt: skip
        for row in frame[(frame.task == name) & frame.measured.notna()].itertuples():
            if (row.method, row.variant) in places:
                axes.errorbar(
                    row.measured, places[row.method, row.variant] + aside,
                    xerr=style.whiskers(row.measured, row.low, row.high), fmt=marker,
                    color=style.KINDS[kind_of(row)], fillstyle=fill, markersize=4, elinewidth=0.9,
                )  # fmt: skip
    for y, row in enumerate(plain.itertuples()):
        if row.published_shots == "all":
            axes.plot(row.published, y, "D", ms=4, mfc="none", mec="#949494", mew=0.8, zorder=1)
        if row.task == THOSE:  # the visual prompt there; nothing without one
            axes.plot(row.measured - row.gain, y, "|", ms=7, color="#949494", zorder=1)
    axes.set_yticks(range(len(plain)), [labelled(row, datasets) for row in plain.itertuples()])
    axes.set_ylim(len(plain) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.grid(linewidth=0.4, color="#cccccc")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return axes


def draw_ranks(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with the critical-difference diagram: a scale of ranks, the best on top.

    Bars beside the scale join methods that the test does not tell apart; lines lead to the names.
    """
    axes.set_axis_off()
    rows = frame[(frame.task == EVERY) & frame.mean_rank.notna()]
    if rows.empty:
        return gaps.explain(axes, "No ranks: they need two methods with all datasets")
    rows = rows.sort_values("mean_rank", kind="stable")
    count, difference = len(rows), rows.critical_difference.iloc[0]
    axes.set_xlim(-0.22, 1)
    axes.set_ylim(count + 0.5, 0.2)
    axes.plot([0, 0], [1, count], color="black", lw=1)
    for tick in range(1, count + 1):
        axes.plot([-0.015, 0], [tick, tick], color="black", lw=0.8)
        axes.text(-0.03, tick, tick, ha="right", va="center", fontsize=7)
    groups = ranking.alike(rows.mean_rank, difference)
    for number, (best, worst) in enumerate(groups):
        x = 0.03 + 0.24 * number / max(6, len(groups))
        axes.plot([x, x], [best - 0.06, worst + 0.06], color="black", lw=2.2, zorder=3)
    for place, row in enumerate(rows.itertuples(), start=1):
        colour = style.KINDS[kind_of(row)]
        axes.plot([0, 0.28, 0.36], [row.mean_rank, row.mean_rank, place], color=colour, lw=0.7)
        axes.text(
            0.37, place, f"{named(row)}  {row.mean_rank:.1f}", va="center", fontsize=7,
            parse_math=False,
        )  # fmt: skip
    end = min(1 + difference, count)
    axes.plot([-0.14, -0.14], [1, end], color="black", lw=1.6)
    axes.text(
        -0.16, (1 + end) / 2, f"CD {difference:.1f}", rotation=90, ha="right", va="center",
        fontsize=7,
    )  # fmt: skip
    return axes


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: a row per backbone, accuracies on the left and ranks on the right."""
    import matplotlib.pyplot as plt

    style.set_theme()
    there = with_a_row(frame)
    counts = there.groupby("backbone", sort=False).size()
    heights = [0.6 + 0.19 * count for count in counts]
    height = max(3, 1.3 + 0.12 * len(missing) + sum(heights))
    figure = plt.figure(figsize=(style.WIDTH, height), layout="constrained")
    title = "All methods: accuracy, and ranks with Nemenyi's critical difference"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if there.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(
        len(counts), 2, squeeze=False, height_ratios=heights, width_ratios=[1.15, 1]
    )
    for (left, right), backbone in zip(panels, counts.index):
        shown = frame[frame.backbone == backbone]
        name = style.backbone_name(backbone)
        draw_averages(left, shown)
        left.set_title(f"{name}: averages over datasets")
        draw_ranks(right, shown)
        every = shown[shown.task == EVERY]
        p_values = every.friedman_p.dropna()
        said = f"\n(Friedman's p = {p_values.iloc[0]})" if len(p_values) else ""
        right.set_title(f"{name}: mean rank over all datasets{said}")
    left.set_xlabel("Test accuracy (%)")
    handles, names = legend(there)
    figure.legend(
        handles, names, title=gaps.note(missing), title_fontsize=7,
        loc="outside lower center", ncols=4, frameon=False, columnspacing=1.2,
    )  # fmt: skip
    return figure


def legend(frame: pandas.DataFrame) -> "tuple[list[Artist], list[str]]":
    """Returns (handles, names) of the kinds of methods in `frame`, and of the markers."""
    from matplotlib.lines import Line2D

    learned = set(map(kind_of, frame.itertuples()))
    colours = {kind: colour for kind, colour in style.KINDS.items() if kind in learned}
    handles = {f"Learns: {kind}": Line2D([], [], color=colours[kind], lw=3) for kind in colours}
    look = {"linestyle": "none", "markersize": 4}
    handles["Datasets without a shift"] = Line2D([], [], marker="o", color="black", **look)
    handles["Shifts"] = Line2D([], [], marker="^", color="black", mfc="none", **look)
    if (frame.task == THOSE).any():
        square = Line2D([], [], marker="s", color="black", mfc="none", **look)
        handles["The datasets it has"] = square
        handles["Visual prompt on the same"] = Line2D([], [], marker="|", color="#949494", **look)
    handles["Published, all training images"] = Line2D(
        [], [], marker="D", mfc="none", mec="#949494", **look
    )
    return list(handles.values()), list(handles)


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = method_accuracies.accuracies(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "methods")
