"""Selection gap: what reading the best test epoch, as the official code does, adds to accuracy."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas

from analysis.common import cells, gaps, style
from analysis.common.aliases import Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("role", "method", "task", "last", "best_validation", "best_test", "gap_last", "low_last"),
    *("high_last", "gap_validation", "low_validation", "high_validation", "looks", "seeds"),
)
TRAINED = ("visual_prompt", "fine_tune")  # the methods that have epochs
MODALITIES = ("vision_language", "vision")
AVERAGES = {False: "average", True: "shift_average"}  # of the 12 datasets, of the 3 shifts
GAPS = {"last": "last epoch", "validation": "best validation epoch"}
SAMPLES = 2000  # of the bootstrap over tasks
FEWEST = 5  # tasks: with fewer a bootstrap over them says nothing
UNSEEN = "Not run, or looked at only once"  # where the configuration leaves models out
COLOUR = style.COLOURS["visual_prompt"]
MANY = 10  # epochs: a choice of fewer adds little whatever the method, and the figure says so


def selection_gaps(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per model, method and task, and the averages, with the columns COLUMNS.

    last, best_validation and best_test are test accuracies in percent at those epochs, gap_last and
    gap_validation what best_test has more, `looks` the epochs that were looked at. The 95 %
    intervals are those of the average of the 12, from a bootstrap over the tasks.
    """
    groups = cells.by_cell([record for record in records if record["task"]["published"]])
    rows = []
    for role, method in trained():
        for shift, name in AVERAGES.items():
            tasks = cells.tasks_of(shift)
            epochs = [at_epochs(groups.get((role, method, task), [])) for task in tasks]
            for task, values in zip([*tasks, name], [*epochs, average(epochs)]):
                if values:
                    rows.append({"role": role, "method": method, "task": task} | values)
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def trained() -> list[tuple[str, str]]:
    """Returns the (role, method) that are trained in epochs, in the paper's order."""
    rows = [row for name in MODALITIES for row in cells.rows_of(name)]
    return [(role, method) for role, method in rows if method in TRAINED]


def at_epochs(records: list[Record]) -> Row | None:
    """Returns the accuracies and gaps of a cell, the mean over its seeds; None without records."""
    if not records:
        return None
    values = {
        epoch: float(np.mean([one["selection"][epoch]["test"]["accuracy"] for one in records]))
        for epoch in ("last", "best_validation", "best_test")
    }
    values["gap_last"] = values["best_test"] - values["last"]
    values["gap_validation"] = values["best_test"] - values["best_validation"]
    looks = [sum(epoch["test_accuracy"] is not None for epoch in r["history"]) for r in records]
    return values | {"looks": float(np.mean(looks)), "seeds": len(records)}


def average(tasks: list[Row | None]) -> Row | None:
    """Returns the average over tasks with the intervals of its gaps; None unless all are there."""
    if None in tasks:
        return None
    frame = pandas.DataFrame(tasks)
    values = frame.mean().to_dict() | {"seeds": int(frame.seeds.min())}
    if len(frame) < FEWEST:
        return values
    drawn = np.random.default_rng(0).integers(len(frame), size=(SAMPLES, len(frame)))
    for name in GAPS:
        means = frame[f"gap_{name}"].to_numpy()[drawn].mean(axis=1)
        values[f"low_{name}"], values[f"high_{name}"] = np.percentile(means, [2.5, 97.5])
    return values


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words: the methods that lack the same tasks, together."""
    tasks = [task for shift in AVERAGES for task in cells.tasks_of(shift)]
    names = {(r, m): f"{style.role_name(r)} {style.short_name(m)}" for r, m in trained()}
    lacking: dict[str, list[str]] = {}
    for (role, method), name in names.items():
        there = set(frame[(frame.role == role) & (frame.method == method)].task)
        empty = [task for task in tasks if task not in there]
        where = "any dataset" if len(empty) == len(tasks) else ", ".join(empty)
        lacking.setdefault(where, []).append(name)
    lacking.pop("", None)
    return [
        f"{'VP and FT of any model' if len(some) == len(names) else ', '.join(some)} on {where}"
        for where, some in lacking.items()
    ]


def draw_panel(
    axes: "Axes", frame: pandas.DataFrame, gap: str, rows: list[tuple[str, str]], scale: Scale
) -> "Axes":
    """Returns `axes` with a dot per task and, above it, the average of the 12 with its interval."""
    for y, (role, method) in enumerate(rows):
        both = frame[(frame.role == role) & (frame.method == method)]
        tasks = both[~both.task.isin(AVERAGES.values())]
        # Tasks with equal gaps would hide each other: they are put side by side, in table order.
        aside = np.linspace(-0.22, 0.22, len(tasks)) if len(tasks) > 1 else np.zeros(len(tasks))
        values, heights = tasks[f"gap_{gap}"].to_numpy(), y + 0.12 + aside
        axes.plot(
            values, heights, "o", mfc="none", mec=COLOUR, markersize=3, mew=0.7,
            label="One dataset" if y == 0 else None,
        )  # fmt: skip
        top = int(np.argmax(values))
        if values[top] > 0:
            axes.annotate(
                style.task_name(tasks.task.iloc[top], scale), (values[top], heights[top]),
                xytext=(4, 0), textcoords="offset points", va="center", fontsize=7,
            )  # fmt: skip
        for mean in both[both.task == "average"].itertuples():
            value, low, high = (getattr(mean, f"{part}_{gap}") for part in ("gap", "low", "high"))
            axes.errorbar(
                value, y - 0.3, xerr=style.whiskers(value, low, high), fmt="D", color="black",
                markersize=4, elinewidth=1, capsize=1.5,
                label="Average of the 12, 95 % interval over datasets" if y == 0 else None,
            )  # fmt: skip
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_xlabel("Test accuracy added (points)")
    axes.set_title(f"Best test epoch above the {GAPS[gap]}")
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.margins(x=0.12)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return axes


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: per model and method, what the official rule adds to two fair ones."""
    import matplotlib.pyplot as plt

    style.set_theme()
    rows = list(dict.fromkeys(zip(frame.role, frame.method)))
    size = style.WIDTH, 1.7 + 0.7 * max(2, len(rows))
    figure = plt.figure(figsize=size, layout="constrained")
    title = f"What choosing the epoch by its test accuracy adds{choice(frame)}"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if frame.empty:
        gaps.explain(figure.subplots(), gaps.note(missing, UNSEEN))
        return figure
    panels = figure.subplots(1, 2, sharex=True, sharey=True)
    for axes, gap in zip(panels, GAPS):
        draw_panel(axes, frame, gap, rows, scale)
    names = [f"{style.role_name(role)} {style.short_name(method)}" for role, method in rows]
    panels[0].set_yticks(range(len(rows)), names)
    handles, labels = panels[0].get_legend_handles_labels()
    notes = [*few(frame), gaps.note(missing, UNSEEN)]
    figure.legend(
        handles, labels, title="\n".join(filter(None, notes)), title_fontsize=7,
        loc="outside lower center", ncols=2, frameon=False,
    )  # fmt: skip
    return figure


def few(frame: pandas.DataFrame) -> list[str]:
    """Returns what a choice of few epochs cannot say, nothing of many."""
    if frame.looks.max() >= MANY:
        return []
    return [
        "So few epochs leave little to choose; the paper's code chooses among all that it trains."
    ]


def choice(frame: pandas.DataFrame) -> str:
    """Returns how many epochs of a run there were to choose from, in words; empty without runs."""
    if frame.empty:
        return ""
    low, high = frame.looks.min(), frame.looks.max()
    return f" (choice of {low:g} epochs)" if low == high else f" (choice of {low:g} to {high:g})"


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = selection_gaps(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "selection_gap")
