"""Accuracy: every method on every dataset, whatever the datasets are, and VP against the others."""

import math
from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from analysis.common import cells, gaps, seed_variance, style
from analysis.common.aliases import Cell, Groups, Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from analysis.common.seed_variance import Pools
from analysis.figures import comparisons
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.artist import Artist


if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("task", "backbone", "role", "method", "accuracy", "spread", "low", "high", "seeds"),
    *("seed_variance", "images", "rule", "epoch", "selection_gap", "chance"),
    *("difference", "difference_low", "difference_high", "p_value"),
)


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per dataset, backbone and method, in percent, with the columns COLUMNS.

    `difference` is that of the visual prompt and this method in percentage points, on the same
    test images, with the interval and the p value of `analysis.common.paired`.
    """
    groups = cells.by_cell(records, run_cell)
    pools = seed_variance.pools(groups.values())
    rows = []
    for (backbone, method, task), group in groups.items():
        values, facts = cells.cell(group, pools), group[0]["task"]
        row = {"task": task, "backbone": backbone, "role": BACKBONES[backbone].role}
        row |= {"method": method, "accuracy": values["measured"], "images": facts["sizes"]["test"]}
        row |= {name: value for name, value in values.items() if name in COLUMNS}
        row |= {"chance": facts["chance"]} | against(groups, pools, backbone, method, task)
        rows.append(row)
    frame = pandas.DataFrame(rows, columns=list(COLUMNS))
    order = [(task, backbone, method) for task, backbone, method in places(frame)]
    return frame.set_index(["task", "backbone", "method"]).loc[order].reset_index()[list(COLUMNS)]


def run_cell(record: Record) -> Cell:
    """Returns the (backbone, method, dataset) of a record."""
    return tuple(record["spec"][key] for key in ("backbone", "method", "task"))


def against(groups: Groups, pools: Pools, backbone: str, method: str, task: str) -> Row:
    """Returns the paired difference of the visual prompt and `method`, empty without both."""
    names = {"difference": "difference", "low": "difference_low", "high": "difference_high"}
    pair = None
    if method != "visual_prompt":
        pair = comparisons.pair(groups, pools, backbone, method, task)
    values = comparisons.compared([pair])
    return {name: values[key] for key, name in (names | {"p_value": "p_value"}).items()}


def places(frame: pandas.DataFrame) -> list[Cell]:
    """Returns the (task, backbone, method) of the rows: as the tasks come, then as described."""
    there = set(zip(frame.task, frame.backbone, frame.method))
    cells_of = [(t, b, m) for t in frame.task.unique() for b in BACKBONES for m in METHODS]
    return [cell for cell in cells_of if cell in there]


def draw_panel(
    axes: "Axes", frame: pandas.DataFrame, tasks: list[str], methods: list[str]
) -> "Axes":
    """Returns `axes` with the accuracies of one backbone: a row per dataset, a mark per method."""
    for place, method in enumerate(methods):
        rows = frame[frame.method == method]
        entry = style.described(method)
        y = [tasks.index(task) + 0.16 * (place - (len(methods) - 1) / 2) for task in rows.task]
        axes.errorbar(
            rows.accuracy, y, xerr=style.whiskers(rows.accuracy, rows.low, rows.high), fmt="o",
            color=entry.shown_colour, fillstyle=entry.fill, markersize=5, elinewidth=1,
            label=entry.display,
        )  # fmt: skip
    for row in frame.drop_duplicates("task").itertuples():
        middle = tasks.index(row.task)
        axes.plot([row.chance] * 2, [middle - 0.4, middle + 0.4], ":", color="black", lw=1)
    axes.set_xlim(0, 100)
    axes.set_ylim(len(tasks) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("Test accuracy (%)")
    axes.grid(axis="x", linewidth=0.4, color="#cccccc")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return axes


def draw(
    frame: pandas.DataFrame, scale: Scale, names: dict[str, str], missing: list[str]
) -> "Figure":
    """Returns the figure: a panel per backbone; `names` maps tasks to what they are called."""
    import matplotlib.pyplot as plt

    style.set_theme()
    backbones, tasks = list(frame.backbone.unique()), list(frame.task.unique())
    columns = min(2, max(1, len(backbones)))
    rows = math.ceil(len(backbones) / columns) or 1
    size = style.WIDTH, 1.4 + rows * (0.7 + 0.55 * len(tasks))
    figure = plt.figure(figsize=size, layout="constrained")
    figure.suptitle(f"Accuracy of each method\n{scale.title}", fontsize=9.5)
    if frame.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
    methods = [method for method in METHODS if method in set(frame.method)]
    for backbone, axes in zip(backbones, panels):
        draw_panel(axes, frame[frame.backbone == backbone], tasks, methods)
        axes.set_title(backbone)
        axes.set_yticks(range(len(tasks)), [names[task] for task in tasks])
    for axes in panels:  # those that are left
        axes.set_axis_off()
    handles: dict[str, Artist] = {}
    for axes in figure.axes:
        handles |= dict(zip(*reversed(axes.get_legend_handles_labels())))
    handles["Chance"] = plt.Line2D([], [], linestyle=":", color="black", lw=1)
    figure.legend(
        handles.values(), handles, loc="outside lower center", ncols=len(handles), frameon=False
    )
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = accuracies(records)
    missing = gaps.warn([] if records else ["anything"])
    names = {record["spec"]["task"]: record["task"]["display"] for record in records}
    write_csv(frame, out)
    figure = draw(frame, scale_of(records), names, missing)
    style.save(figure, figures, "accuracy")
