"""Training length: what each doubling of a prompt's training gains, and which length is enough.

Every length is a training of its own with a full schedule. Validation decides; the test split is
never read.
"""

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas

from analysis.common import convergence, gaps, paired, style, variants
from analysis.common.aliases import Record, Row
from analysis.common.convergence import CONVERGED, OVERFITS, RISING, UNKNOWN, Growth
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.scales import Scale, scale_of
from vpbench.common.errors import RecordError
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.schedules import steps_of_epoch
from vpbench.spec.tasks import TASKS

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("task", "group", "backbone", "recipe", "epochs", "steps", "seeds", "images", "validation"),
    *("probe", "gap", "gap_low", "gap_high", "gain", "gain_low", "gain_high", "state"),
    *("long_enough", "chosen"),
)
LAB_STEPS = (256, 1024)  # of the shipped lab: 8 to 32 epochs of 500 images, 16 in a batch
SHIPPED_LAB = f"Shipped lab: {LAB_STEPS[0]} to {LAB_STEPS[1]:,} steps"
PAPER_EPOCHS = 1000  # section 3.4, as are its batches
PAPER_BATCH = {"clip": 256, "instagram": 32, "bit_m": 128, "rn50": 128}  # of a role
FAR, NEAR = "far", "near"
NEARNESS = 2 / 3  # the share of the probe's accuracy that a near task has without training
QUIET = CONVERGED, OVERFITS  # states of a doubling that gained surely less than a point
ENOUGH, NOT_YET = "long enough", "not yet"  # of all tasks of a group
COLOURS = ("#0173b2", "#de8f05", "#029e73", "#cc78bc")  # of recipes
MARKERS = {RISING: "o", CONVERGED: "o", OVERFITS: "X", UNKNOWN: "."}
OF_TASKS = "osD^vPX*"  # markers in the panels of gaps
ACROSS = 6  # columns of the grid of panels: a task takes two, a recipe's gaps as many as there are

Lengths = dict[int, dict[int, Record]]  # epochs -> seed -> run


class Course(NamedTuple):
    """A recipe on a task, in several lengths."""

    task: str
    recipe: str
    lengths: Lengths


def training_lengths(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per task, recipe and length, and one per recipe and group of tasks.

    A length is long enough if neither the doubling that led to it nor the next one gained a point,
    nor any later one that was run: the upper end of the interval is below that. The shortest such
    is chosen, or the one before if that one overfits; a group takes the longest that any of its
    tasks needs. `gap` is the accuracy of the prompt minus that of the linear probe. Accuracies are
    in percent, gains and gaps in points with 95 % intervals, paired by validation image over the
    seeds that there are.
    """
    text, probes = (
        {one["spec"]["task"]: one for one in variants.of_method(records, method)}
        for method in ("text_prompt", "linear_probe")
    )
    rows: list[Row] = []
    for course in courses(records):
        probe = probes.get(course.task)
        rows += rows_of(course, probe, group_of(text.get(course.task), probe))
    groups: dict[tuple[str, str], list[Row]] = {}
    for row in rows:
        groups.setdefault((row["group"], row["recipe"]), []).append(row)
    rows += [of_group(each) for (group, _), each in groups.items() if group]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def courses(records: list[Record]) -> list[Course]:
    """Returns the courses of visual prompts, of one backbone, that have two lengths or more."""
    prompts = variants.of_method(same_origin(records), "visual_prompt")
    variants.single(prompts, "backbone")
    found: dict[str, Lengths] = {}
    for record in prompts:
        name, epochs = convergence.arm_of(record)
        found.setdefault(name, {}).setdefault(epochs or 0, {})[record["spec"]["seed"]] = record
    made = [
        Course(first_of(lengths)["spec"]["task"], recipe_of(first_of(lengths)), lengths)
        for lengths in (dict(sorted(each.items())) for each in found.values())
        if len(lengths) > 1
    ]
    return sorted(made, key=lambda course: style.place(course.task, TASKS))


def first_of(lengths: Lengths) -> Record:
    """Returns a run of the shortest length."""
    return next(iter(lengths[min(lengths)].values()))


def recipe_of(record: Record) -> str:
    """Returns the name of a recipe: its variant's without the epochs that are swept."""
    name = re.sub(r"_epochs_\d+", "", record["spec"]["variant"])
    return "official" if name == "default" else name.replace("_", " ")


def group_of(text: Record | None, probe: Record | None) -> str | None:
    """Returns whether a task is near or far, by what its text prompt alone is worth beside a linear
    probe; None where one of them was not run."""
    if text is None or probe is None:
        return None
    return NEAR if accuracy(text) >= NEARNESS * accuracy(probe) else FAR


def accuracy(record: Record) -> float:
    """Returns the validation accuracy (%) of a run."""
    found = variants.validation_accuracy([record])
    if found is None:
        raise RecordError(
            f"{record['file']}: {record['spec']['task']} has no validation split, on which lengths "
            "are chosen; leave it out"
        )
    return found


def rows_of(course: Course, probe: Record | None, group: str | None) -> list[Row]:
    """Returns the rows of a course, the shortest length first."""
    growths = growths_of(course.lengths)
    enough, chosen = long_enough(growths), chosen_of(growths)
    rows = []
    for epochs, seeds in course.lengths.items():
        runs, growth = list(seeds.values()), growths[epochs]
        spec = runs[0]["spec"]
        rows.append(
            {"task": course.task, "group": group, "backbone": spec["backbone"]}
            | {"recipe": course.recipe, "epochs": epochs, "steps": steps_of(runs[0])}
            | {"seeds": len(runs), "images": runs[0]["task"]["sizes"].get("validation")}
            | {"validation": float(np.mean([accuracy(run) for run in runs]))}
            | gap_of(runs, probe)
            | {"gain": growth.gain, "gain_low": growth.low, "gain_high": growth.high}
            | {"state": growth.state}
            | {"long_enough": epochs in enough, "chosen": epochs == chosen}
        )
    return rows


def growths_of(lengths: Lengths) -> dict[int, Growth]:
    """Returns epochs -> what the doubling that led to them gained."""
    found = {}
    for epochs, seeds in lengths.items():
        half = {} if epochs % 2 else lengths.get(epochs // 2, {})
        found[epochs] = convergence.grown(seeds, half) or Growth(UNKNOWN)
    return found


def long_enough(growths: Mapping[int, Growth]) -> list[int]:
    """Returns the epochs to which and after which no doubling gained anything, the fewest first."""
    quiet = {epochs for epochs, growth in growths.items() if growth.state in QUIET}
    last = max((epochs for epochs in growths if growths[epochs].state == RISING), default=0)
    return sorted(epochs for epochs in quiet if 2 * epochs in quiet and epochs > last)


def chosen_of(growths: Mapping[int, Growth]) -> int | None:
    """Returns the fewest epochs that are long enough and do not overfit; None if none are known."""
    enough = long_enough(growths)
    if not enough:
        return None
    return enough[0] // 2 if growths[enough[0]].state == OVERFITS else enough[0]


def steps_of(record: Record) -> int:
    """Returns the number of steps of a run."""
    settings, images = record["spec"]["settings"], record["task"]["sizes"]["train"]
    return int(settings["epochs"] * steps_of_epoch(settings, images))


def paper_steps(task: str, backbone: str) -> int | None:
    """Returns the paper's number of steps on the dataset and with the model that these stand for,
    None where it has no such."""
    facts = FACTS.get(TASKS[task].published) if task in TASKS else None
    batch = PAPER_BATCH.get(BACKBONES[backbone].role) if backbone in BACKBONES else None
    if facts is None or batch is None:
        return None
    return PAPER_EPOCHS * math.ceil(facts.sizes["train"] / batch)


def gap_of(runs: list[Record], probe: Record | None) -> Row:
    """Returns the probe's accuracy, and how far prompts are above it, with an interval if known."""
    if probe is None:
        return {}
    above = float(np.mean([accuracy(run) for run in runs])) - accuracy(probe)
    pairs = [convergence.validated(run, probe) for run in runs]
    whole = [pair for pair in pairs if pair is not None]
    row: Row = {"probe": accuracy(probe), "gap": above}
    if len(whole) < len(pairs):
        return row
    ours, theirs = (np.array(side) for side in zip(*whole))
    _, low, high = paired.difference([(ours, theirs)])
    return row | {"gap_low": low, "gap_high": high}


def of_group(rows: list[Row]) -> Row:
    """Returns the row of a group of tasks, given all of their rows for a recipe: the length that is
    long enough for each, if there is one for each."""
    chosen = {row["task"]: row for row in rows if row["chosen"]}
    everyone = {row["task"] for row in rows}
    facts = {key: rows[0][key] for key in ("group", "backbone", "recipe")}
    row = {"task": f"all {facts['group']}"} | facts
    if chosen.keys() < everyone:
        return row | {"state": NOT_YET, "long_enough": False, "chosen": False}
    longest = max(chosen.values(), key=lambda each: each["epochs"])
    lengths = {key: longest[key] for key in ("epochs", "steps")}
    return row | lengths | {"state": ENOUGH, "long_enough": True, "chosen": True}


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words."""
    if frame.empty:
        return ["a visual prompt in two lengths or more"]
    lacking = frame[frame.probe.isna() & frame.images.notna()].task.unique()
    return [f"the linear probe of {', '.join(lacking)}"] if len(lacking) else []


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: a panel of accuracies per task, and one of gaps per recipe."""
    import matplotlib.pyplot as plt

    style.set_theme()
    rows = frame[frame.images.notna()]  # without those of groups
    tasks, recipes = list(rows.task.unique()), list(rows.recipe.unique())
    high = math.ceil(2 * len(tasks) / ACROSS)
    figure = plt.figure(figsize=(style.WIDTH, 1.9 + 1.9 * (high + 1)), layout="constrained")
    title = "Accuracy on validation by the length of the training"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if not tasks:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    places = figure.add_gridspec(high + 1, ACROSS)
    for number, task in enumerate(tasks):
        line, column = divmod(2 * number, ACROSS)
        axes = figure.add_subplot(places[line, column : column + 2])
        draw_task(axes, rows[rows.task == task], recipes)
        axes.set_title(style.task_name(task, scale))
        if column == 0:
            axes.set_ylabel("Accuracy (%)")
    wide = ACROSS // len(recipes)
    first = None
    for number, recipe in enumerate(recipes):
        across = slice(number * wide, (number + 1) * wide)
        first = figure.add_subplot(places[high, across], sharex=first, sharey=first)
        draw_gaps(first, rows[rows.recipe == recipe], tasks, scale)
        first.set_title(f"Gap to the linear probe, {recipe}", color=COLOURS[number % len(COLOURS)])
    draw_legend(figure, recipes, missing)
    return figure


def draw_task(axes: "Axes", rows: pandas.DataFrame, recipes: list[str]) -> "Axes":
    """Returns `axes` with the accuracies of each recipe on a task, and the probe's."""
    for recipe, line in rows.groupby("recipe", sort=False):
        colour = COLOURS[recipes.index(recipe) % len(COLOURS)]
        axes.plot(line.steps, line.validation, color=colour, lw=1.2)
        for row in line.itertuples():
            fill = "white" if row.state == RISING else colour
            axes.plot(row.steps, row.validation, MARKERS[row.state], color=colour, mfc=fill, ms=4.5)
        chosen = line[line.chosen.astype(bool)]
        axes.plot(chosen.steps, chosen.validation, "o", mfc="none", color="black", ms=10, mew=0.8)
    if rows.probe.notna().any():
        axes.axhline(rows.probe.max(), color="black", lw=1)
    return mark(axes, rows)


def draw_gaps(axes: "Axes", rows: pandas.DataFrame, tasks: list[str], scale: Scale) -> "Axes":
    """Returns `axes` with how far a recipe is above the probe, a line per task."""
    shown = rows[rows.gap.notna()]
    for task, line in shown.groupby("task", sort=False):
        spread = style.whiskers(
            line.gap, line.gap_low.fillna(line.gap), line.gap_high.fillna(line.gap)
        )
        axes.errorbar(
            line.steps, line.gap, spread, lw=1, elinewidth=0.6, ms=4, color="0.35",
            marker=OF_TASKS[tasks.index(task) % len(OF_TASKS)], mfc="white",
            label=style.task_name(task, scale),
        )  # fmt: skip
    axes.axhline(0, color="black", lw=1)
    mark(axes, rows)
    axes.set_ylabel("Points")
    if len(shown):
        axes.legend(fontsize=6.5, frameon=False, ncols=2, loc="lower right")
    return axes


def mark(axes: "Axes", rows: pandas.DataFrame) -> "Axes":
    """Returns `axes` of steps with the shipped lab's fewest and most of them, and the paper's on
    the tasks of `rows`."""
    axes.set_xscale("log")
    for shipped in LAB_STEPS:
        axes.axvline(shipped, color="0.5", ls=":", lw=1.2)
    cells = zip(rows.task, rows.backbone)
    paper = sorted({steps for cell in cells if (steps := paper_steps(*cell))})
    for steps in paper if len(paper) == 1 else []:
        axes.axvline(steps, color="0.5", ls="--", lw=1.2)
    if len(paper) > 1:
        axes.axvspan(min(paper), max(paper), color="0.9", lw=0)
    axes.set_xlabel("Steps")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw_legend(figure: "Figure", recipes: list[str], missing: list[str]) -> None:
    """Draws the legend of the panels below them."""
    from matplotlib.lines import Line2D

    colours = dict(zip(recipes, COLOURS))
    lines = [Line2D([], [], color=colour, label=recipe) for recipe, colour in colours.items()]
    grey = {"color": "0.35", "ls": "none"}
    lines += [
        Line2D([], [], marker=".", label="Its half was not run", **grey),
        Line2D([], [], marker="o", mfc="white", label="May have gained a point", **grey),
        Line2D([], [], marker="o", label="Gained less", **grey),
        Line2D([], [], marker="X", label="Lost (overfits)", **grey),
        Line2D([], [], marker="o", mfc="none", color="black", ls="none", ms=10, label="Chosen"),
        Line2D([], [], color="black", lw=1, label="Linear probe"),
        Line2D([], [], color="0.5", ls=":", label=SHIPPED_LAB),
        Line2D([], [], color="0.5", ls="--", label="Paper, on this dataset"),
    ]
    figure.legend(
        handles=lines, loc="outside lower center", ncols=4, frameon=False,
        title=gaps.note(missing), title_fontsize=7,
    )  # fmt: skip


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = training_lengths(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "training_length")
