"""Figures 4 and 5: gain of a visual prompt over the text prompt, against properties of a dataset.

Rows are datasets, then statistics over the 12 without a distribution shift (task `all`).
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from analysis.common import (
    cells,
    convergence,
    correlation,
    effects,
    gaps,
    published,
    seed_variance,
    style,
)
from analysis.common.aliases import Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from vpbench.common.errors import RecordError
from vpbench.records.schema import difference

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.figure import Figure


INTERVAL = ("gain", "gain_low", "gain_high")
GAIN = ("task", "shift", *INTERVAL, "text_prompt", "published", *effects.MOVES)
STATISTIC = ("statistic", "value", "low", "high", "p_value", "count")
CLAIMS = {"frechet": "gain rises with the distance", "diversity": "gain falls with diversity"}
PLAIN = {"spearman": correlation.spearman, "pearson": correlation.pearson}  # coefficients
PARTIAL = {"partial": correlation.partial, "partial_spearman": correlation.partial_spearman}
MARKERS = {False: "o", True: "D"}  # by distribution shift
TREND = style.COLOURS["linear_probe"]
PANEL = np.array([200.0, 190.0])  # size of a panel in typographic points, roughly
NUMBER = np.array([9.0, 8.0])  # that of a dataset's number


def properties(records: list[Record], measurements: list[Record]) -> pandas.DataFrame:
    """Returns one row per dataset: gain (percentage points) and what was measured of its images.

    The gain is VP - TP with CLIP, seeds averaged first; its interval takes the two accuracies as
    independent. `published` is the paper's gain on the dataset itself. `up` and `down` are what
    more training may change of the gain. Datasets of which nothing is there have no row.
    """
    records = [record for record in records if cells.dataset_of(record)]
    groups, growths = cells.by_cell(convergence.arms(records)), convergence.grants(records)
    pools = seed_variance.pools(groups.values())
    theirs = published.accuracies(1, 2)
    measured = {cells.dataset_of(one): one["rows"][0] for one in measurements}
    rows = []
    for shift in (False, True):
        for task in cells.tasks_in([*records, *measurements], shift):
            keys = [("clip", method, task) for method in ("visual_prompt", "text_prompt")]
            prompted, plain = (cells.cell(groups.get(key, []), pools) for key in keys)
            gain = prompted["measured"] - plain["measured"]
            if math.isnan(gain) and task not in measured:
                continue
            low, high = cells.combined([prompted, plain], [1, -1])
            row = {"task": task, "shift": shift, "gain": gain, "gain_low": low, "gain_high": high}
            row["text_prompt"] = plain["measured"]
            printed = [theirs.get(key, math.nan) for key in keys]
            row["published"] = printed[0] - printed[1]
            if keys[0] in groups:
                arm = groups[keys[0]], " ".join(keys[0][:2]), prompted["measured"]
                row |= effects.columns(convergence.part(growths, *arm))
            rows.append(row | measured.get(task, {}))
    measured_columns = [column for one in measured.values() for column in one]
    return pandas.DataFrame(rows, columns=list(dict.fromkeys([*GAIN, *measured_columns])))


def columns_of(measurements: list[Record]) -> dict[str, str]:
    """Returns the columns of the two properties, {} without measurements; two kinds are refused."""
    if not measurements:
        return {}
    first = measurements[0]["spec"]["settings"]
    for one in measurements:
        differing = difference(first, one["spec"]["settings"])
        if differing:
            raise RecordError(
                f"two kinds of measurements: {differing[0]} is {differing[1]!r} and "
                f"{differing[2]!r}; give one"
            )
    extractor, diversity = first["extractor"], first["diversity"]
    return {
        "frechet": f"frechet_distance_{extractor}",
        "diversity": f"feature_diversity_{extractor}" if diversity == "features" else diversity,
    }


def without_shift(frame: pandas.DataFrame, columns: dict[str, str]) -> pandas.DataFrame:
    """Returns the datasets of the statistics: complete, and without a distribution shift."""
    return frame[~frame["shift"].astype(bool)].dropna(subset=["gain", *columns.values()])


def statistics(frame: pandas.DataFrame, columns: dict[str, str]) -> pandas.DataFrame:
    """Returns one row per statistic, with a bootstrap interval over datasets.

    A gain is at most 100 - TP. So there are also the correlations of gain and property given TP,
    of the numbers and of their ranks, and that of gain and TP. None of fewer than four datasets.
    """
    chosen = without_shift(frame, columns)
    if not columns or len(chosen) < correlation.FEWEST:
        return pandas.DataFrame(columns=["task", *STATISTIC, *effects.MOVES])
    parts = effects.effects_of(chosen, INTERVAL)
    gain, plain = (chosen[key].to_numpy(float) for key in ("gain", "text_prompt"))
    rows = [statistic("spearman_gain_text_prompt", correlation.spearman, parts, gain, plain)]
    for name, column in columns.items():
        x = chosen[column].to_numpy(float)
        for plain_name, coefficient in PLAIN.items():
            rows.append(statistic(f"{plain_name}_gain_{name}", coefficient, parts, gain, x))
        for partial_name, partial in PARTIAL.items():
            key = f"{partial_name}_gain_{name}_given_text_prompt"
            rows.append(statistic(key, partial, parts, gain, x, plain))
    return pandas.DataFrame(rows, columns=["task", *STATISTIC, *effects.MOVES])


def statistic(
    name: str,
    coefficient: Callable[..., float],
    parts: list[Row],
    gain: np.ndarray,
    x: np.ndarray,
    given: np.ndarray | None = None,
) -> Row:
    """Returns the row of one statistic over datasets; more training may change `parts` of it."""
    value, low, high = correlation.bootstrap(coefficient, gain, x, given=given)
    p_value = correlation.p_value(value, len(gain), given=int(given is not None))
    row = {"task": "all", "statistic": name, "value": value, "low": low, "high": high}
    # As text, because a table rounded to three decimals would call the smallest ones zero.
    shown = None if math.isnan(p_value) else f"{p_value:.2g}"
    others = [x] if given is None else [x, given]
    moves = convergence.corners(coefficient, parts, gain, *others)
    return row | {"p_value": shown, "count": len(gain)} | effects.columns(moves)


def gaps_of(frame: pandas.DataFrame, columns: dict[str, str], scale: Scale) -> list[str]:
    """Returns what was not run, in words."""
    if not columns:
        return ["the measurement dataset_properties"]
    tasks = [*cells.tasks_of(False), *cells.tasks_of(True)]
    tasks = list(frame.task) if scale.chosen_datasets else tasks
    missing = []
    for what, column in (("gain", "gain"), ("distance and diversity", columns["frechet"])):
        there = set(frame.dropna(subset=[column]).task)
        absent = [style.task_name(task, scale) for task in tasks if task not in there]
        if absent:
            where = "any dataset" if not there else ", ".join(absent)
            missing.append(f"{what} of {where}")
    return missing


def offsets(points: np.ndarray) -> np.ndarray:
    """Returns where to put the number of each of the points [n, 2], as seen from the point.

    Numbers are placed one after the other, where they cover least of points and other numbers.
    """
    angles = np.radians([35, 145, 325, 215, 0, 180, 90, 270])
    places = np.concatenate(
        [reach * np.stack([np.cos(angles), np.sin(angles)], 1) for reach in (9, 13, 18)]
    )
    taken, chosen = [(point, np.array([7.0, 7.0])) for point in points], []
    for point in points:
        covered = [
            sum(overlap(point + place, NUMBER, *other) for other in taken) for place in places
        ]
        chosen.append(places[int(np.argmin(covered))])
        taken.append((point + chosen[-1], NUMBER))
    return np.array(chosen).reshape(-1, 2)


def overlap(
    centre: np.ndarray, size: np.ndarray, other: np.ndarray, other_size: np.ndarray
) -> float:
    """Returns the area that two boxes share."""
    return float(np.prod(np.maximum((size + other_size) / 2 - np.abs(centre - other), 0)))


def draw_panel(
    axes: "Axes", frame: pandas.DataFrame, name: str, columns: dict[str, str]
) -> "PathCollection":
    """Returns the coloured points: gain against a property, numbered, with the trend of the 12."""
    x, y = frame[columns[name]], frame.gain
    across = (
        style.whiskers(x, frame.diversity_low, frame.diversity_high)
        if name == "diversity"
        else None
    )
    axes.errorbar(
        x, y, style.whiskers(y, frame.gain_low, frame.gain_high), across, fmt="none",
        ecolor="#b0b0b0", elinewidth=0.8, zorder=1,
    )  # fmt: skip
    for shift, rows in frame.groupby("shift"):
        points = axes.scatter(
            rows[columns[name]], rows.gain, c=rows.text_prompt, cmap="cividis", vmin=0, vmax=100,
            s=34, marker=MARKERS[bool(shift)], edgecolor="black", linewidth=0.6, zorder=3,
        )  # fmt: skip
    chosen = without_shift(frame, columns)
    along = chosen[columns[name]].astype(float)
    if len(chosen) >= correlation.FEWEST and along.nunique() > 1:
        fit, ends = np.polyfit(along, chosen.gain.astype(float), 1), along.agg(["min", "max"])
        axes.plot(ends, np.polyval(fit, ends), "--", color=TREND, lw=1.3, zorder=2)
    axes.axhline(0, color="black", linewidth=0.7, zorder=0)
    axes.margins(0.1, 0.08)
    return points


def number_points(axes: "Axes", frame: pandas.DataFrame, column: str) -> "Axes":
    """Returns `axes`, whose limits are final, with the number of each dataset at its point."""
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    points = frame[[column, "gain"]].to_numpy(float)
    places = offsets((points - low) / (high - low) * PANEL)
    for number, (point, offset) in enumerate(zip(points, places), start=1):
        axes.annotate(
            number, point, offset, textcoords="offset points", ha="center", va="center",
            fontsize=7.5, zorder=4, bbox={"boxstyle": "square,pad=0", "fc": "white", "ec": "none"},
        )  # fmt: skip
    return axes


def caption(summary: pandas.DataFrame, name: str, count: int) -> str:
    """Returns the lines above a panel: what the paper says, and what is found here."""
    by_name, line = summary.set_index("statistic"), f"Paper: {CLAIMS[name]}"
    if by_name.empty:
        return f"{line}\nHere: {count} datasets, too few for a correlation"
    plain = by_name.loc[f"spearman_gain_{name}"]
    given = by_name.loc[f"partial_spearman_gain_{name}_given_text_prompt"]
    return f"{line}\nHere: Spearman {with_interval(plain)}\nranks given TP {with_interval(given)}"


def with_interval(row: Any) -> str:
    """Returns a coefficient, its interval and p value as text."""
    if math.isnan(row.value):  # one of the columns is constant, or explains another
        return "undefined"
    numbers = [f"{row[key]:.2f}".replace("-", "\N{MINUS SIGN}") for key in ("value", "low", "high")]
    return "{} [{}, {}], p = ".format(*numbers) + row.p_value


def axis_names(frame: pandas.DataFrame, columns: dict[str, str]) -> dict[str, str]:
    """Returns the name of each property as measured, with its sample sizes."""
    extractor, facts = columns["frechet"].removeprefix("frechet_distance_"), frame.iloc[0]
    between = columns["diversity"].replace("lpips_", "LPIPS, ")
    if between.startswith("feature_diversity"):
        between = f"feature distance, {extractor}"
    return {
        "frechet": f"Distance from the {facts.reference}\n(Fr\xe9chet distance, {extractor})\n"
        f"{facts.images:.0f} images to {facts.reference_images:.0f} "
        f"(its own pictures: {facts[f'frechet_bias_{extractor}']:.1f})",
        "diversity": f"Diversity\n({between})\nmean of {facts.pairs:.0f} pairs of images",
    }


def draw(
    frame: pandas.DataFrame,
    summary: pandas.DataFrame,
    columns: dict[str, str],
    scale: Scale,
    missing: list[str],
) -> "Figure":
    """Returns the figure: a panel per property; one that says so where nothing is to be drawn."""
    import matplotlib.pyplot as plt

    style.set_theme()
    question = "On" if scale.chosen_datasets else "CLIP: on"
    title = f"{question} which datasets does a visual prompt help?\n{scale.title}"
    frame = frame.dropna(subset=["gain", *columns.values()])
    if not columns or frame.empty:
        figure, axes = plt.subplots(figsize=(style.WIDTH, 2.2), layout="constrained")
        gaps.explain(axes, gaps.note(missing))
        figure.suptitle(title, fontsize=9.5)
        return figure
    figure, panels = plt.subplots(
        1, 2, figsize=(style.WIDTH, 4.7), sharey=True, layout="constrained"
    )
    names, count = axis_names(frame, columns), len(without_shift(frame, columns))
    for axes, name in zip(panels, columns):
        points = draw_panel(axes, frame, name, columns)
        axes.set_xlabel(names[name], fontsize=8)
        axes.set_title(caption(summary, name, count), fontsize=8)
        axes.spines[["top", "right"]].set_visible(False)
    for axes, name in zip(panels, columns):
        number_points(axes, frame, columns[name])
    panels[0].set_ylabel("Gain in accuracy, VP \N{MINUS SIGN} TP (points)")
    bar = figure.colorbar(points, ax=panels, pad=0.01, aspect=30)
    bar.set_label("Accuracy of TP, text prompt only (%)")
    handles = keys(frame, scale)
    figure.legend(
        handles=handles, loc="outside lower center", ncols=math.ceil(len(handles) / 3), fontsize=7,
        frameon=False, handlelength=1.6, columnspacing=1, handletextpad=0.4,
        title=gaps.note(missing), title_fontsize=7,
    )  # fmt: skip
    figure.suptitle(title, fontsize=9.5)
    return figure


def keys(frame: pandas.DataFrame, scale: Scale) -> "list[Artist]":
    """Returns the entries of the legend: the datasets by number, then the three kinds of marks."""
    from matplotlib.lines import Line2D

    empty = {"linestyle": "none", "marker": "none"}
    handles = [
        Line2D([], [], label=f"{number}  {style.task_name(task, scale)}", **empty)
        for number, task in enumerate(frame.task, start=1)
    ]
    plain = {"linestyle": "none", "mfc": "#d9d9d9", "mec": "black", "markersize": 5}
    return handles + [
        Line2D([], [], marker=MARKERS[False], label="Dataset", **plain),
        Line2D([], [], marker=MARKERS[True], label="Shift, not in the trend", **plain),
        Line2D([], [], linestyle="--", color=TREND, label="Trend"),
    ]


def write(records: list[Record], measurements: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    columns, scale = columns_of(measurements), scale_of([*records, *measurements])
    frame = properties(records, measurements)
    summary = statistics(frame, columns)
    missing = gaps.warn(gaps_of(frame, columns, scale))
    tidy = pandas.concat([part.astype(object) for part in (frame, summary)]).convert_dtypes()
    write_csv(tidy.reindex(columns=[*frame.columns, *STATISTIC]), out)
    style.save(draw(frame, summary, columns, scale, missing), figures, "dataset_properties")
