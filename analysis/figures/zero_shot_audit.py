"""Zero-shot audit: accuracy of the text prompt class by class, and names that look wrong.

A name is flagged where the confusions of the test images speak against it and chance does not
explain them; of one task, a false flag is expected in at most 1 % of cases (Bonferroni):

- duplicate: after refinement it is the same text as that of another class.
- exchanged, permuted: its images are called by another name more often than by its own (exact
  binomial test over all pairs of classes), and so in a circle: two classes or more would gain by
  taking each other's names (see `circles`).
- never predicted: a class that got its share of the predictions would have had one.
"""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.special import bdtrc

from analysis.common import cells, gaps, style, variants
from analysis.common.aliases import Cell, Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from vpbench.common.errors import RecordError
from vpbench.common.intervals import wilson
from vpbench.records import reading
from vpbench.records.schema import difference
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.tasks import TASKS
from vpbench.spec.text_prompts import refine_class_name, said_class_names

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("task", "backbone", "variant", "class", "class_name", "images", "accuracy", "low", "high"),
    *("share", "taken_for", "taken_for_share", "flag", "gain", "reason"),
)
FLAGS = {  # flag -> name, colour and marker in the figure; the first that holds is given
    "duplicate": ("Same text as another class", "#d55e00", "X"),
    "exchanged": ("Two names look exchanged", "#cc78bc", "D"),
    "permuted": ("Names look permuted", "#029e73", "s"),
    "never predicted": ("Never predicted", "#de8f05", "v"),
}
KEY = ["task", "backbone", "variant"]
ALPHA = 0.01  # chance of a false flag among the classes of a task
REFUTED = 0.05  # p value below which a name is taken to be better than another
SUPPORT = 0.8  # share of the classes of a circle whose images must speak for it
LINE = 46  # characters of the names beside a row


def audited(records: list[Record]) -> dict[Cell, Record]:
    """Returns (task, backbone, variant) -> its run of the text prompt, in the suite's order."""
    first_of: dict[Cell, Record] = {}
    for record in sorted(variants.of_method(records, "text_prompt"), key=place):
        spec = record["spec"]
        task = cells.dataset_of(record) or spec["task"]
        key = task, spec["backbone"], spec["variant"]
        other = first_of.setdefault(key, record)  # nothing in it depends on the seed
        if difference(*(one["spec"] | {"seed": None} for one in (other, record))):
            raise RecordError(
                f"{other['file']} and {record['file']}: two kinds of runs of {' '.join(key)}; "
                "select one"
            )
    return first_of


def place(record: Record) -> Cell:
    """Returns the place of a run: datasets as they are described, folders of images after them."""
    spec, tasks = record["spec"], list(TASKS)
    task = tasks.index(spec["task"]) if spec["task"] in TASKS else len(tasks)
    backbone, variant = style.place(spec["backbone"], BACKBONES), spec["variant"]
    return task, spec["task"], backbone, variant != "default", variant, spec["seed"]


def names_of(record: Record) -> list[str]:
    """Returns the class names as the model reads them."""
    try:
        said = said_class_names(record["task"]["class_names"], record["spec"]["settings"])
    except ValueError as error:
        raise RecordError(f"{record['file']}: {error}") from None
    return [refine_class_name(name) for name in said]


def confusions(record: Record) -> np.ndarray:
    """Returns how many test images of each class (row) were given each class (column)."""
    arrays, classes = reading.arrays(record, "predictions"), record["task"]["classes"]
    counts = np.bincount(
        arrays["label"].astype(int) * classes + arrays["prediction"].astype(int),
        minlength=classes**2,
    )
    return counts.reshape(classes, classes)


def more_often(counts: ArrayLike, others: ArrayLike) -> np.ndarray:
    """Returns the p values that `counts` are not above `others`: exact, binomial, one-sided."""
    return bdtrc(np.asarray(counts) - 1, np.asarray(counts) + others, 0.5)


def circles(matrix: np.ndarray) -> list[tuple[list[int], list[int]]]:
    """Returns [(classes, called)]: classes that would gain by taking each other's names, in turn.

    Each class would take the name of the next. `called` says of which classes the images are called
    so significantly more often than by their own name: at least SUPPORT of a circle. A chain is not
    enough, as a hard task has those too: names that draw the images of other classes, and such as
    draw from these, but none that come round. No class takes a name that is significantly worse
    than its own. Of all such relabellings this is the one that gains most (an assignment problem);
    what does not gain stays as it is.
    """
    classes, own = len(matrix), np.diag(matrix)[:, None]
    called = more_often(matrix, own) < ALPHA / (classes * (classes - 1))
    worse = more_often(own, matrix) < REFUTED
    # What is no evidence never pays; half an image keeps such classes out where they may stay.
    worth = np.where(called, matrix - own, np.minimum(matrix - own, 0) - 0.5)
    worth[worse] = -2.0 * matrix.sum()
    np.fill_diagonal(worth, 0)
    _, name = linear_sum_assignment(worth, maximize=True)
    gaining, seen = [], set()
    for start in range(classes):
        circle = []
        while start not in seen:
            seen.add(start)
            circle.append(start)
            start = int(name[start])
        speaking = [number for number in circle if called[number, name[number]]]
        if len(circle) > 1 and len(speaking) >= SUPPORT * len(circle):
            gaining.append((circle, speaking))
    return gaining


def flags(matrix: np.ndarray, names: list[str]) -> dict[int, Row]:
    """Returns class -> {flag, reason, and of a relabelling the gain in percentage points}."""
    flagged: dict[int, Row] = {}
    images = matrix.sum(axis=1)
    missed = (1 - images / matrix.sum()) ** matrix.sum() < ALPHA / len(names)
    for number in np.flatnonzero(missed & (matrix.sum(axis=0) == 0)).tolist():
        reason = f"never predicted, although {images[number]} images are of it"
        flagged[number] = {"flag": "never predicted", "reason": reason}
    for circle, speaking in circles(matrix):
        after = dict(zip(circle, [*circle[1:], circle[0]]))
        won = sum(int(matrix[one, other] - matrix[one, one]) for one, other in after.items())
        gain = 100 * won / int(matrix.sum())
        pair = len(circle) == 2
        offer = (
            f"exchanging the two names adds {gain:.1f} points of accuracy"
            if pair
            else f"moving {len(circle)} names round adds {gain:.1f} points of accuracy"
        )
        for number in speaking:
            other = after[number]
            reason = (
                f"{matrix[number, other]} of its {images[number]} images are called "
                f"{names[other]!r}, {matrix[number, number]} by its own name; {offer}"
            )
            flag = "exchanged" if pair else "permuted"
            flagged[number] = {"flag": flag, "reason": reason, "gain": gain}
    for number, name in enumerate(names):
        alike = [str(other) for other, text in enumerate(names) if text == name != other != number]
        if alike:
            reason = f"the same text as that of class {', '.join(alike)}"
            flagged[number] = {"flag": "duplicate", "reason": reason}
    return flagged


def audit(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per text prompt run and class, with the columns COLUMNS; shares in percent.

    accuracy is that on the images of the class, with Wilson's interval; share is that of the
    predictions which name it; taken_for is the class for which it is mistaken most often, and
    taken_for_share how often. gain is what the relabelling in `reason` adds to all of the task.
    """
    rows = []
    for key, record in audited(records).items():
        matrix, names = confusions(record), names_of(record)
        wrong = flags(matrix, names)
        for number, name in enumerate(names):
            row = dict(zip(KEY, key)) | {"class": number, "class_name": name}
            row["share"] = 100 * matrix[:, number].sum() / matrix.sum()
            rows.append(row | class_accuracy(matrix, names, number) | wrong.get(number, {}))
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def class_accuracy(matrix: np.ndarray, names: list[str], number: int) -> Row:
    """Returns the images of a class, their accuracy, and what they are mistaken for."""
    count = int(matrix[number].sum())
    if count == 0:
        return {"images": 0}
    accuracy = 100 * matrix[number, number] / count
    low, high = wilson(accuracy, count)
    row = {"images": count, "accuracy": accuracy, "low": low, "high": high}
    mistaken = matrix[number].copy()
    mistaken[number] = 0
    other = int(mistaken.argmax())
    if mistaken[other]:
        row |= {"taken_for": names[other], "taken_for_share": 100 * mistaken[other] / count}
    return row


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words."""
    return ["the text prompt alone, on any dataset"] if frame.empty else []


def draw_row(axes: "Axes", rows: pandas.DataFrame, y: int) -> "Axes":
    """Returns `axes` with the classes of one run, sorted, the flagged ones marked and named."""
    rows = rows[rows.images > 0].sort_values(["accuracy", "class"])
    heights = dict(zip(rows["class"], y + np.linspace(0.34, -0.34, len(rows))))
    axes.plot(
        rows.accuracy, list(heights.values()), "o", markersize=2.2, mew=0, zorder=2,
        color=style.COLOURS["visual_prompt"], label="A class" if y == 0 else None, clip_on=False,
    )  # fmt: skip
    mean = np.average(rows.accuracy, weights=rows.images)
    axes.plot(
        [mean, mean], [y - 0.42, y + 0.42], color="black", lw=1.2, zorder=1,
        label="All images" if y == 0 else None,
    )  # fmt: skip
    for flag, flagged in rows.groupby("flag"):
        _, colour, marker = FLAGS[flag]
        axes.plot(
            flagged.accuracy,
            [heights[number] for number in flagged["class"]], marker, color=colour,
            markersize=5, mec="black", mew=0.4, linestyle="none", zorder=3, clip_on=False,
        )  # fmt: skip
    return axes


def flagged_names(rows: pandas.DataFrame) -> str:
    """Returns the names that are flagged in a run, in two lines at most."""
    flagged = rows[rows.flag.notna()]
    if flagged.empty:
        return ""
    text = f"{len(flagged)} of {len(rows)}: {', '.join(flagged.class_name)}"
    return "\n".join(textwrap.wrap(text, LINE, max_lines=2, placeholder=" …"))


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: per task and text prompt the sorted accuracies of its classes."""
    import matplotlib.pyplot as plt
    from matplotlib.lines import Line2D

    style.set_theme()
    groups = list(frame.groupby(KEY, sort=False))
    figure = plt.figure(figsize=(style.WIDTH, max(3.0, 1.4 + 0.33 * len(groups))))
    figure.set_layout_engine("constrained")
    title = "Text prompt only: accuracy class by class, and names that look wrong"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if not groups:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    axes, several = figure.subplots(), frame.backbone.nunique() > 1
    labels, notes = [], []
    for y, ((task, backbone, variant), rows) in enumerate(groups):
        draw_row(axes, rows, y)
        parts = [backbone] * several + [variant] * (variant != "default")
        labels.append(", ".join([style.task_name(task, scale), *parts]))
        notes.append(flagged_names(rows))
    axes.set_yticks(range(len(groups)), labels)
    axes.set(xlim=(0, 100), ylim=(len(groups) - 0.5, -0.5), xlabel="Test accuracy of a class (%)")
    axes.hlines(np.arange(1, len(groups)) - 0.5, 0, 100, color="0.85", lw=0.5, zorder=0)
    beside = axes.secondary_yaxis("right")
    beside.set_yticks(range(len(groups)), notes, fontsize=6.5, parse_math=False)
    for side in (axes, beside):
        side.tick_params(axis="y", length=0)
        side.spines[["top", "right", "left"]].set_visible(False)
    handles, names = axes.get_legend_handles_labels()
    for flag, (name, colour, marker) in FLAGS.items():
        if (frame.flag == flag).any():
            look = {"color": colour, "marker": marker, "mec": "black", "mew": 0.4}
            handles.append(Line2D([], [], linestyle="none", markersize=5, **look))
            names.append(name)
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = audit(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "zero_shot_audit")
