"""Deployability: accuracy left once a prompted image is a picture that can be sent to an API."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from analysis.common import cells, convergence, effects, gaps, seed_variance, style
from analysis.common.aliases import Cell, Record, Row
from analysis.common.convergence import Growth
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.paired import Pair, difference
from analysis.common.scales import Scale, scale_of
from analysis.common.seed_variance import Pool
from vpbench.common.errors import RecordError
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES, ROLES

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("role", "backbone", "task", "condition", "quality", "accuracy", "low", "high", "images"),
    *("loss", "loss_low", "loss_high", "seeds", "seed_variance", "tasks"),
    *effects.MOVES,
)
ALL = "all"  # the mean over the tasks
CONDITIONS = {"unbounded": "as learned", "clamped": "clamped", "8_bit": "8 bit"}
PLAIN = "unprompted"
MEAN, TASK, REFERENCE = style.COLOURS["visual_prompt"], "#b0b0b0", "#d55e00"


def accuracies(measurements: list[Record], records: Sequence[Record] = ()) -> pandas.DataFrame:
    """Returns one row per backbone, task and condition, in percent; task `all` is their mean.

    The loss is the accuracy of the prompt as it was learned (unbounded) minus this accuracy, on the
    same images and in percentage points, with a paired bootstrap over the images. The intervals of
    the accuracies are Wilson's. Seeds are averaged first; both kinds of intervals are widened by
    their variance, pooled over the tasks of a backbone and condition. `up` and `down` are what more
    training of the prompts may change of the accuracy; `records` are the runs that they come from,
    and their partners.
    """
    hits_of = by_seed(measurements, "correct", ("backbone", "condition", "quality"))
    growths = growths_of(measurements, records)
    conditions = list(dict.fromkeys(key[2:] for key in hits_of))
    rows = []
    for backbone in BACKBONES:
        tasks = list(dict.fromkeys(key[0] for key in hits_of if key[1] == backbone))
        means = [(ALL, tasks)] if tasks else []
        for name, members in [*((task, [task]) for task in tasks), *means]:
            for kind in conditions:
                pairs = {
                    task: (
                        hits_of[task, backbone, "unbounded", None],
                        hits_of[task, backbone, *kind],
                    )
                    for task in tasks
                }
                row = {"role": BACKBONES[backbone].role, "backbone": backbone, "task": name}
                row |= dict(zip(("condition", "quality"), kind))
                prompted = [] if kind[0].startswith(PLAIN) else members
                grown = {task: growths[task, backbone] for task in prompted}
                moves = moves_of(backbone, grown, {task: pairs[task][1] for task in members})
                rows.append(row | losses_of(pairs, members) | moves)
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype({"quality": "Int64"})


def growths_of(
    measurements: list[Record], records: Sequence[Record]
) -> dict[tuple[str, str], Growth]:
    """Returns (task, backbone) -> growth of the prompts measured, unknown where no run is there."""
    growths = convergence.grants(records)
    by_run = {}
    for record in records:
        key = tuple(record["spec"][name] for name in ("task", "backbone", "variant"))
        by_run[key] = growths[convergence.arm_of(record)]
    unknown = Growth(convergence.UNKNOWN)
    return {
        (task_of(one), row["backbone"]): by_run.get(
            (one["spec"]["task"], row["backbone"], row["variant"]), unknown
        )
        for one in measurements
        for row in one["rows"]
    }


def moves_of(backbone: str, grown: dict[str, Growth], hits: dict[str, np.ndarray]) -> Row:
    """Returns the columns of what more training may change of the mean over the tasks of `hits`.

    `grown` has the growths of their prompts, none where there is no prompt in the picture.
    """
    parts = [
        convergence.granted(growth, f"{backbone} visual_prompt", 100 * float(hits[task].mean()))
        for task, growth in grown.items()
    ]
    return effects.columns(effects.moved(parts, [1 / len(hits)] * len(parts)))


def task_of(measurement: Record) -> str:
    """Returns the dataset of a measurement: the paper's name of it, if it has one."""
    return str(measurement["task"]["published"] or measurement["spec"]["task"])


def by_seed(measurements: list[Record], array: str, keys: Sequence[str]) -> dict[Cell, np.ndarray]:
    """Returns (task, values of `keys` of a row) -> correct [seeds, images] of its array `array`."""
    correct_of: dict[Cell, dict[int, np.ndarray]] = {}
    for measurement in measurements:
        task = task_of(measurement)
        kinds = {(row["backbone"], row["variant"]) for row in measurement["rows"]}
        if len(kinds) > len({backbone for backbone, _ in kinds}):
            variants = ", ".join(sorted({variant for _, variant in kinds}))
            raise RecordError(f"prompts of several variants for {task}: {variants}; give one")
        if not measurement["rows"]:
            continue
        hits = reading.arrays(measurement, "arrays")[array]
        for row, correct in zip(measurement["rows"], hits, strict=True):
            key = task, *(row[name] for name in keys)
            seeds = correct_of.setdefault(key, {})
            if row["seed"] in seeds:
                name = " ".join(map(str, key))
                raise RecordError(f"two measurements of {name}, seed {row['seed']}; give one")
            seeds[row["seed"]] = correct
    return {
        key: np.array([seeds[seed] for seed in sorted(seeds)]) for key, seeds in correct_of.items()
    }


def losses_of(pairs: dict[str, Pair], members: list[str]) -> Row:
    """Returns the accuracy of a condition over the tasks `members`, and what it has lost.

    `pairs` maps every task to the correct of its prompts as learned, and so.
    """
    lost = seed_variance.pooled(
        seed_accuracies(1.0 * learned - so) for learned, so in pairs.values()
    )
    pool = seed_variance.pooled(seed_accuracies(so) for _, so in pairs.values())
    chosen = [pairs[task] for task in members]
    limits = same_prompts(chosen, lost)
    accuracy = mean_accuracy([so for _, so in chosen], pool)
    return dict(zip(("loss", "loss_low", "loss_high"), limits)) | accuracy


def same_prompts(pairs: Sequence[Pair], pool: Pool | None = None) -> tuple[float, float, float]:
    """Returns `difference` of the same prompts in two places, whose seeds are paired as well.

    The variance of the seeds' differences is that of the `pool`; without it that of these tasks.
    """
    if pool is None:
        pool = seed_variance.pooled(seed_accuracies(1.0 * here - there) for here, there in pairs)
    parts = [seed_variance.of_mean(len(here), pool) for here, _ in pairs]
    return difference(pairs, other_seeds=seed_variance.together(parts, 1 / len(pairs)))


def seed_accuracies(correct: np.ndarray) -> np.ndarray:
    """Returns the accuracy (%) of each seed of correct [seeds, images]."""
    return 100 * correct.mean(axis=1)


def mean_accuracy(hits: Sequence[np.ndarray], pool: Pool | None = None) -> Row:
    """Returns the mean accuracy over tasks of correct [seeds, images], with its 95 % interval.

    The variance of the seeds is that of the `pool`; without it that of these tasks.
    """
    pool = seed_variance.pooled(map(seed_accuracies, hits)) if pool is None else pool
    parts = [seed_variance.of_mean(len(correct), pool) for correct in hits]
    tasks = []
    for correct, part in zip(hits, parts):
        measured, images = 100 * float(correct.mean()), correct.shape[1]
        low, high = cells.interval(measured, images, part.half)
        tasks.append({"measured": measured, "low": low, "high": high, "images": images})
    low, high = cells.combined(tasks, [1 / len(tasks)] * len(tasks))
    return {
        "accuracy": sum(values["measured"] for values in tasks) / len(tasks),
        "low": low,
        "high": high,
        "images": sum(values["images"] for values in tasks),
        "seeds": min(map(len, hits)),
        "seed_variance": seed_variance.weakest(part.source for part in parts),
        "tasks": len(tasks),
    }


def measured(measurements: list[Record]) -> set[tuple[str, str | None]]:
    """Returns the (role, dataset of the paper) of all rows."""
    return {
        (BACKBONES[row["backbone"]].role, measurement["task"]["published"])
        for measurement in measurements
        for row in measurement["rows"]
    }


def lacking(done: set[tuple[str, str | None]], scale: Scale) -> list[str]:
    """Returns what was not run, in words: the paper's models and datasets that are not in `done`.

    `done` holds pairs (role, dataset). Where the user chose the datasets none of the paper's lacks.
    """
    if scale.chosen_datasets and done:
        return []
    wanted = (*cells.tasks_of(shift=False), *cells.tasks_of(shift=True))
    missing: dict[tuple[str, ...], list[str]] = {}
    for role in ROLES:
        tasks = tuple(task for task in wanted if (role, task) not in done)
        if tasks:
            missing.setdefault(tasks, []).append(style.role_name(role))
    return [
        f"{', '.join(roles)} on {'any dataset' if tasks == wanted else names(tasks)}"
        for tasks, roles in missing.items()
    ]


def names(tasks: Iterable[str]) -> str:
    """Returns the names of datasets of the paper, with commas between them."""
    return ", ".join(style.TASKS[task] for task in tasks)


def condition_name(condition: str, quality: Any) -> str:
    """Returns what was done to the image, for people."""
    return CONDITIONS.get(condition) or f"JPEG {quality}"


def draw_panel(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with one backbone: a line per task, their mean, and that without a prompt."""
    plain = frame.condition.str.startswith(PLAIN)
    for _, rows in frame[~plain & (frame.task != ALL)].groupby("task", sort=False):
        axes.plot(range(len(rows)), rows.accuracy, color=TASK, lw=0.7, marker=".", markersize=3)
    mean = frame[~plain & (frame.task == ALL)]
    places, reference = range(len(mean)), without_prompt(frame[plain & (frame.task == ALL)], mean)
    axes.plot(places, reference, color=REFERENCE, lw=1.4, ls="--", marker="s", markersize=3.5)
    axes.errorbar(
        places, mean.accuracy, yerr=style.whiskers(mean.accuracy, mean.low, mean.high),
        color=MEAN, marker="o", markersize=4.5, lw=2, capsize=2, elinewidth=1, zorder=3,
    )  # fmt: skip
    for values, colour, drop in ((mean.accuracy, MEAN, 17), (reference, REFERENCE, 27)):
        for place, value in zip(places, values):
            axes.annotate(
                f"{value:.1f}", (place, 0), (0, -drop), xycoords=("data", "axes fraction"),
                textcoords="offset points", ha="center", va="top", fontsize=8, weight="bold",
                color=colour,
            )  # fmt: skip
    ticks = [condition_name(row.condition, row.quality) for row in mean.itertuples()]
    axes.set_xticks(places, ticks, fontsize=7.5)
    axes.margins(x=0.06)
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def without_prompt(plain: pandas.DataFrame, mean: pandas.DataFrame) -> list[float]:
    """Returns the accuracies without a prompt, in JPEG files wherever those of `mean` are."""
    by_quality = {row.quality: row.accuracy for row in plain[plain.quality.notna()].itertuples()}
    learned = plain[plain.quality.isna()].accuracy.iloc[0]
    return [by_quality.get(row.quality, learned) for row in mean.itertuples()]


def losses(frame: pandas.DataFrame) -> str:
    """Returns the mean losses of the mildest and the hardest picture, e.g. 8 bit -0.3 points."""
    lost = frame[(frame.task == ALL) & frame.condition.str.match("8_bit|jpeg")].iloc[[0, -1]]
    parts = [
        f"{condition_name(row.condition, row.quality)} {style.signed(-row.loss)}"
        for row in lost.itertuples()
    ]
    return f"{', '.join(dict.fromkeys(parts))} points"


def datasets(frame: pandas.DataFrame) -> str:
    """Returns how many datasets the means of `frame` are over, in words."""
    counts = sorted({int(count) for count in frame[frame.task == ALL].tasks})
    return f"{' or '.join(map(str, counts))} dataset{'s' if counts != [1] else ''}"


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: one panel per model, accuracy against what is done to the image."""
    import matplotlib.pyplot as plt

    style.set_theme()
    figure = plt.figure(figsize=(style.WIDTH, 6.0), layout="constrained")
    figure.suptitle(
        "Accuracy (%) when the prompted image is sent as a picture, the prompt not added again\n"
        f"{scale.title}",
        fontsize=9.5,
    )
    if frame.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    backbones = list(dict.fromkeys(frame.backbone))
    columns = min(2, len(backbones))
    panels = figure.subplots(-(-len(backbones) // columns), columns, squeeze=False).flat
    for backbone, axes in zip(backbones, panels):
        rows = frame[frame.backbone == backbone]
        draw_panel(axes, rows)
        axes.set_title(f"{style.backbone_name(backbone)}: {losses(rows)}")
    for axes in panels:  # those that are left
        axes.set_axis_off()
    handles = [
        plt.Line2D([], [], color=MEAN, marker="o", lw=2),
        plt.Line2D([], [], color=TASK, marker=".", lw=0.7),
        plt.Line2D([], [], color=REFERENCE, marker="s", ls="--", lw=1.4),
    ]
    labels = [
        f"Mean over {datasets(frame)}, 95 % interval",
        "One dataset",
        "Mean without a prompt, as JPEG too",
    ]
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, frameon=False,
        title=gaps.note(missing), title_fontsize=7,
    )  # fmt: skip
    return figure


def write(records: list[Record], measurements: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure; all it shows was measured beside the runs."""
    deployed = [one for one in measurements if one["spec"]["measurement"] == "deployability"]
    same_origin(records)  # the runs whose prompts were measured
    scale = scale_of(deployed or records)
    frame, missing = accuracies(deployed, records), gaps.warn(lacking(measured(deployed), scale))
    write_csv(frame, out)
    figure = draw(frame, scale, missing)
    style.save(figure, figures, "deployability")
