"""Cost: seconds, throughput, parameters and memory of each method, and accuracy against them."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas

from analysis.common import cells, gaps, seed_variance, style
from analysis.common.aliases import Cell, Record
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.scales import Scale, scale_of
from vpbench.common.errors import RecordError
from vpbench.spec.backbones import ROLES
from vpbench.spec.methods import METHODS

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


COLUMNS = (
    *("role", "backbone", "method", "device", "seconds", "images_per_second"),
    *("trained_parameters", "parameters", "peak_memory_mb", "accuracy", "low", "high", "tasks"),
)
MEASURED = ("seconds", "images_per_second", "peak_memory_mb")
MARKERS = {"clip": "o", "instagram": "s", "bit_m": "^", "rn50": "D"}
OTHER_MARKER = "P"  # of a model that is not the paper's
AXES = {  # column -> name of the axis
    "seconds": "Seconds of training and evaluation",
    "trained_parameters": "Trained parameters",
}


def costs(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per model, backbone, method and device, with the columns COLUMNS.

    Costs are medians over the datasets without shift (and seeds), accuracy (%) is the mean over
    them as in Tables 1 and 4, at the epoch that the tables read. seconds are those of training and
    of every evaluation; peak memory is that of the GPU, or of the whole process so far on a CPU.
    """
    rows = []
    groups = grouped(records)
    pools = seed_variance.pools(group for tasks in groups.values() for group in tasks.values())
    for key in sorted(groups, key=place):
        tasks = groups[key]
        runs = [record for group in tasks.values() for record in group]
        accuracies = [cells.cell(group, pools) for group in tasks.values()]
        weights = [1 / len(accuracies)] * len(accuracies)
        values = {
            name: cells.median([one["measured"].get(name) for one in runs]) for name in MEASURED
        }
        values["trained_parameters"] = cells.median([one["trained_parameters"] for one in runs])
        values["parameters"] = runs[0]["backbone"]["parameters"]
        values["accuracy"] = float(np.mean([value["measured"] for value in accuracies]))
        values["low"], values["high"] = cells.combined(accuracies, weights)
        rows.append(dict(zip(COLUMNS, key)) | values | {"tasks": len(accuracies)})
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def place(key: Cell) -> Cell:
    """Returns the place of (role, backbone, method, device) in the table."""
    role, backbone, method, device = key
    return device, style.place(role, ROLES), backbone, style.place(method, METHODS), method


def grouped(records: list[Record]) -> dict[Cell, dict[str, list[Record]]]:
    """Returns (role, backbone, method, device) -> dataset -> its records, one per seed."""
    groups: dict[Cell, dict[str, list[Record]]] = {}
    for record in same_origin(records):
        task, spec = cells.dataset_of(record), record["spec"]
        if not task or record["task"]["shift"]:
            continue
        key = record["backbone"]["role"], spec["backbone"], spec["method"], record["device"]
        group = groups.setdefault(key, {}).setdefault(task, [])
        if any(other["spec"]["seed"] == spec["seed"] for other in group):
            raise RecordError(
                f"two records for {spec['method']} of {spec['backbone']} on {spec['task']}, seed "
                f"{spec['seed']}; select one variant"
            )
        group.append(record)
    return groups


def gaps_of(frame: pandas.DataFrame, scale: Scale) -> list[str]:
    """Returns what was not run, in words, and which rows are about fewer datasets than others.

    Where the user chose the datasets none of the paper's lacks.
    """
    if scale.chosen_datasets and len(frame):
        return []
    expected = [row for name in ("vision_language", "vision") for row in cells.rows_of(name)]
    there = set(zip(frame.role, frame.method))
    absent = [
        f"{style.role_name(role)} {style.short_name(method)}"
        for role, method in expected
        if (role, method) not in there
    ]
    missing = [", ".join(absent)] if absent else []
    most = len(cells.tasks_of(shift=False))
    fewer: dict[int, list[str]] = {}
    for row in frame[frame.tasks < most].itertuples():
        name = f"{style.role_name(row.role)} {style.short_name(row.method)}"
        fewer.setdefault(most - row.tasks, []).append(name)
    missing += [
        f"{count} of {most} datasets of {', '.join(names)}" for count, names in fewer.items()
    ]
    return missing


def draw_panel(axes: "Axes", frame: pandas.DataFrame, column: str) -> "Axes":
    """Returns `axes` with a point per backbone (shape) and method (fill and colour)."""
    for row in frame.itertuples():
        entry = style.described(row.method)
        axes.errorbar(
            getattr(row, column), row.accuracy,
            style.whiskers(row.accuracy, row.low, row.high),
            fmt=MARKERS.get(row.role, OTHER_MARKER),
            color=entry.shown_colour, fillstyle=entry.fill, markersize=6, elinewidth=0.8,
        )  # fmt: skip
    if column == "seconds":
        style.logarithmic(axes, frame.seconds)
    else:
        axes.set_xscale("symlog", linthresh=100)  # a text prompt trains none, and log knows no zero
    axes.set_xlabel(AXES[column])
    axes.set_ylim(0, 105)
    axes.grid(linewidth=0.4, color="#cccccc", which="major")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def legend(frame: pandas.DataFrame) -> "tuple[list[Artist], list[str]]":
    """Returns (handles, names) of the methods and models that are in `frame`."""
    from matplotlib.lines import Line2D

    handles = {}
    for method in frame.method.unique():
        entry = style.described(method)
        look = {"color": entry.shown_colour, "fillstyle": entry.fill}
        handles[entry.display] = Line2D([], [], marker="o", linestyle="none", **look)
    for role, names in frame.groupby("role", sort=False).backbone.unique().items():
        look = {"color": "black", "fillstyle": "none", "marker": MARKERS.get(role, OTHER_MARKER)}
        called = ", ".join(dict.fromkeys(map(style.backbone_name, names)))
        handles[called] = Line2D([], [], linestyle="none", **look)
    return list(handles.values()), list(handles)


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: mean accuracy against seconds and parameters, a row per device."""
    import matplotlib.pyplot as plt

    style.set_theme()
    devices = list(frame.device.unique()) or [None]
    figure = plt.figure(figsize=(style.WIDTH, 1.2 + 2.4 * len(devices)), layout="constrained")
    title = "Accuracy against cost on this machine; other machines need other times"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if frame.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(len(devices), 2, sharey=True, squeeze=False)
    for row, device in zip(panels, devices):
        for axes, column in zip(row, AXES):
            draw_panel(axes, frame[frame.device == device], column)
            axes.set_title(f"Device: {device}")
        row[0].set_ylabel("Mean accuracy over\nthe datasets (%)")
    handles, names = legend(frame)
    figure.legend(
        handles, names, title=gaps.note(missing), title_fontsize=7,
        loc="outside lower center", ncols=8, frameon=False, handletextpad=0.1, columnspacing=1,
    )  # fmt: skip
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = costs(records)
    scale = scale_of(records)
    missing = gaps.warn(gaps_of(frame, scale))
    write_csv(frame, out)
    style.save(draw(frame, scale, missing), figures, "cost")
