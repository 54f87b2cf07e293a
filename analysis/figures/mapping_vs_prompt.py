"""Mapping or prompt: how much of a visual prompt for a vision model is its label map alone."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas

from analysis.common import cells, gaps, paired, seed_variance, style, variants
from analysis.common.aliases import Cell, Groups, Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from analysis.common.seed_variance import Pools
from vpbench.spec.backbones import BACKBONES

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


PROMPTS = {  # prompt -> name, colour, marker
    "none": ("No prompt", "#000000", "D"),
    "padding": ("VP (padding)", "#0173b2", "o"),
    "evp": ("EVP", "#de8f05", "s"),
    "adversarial_reprogramming": ("AR", "#cc78bc", "^"),
}
LABEL_MAPS = {  # label map -> name
    "hard_coded": "Hard-\ncoded",
    "random": "Random\n(RLM)",
    "semantic": "Semantic",
    "frequency": "Frequency\n(FLM)",
    "iterative": "Iterative\n(ILM)",
    "bayesian": "Bayesian\n(BLM)",
    "bayesian_plus": "Bayesian\n(BLM+)",
    "linear": "Linear on\nlogits",  # a control: the linear probe of the source logits
}
BARE = ("none", "hard_coded")  # the cell that gains are counted from
FEATURES = ("none", "linear_probe")  # the other control
WANTED = (*((prompt, name) for name in LABEL_MAPS for prompt in PROMPTS), FEATURES)
PROBE = "#029e73"
DODGE = 0.17  # how far the points of two prompts are apart
MOST_SHARE = 200  # percent: larger ones are written, not drawn
SHARE = ("map_share", "map_share_low", "map_share_high")
COLUMNS = (
    *("backbone", "task", "prompt", "label_map", "measured", "spread", "low", "high", "seeds"),
    *(
        "seed_variance",
        "trained_parameters",
        "chance",
        "gain",
        "gain_low",
        "gain_high",
        "map_alone",
    ),
    *("prompt_alone", "interaction", "interaction_low", "interaction_high", *SHARE),
)
COUNTS = ("seeds", "trained_parameters")


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per backbone, dataset, label map and prompt, and of averages over datasets.

    `measured` is the accuracy in percent; the last row of a dataset is the linear probe on
    features. `gain` is what a cell has more than a hard-coded map without a prompt, in percentage
    points. It is the sum of `map_alone`, the gain of this map without a prompt, of `prompt_alone`,
    that of this prompt with the hard-coded map, and of their `interaction`. `map_share` is the
    percentage of the gain that the map has alone, empty unless the gain's interval is above zero.
    These intervals are paired bootstraps over the test images. What was not run is empty.
    """
    names = {record["spec"]["backbone"] for record in records}
    rows = [
        row
        for backbone in sorted(names, key=lambda name: style.place(name, BACKBONES))
        for row in rows_of([one for one in records if one["spec"]["backbone"] == backbone])
    ]
    frame = pandas.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COUNTS, "Int64"))


def rows_of(records: list[Record]) -> list[Row]:
    """Returns the rows of one backbone."""
    backbone, groups = records[0]["spec"]["backbone"], grouped(records)
    pools = seed_variance.pools(groups.values())
    right = {cell: correct(group, groups.get((*BARE, cell[2]))) for cell, group in groups.items()}
    tasks, rows = list(dict.fromkeys(task for *_, task in groups)), []
    for task in [*tasks, "average"] if tasks else []:
        about = tasks if task == "average" else [task]
        for prompt, label_map in WANTED:
            runs = [groups.get((prompt, label_map, one), []) for one in about]
            datasets = [values_of(group, pools) for group in runs]
            values = cells.average(datasets) if task == "average" else datasets[0]
            row = {"backbone": backbone, "task": task, "prompt": prompt, "label_map": label_map}
            row |= {key: value for key, value in values.items() if key in COLUMNS}
            row["chance"] = float(np.mean([one.get("chance", math.nan) for one in datasets]))
            rows.append(row | gains(right, (prompt, label_map), about))
    return rows


def grouped(records: list[Record]) -> Groups:
    """Returns (prompt, label map, dataset) -> its runs, one per seed.

    Datasets with nothing but a prompt and a hard-coded map, or a linear probe, are left out.
    Without a prompt an iterative map counts the same again and again: it is that of frequency.
    """
    kept = [one for one in records if cells.dataset_of(one) and cell_of(one)[:2] in WANTED]
    groups = cells.by_cell(kept, cell_of)
    usual = [(prompt, BARE[1]) for prompt in PROMPTS if prompt != BARE[0]] + [FEATURES]
    tasks = {cell[2] for cell in groups if cell[:2] not in usual}
    groups = {cell: group for cell, group in groups.items() if cell[2] in tasks}
    for task in tasks:
        if ("none", "frequency", task) in groups:
            groups.setdefault(("none", "iterative", task), groups["none", "frequency", task])
    return groups


def cell_of(record: Record) -> Cell:
    """Returns the (prompt, label map, dataset) of a record, of which any may be another thing."""
    method, dataset = record["spec"]["method"], cells.dataset_of(record)
    if method == "linear_probe":
        return *FEATURES, dataset
    prompt = variants.setting(record, "template") if method == "visual_prompt" else method
    by_hand = variants.setting(record, "source_classes")
    return prompt, None if by_hand else variants.setting(record, "label_map"), dataset


def values_of(records: list[Record], pools: Pools) -> Row:
    """Returns the measured part of a row from the records of its seeds."""
    values = cells.cell(records, pools)
    if not records:
        return values
    facts = {"trained_parameters": records[0]["trained_parameters"]}
    return values | facts | {"chance": records[0]["task"]["chance"]}


def correct(records: list[Record], bare: list[Record] | None) -> np.ndarray | None:
    """Returns for each test image the share of `records` that are right on it.

    None without `bare`, the runs that gains are counted from; the test images must be the same.
    """
    if not bare:
        return None
    return np.mean([paired.matched(record, bare[0])[0] for record in records], axis=0)


def gains(right: dict[Cell, np.ndarray | None], cell: tuple[str, str], tasks: list[str]) -> Row:
    """Returns the gain of a (prompt, label map) over `tasks` and its parts, as columns of a row.

    Empty where a run is lacking. `right` maps (prompt, label map, dataset) to `correct`.
    """
    prompt, label_map = cell
    pair = drawn(right, [BARE, cell], tasks) if cell != BARE else None
    if pair is None:
        return {}
    row = effect("gain", *(columns[..., 1] - columns[..., 0] for columns in pair))
    if prompt == BARE[0] or label_map == BARE[1]:
        return row
    pair = drawn(right, [BARE, (BARE[0], label_map), (prompt, BARE[1]), cell], tasks)
    if pair is None:
        return row
    parts, samples = ([columns[..., n] - columns[..., 0] for n in (1, 2, 3)] for columns in pair)
    row |= {"map_alone": float(parts[0]), "prompt_alone": float(parts[1])}
    row |= effect(
        "interaction", *(gain - mapped - prompted for mapped, prompted, gain in (parts, samples))
    )
    if row["gain_low"] > 0:
        mapped, _, gain = samples
        above = gain > 0  # nearly all
        row |= effect("map_share", 100 * parts[0] / parts[2], 100 * mapped[above] / gain[above])
    return row


def drawn(
    right: dict[Cell, np.ndarray | None], names: Sequence[tuple[str, str]], tasks: list[str]
) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the accuracies (%) of the cells `names`, and samples of them: `paired.bootstrap`.

    None if a run is lacking.
    """
    tables = []
    for task in tasks:
        columns = [right.get((*name, task)) for name in names]
        there = [column for column in columns if column is not None]
        if len(there) < len(columns):
            return None
        tables.append(np.stack(there, axis=1))
    means, samples = paired.bootstrap(tables)
    return 100 * means, 100 * samples


def effect(name: str, value: float, samples: np.ndarray) -> Row:
    """Returns a number with its 95 % percentile interval, as columns of a row."""
    low, high = np.percentile(samples, [2.5, 97.5])
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words."""
    if frame.empty:
        return ["any label map with and without a prompt"]
    missing: dict[str, list[str]] = {}
    several = frame.backbone.nunique() > 1
    for backbone, rows_of_backbone in frame[frame.task != "average"].groupby(
        "backbone", sort=False
    ):
        for (prompt, label_map), rows in rows_of_backbone.groupby(
            ["prompt", "label_map"], sort=False
        ):
            lacking = rows[rows.seeds == 0]
            if len(lacking):
                where = "" if len(lacking) == len(rows) else f" on {', '.join(lacking.task)}"
                where += f" of {backbone}" if several else ""
                missing.setdefault(where, []).append(named(prompt, label_map))
    return [f"{', '.join(names)}{where}" for where, names in missing.items()]


def named(prompt: str, label_map: str) -> str:
    """Returns what a cell is called in a sentence."""
    if (prompt, label_map) == FEATURES:
        return "linear probe"
    return f"{PROMPTS[prompt][0]} x {label_map.replace('_', ' ')}"


def draw_accuracies(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with a point per label map and prompt; lines for linear probe and chance."""
    for number, (prompt, (name, colour, marker)) in enumerate(PROMPTS.items()):
        rows = frame[(frame.prompt == prompt) & frame.label_map.isin(LABEL_MAPS)]
        draw_points(axes, rows, ("measured", "low", "high"), number, colour, marker, name)
    for probe in frame[(frame.label_map == FEATURES[1]) & frame.measured.notna()].itertuples():
        look = {"color": PROBE, "lw": 1.4, "ls": "--", "label": "Linear probe on features"}
        axes.axhline(probe.measured, **look)
        axes.axhspan(probe.low, probe.high, color=PROBE, alpha=0.15, lw=0)
    if frame.chance.notna().any():
        axes.axhline(frame.chance.dropna().iloc[0], color="black", ls=":", lw=1, label="Chance")
    axes.set_ylim(0, 103)
    axes.set_ylabel("Mean test accuracy (%)")
    return axes


def draw_shares(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with the share of the gain that each map has without a prompt.

    A share above `MOST_SHARE`, where the prompt leaves little of the gain, is written.
    """
    for number, (prompt, (_, colour, marker)) in enumerate(PROMPTS.items()):
        rows = frame[frame.prompt == prompt]
        within = rows[rows[SHARE[0]] <= MOST_SHARE]
        draw_points(axes, within, SHARE, number, colour, marker, None)
        for row in rows[rows[SHARE[0]] > MOST_SHARE].itertuples():
            axes.text(
                place(row.label_map, number), MOST_SHARE, f"{row.map_share:.0f}", color=colour,
                rotation=90, fontsize=6, ha="center", va="top",
            )  # fmt: skip
    for share in (0, 100):
        axes.axhline(share, color="black", lw=0.8, ls=":")
    axes.set_ylim(-30, MOST_SHARE + 5)
    axes.set_ylabel("Share of the gain\nthat the map\nhas alone (%)")
    return axes


def draw_points(
    axes: "Axes",
    rows: pandas.DataFrame,
    columns: Sequence[str],
    number: int,
    colour: str,
    marker: str,
    name: str | None,
) -> "Axes":
    """Returns `axes` with the numbers in `columns`, each with its interval, at their label map."""
    rows = rows[rows[columns[0]].notna()]
    values, low, high = (rows[column].to_numpy(float) for column in columns)
    x = [place(label_map, number) for label_map in rows.label_map]
    axes.errorbar(
        x, values, style.whiskers(values, low, high), fmt=marker, color=colour, markersize=4,
        elinewidth=1, capsize=1.5, label=name,
    )  # fmt: skip
    return axes


def place(label_map: str, number: int) -> float:
    """Returns where the point of a label map and of the prompt with this number stands."""
    return list(LABEL_MAPS).index(label_map) + DODGE * (number - (len(PROMPTS) - 1) / 2)


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: for each backbone the accuracies by label map, below the map's share."""
    import matplotlib.pyplot as plt

    style.set_theme()
    means = frame[frame.task == "average"]
    backbones = list(means.backbone.unique()) or [None]
    size = (style.WIDTH, 1 + 4.2 * len(backbones))
    figure = plt.figure(figsize=size, layout="constrained")
    count = frame[frame.task != "average"].task.nunique()
    mean = f", mean over {count} datasets" if count else ""
    title = f"Vision models: label map and prompt{mean}"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if means.measured.isna().all():
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(
        2 * len(backbones), 1, sharex=True, height_ratios=[2.2, 1] * len(backbones)
    )
    for backbone, above, below in zip(backbones, panels[::2], panels[1::2]):
        draw_accuracies(above, means[means.backbone == backbone])
        draw_shares(below, means[means.backbone == backbone])
        above.set_title(style.backbone_name(backbone))
    for axes in panels:
        axes.axvline(len(LABEL_MAPS) - 1.5, color="0.8", lw=0.8)  # after it the control
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="x", length=0)
    panels[-1].set_xticks(range(len(LABEL_MAPS)), LABEL_MAPS.values())
    panels[-1].set_xlim(-0.5, len(LABEL_MAPS) - 0.5)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(
        handles, names, title=gaps.note(missing), title_fontsize=7,
        loc="outside lower center", ncols=6, frameon=False,
    )  # fmt: skip
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = accuracies(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "mapping_vs_prompt")
