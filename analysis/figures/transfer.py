"""Transfer: learned prompts on the other backbones, and on other tasks with the same classes."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas

from analysis.common import gaps, style
from analysis.common.aliases import Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.scales import Scale, scale_of
from analysis.figures.deployability import (
    ALL,
    by_seed,
    datasets,
    lacking,
    mean_accuracy,
    measured,
    same_prompts,
)
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.tasks import TASKS

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


COLUMNS = (
    *("task", "backbone", "target_task", "target_backbone", "accuracy", "unprompted", "own"),
    *("gain", "low", "high", "images", "seeds", "seed_variance", "tasks"),
)


def transfers(measurements: list[Record]) -> pandas.DataFrame:
    """Returns one row per prompt and place, its own included, in percent; `all` is the mean.

    The gain is that over the same backbone without a prompt on the same images, in percentage
    points, with a paired bootstrap over the images, widened by the variance of the seeds. `own` is
    the accuracy of the prompt that was learned for the target, where it was measured. The rows
    `all` are means over the tasks of the prompts that stayed on their task. Seeds are averaged
    first.
    """
    keys = "backbone", "target_task", "target_backbone"
    prompted, plain = (by_seed(measurements, name, keys) for name in ("correct", "unprompted"))
    moves: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for task, backbone, name, target in prompted:
        moves.setdefault((backbone, target), []).append((task, published(name), name))
    rows = []
    for backbone, target in [(a, b) for a in BACKBONES for b in BACKBONES if (a, b) in moves]:
        places = moves[backbone, target]
        stayed = [place for place in places if place[0] == place[1]]
        means = [(ALL, ALL, stayed)] if stayed else []
        for task, place, members in [*((*move[:2], [move]) for move in places), *means]:
            moved = [(source, backbone, name, target) for source, _, name in members]
            hits, without = ([correct[key] for key in moved] for correct in (prompted, plain))
            learned_there = [(its_place, target, name, target) for _, its_place, name in members]
            gain, low, high = same_prompts(list(zip(hits, without)))
            row: Row = {"task": task, "backbone": backbone, "target_task": place}
            row |= {"target_backbone": target, "gain": gain} | mean_accuracy(hits)
            row |= {"low": low, "high": high, "unprompted": mean_accuracy(without)["accuracy"]}
            row["own"] = math.nan
            if all(key in prompted for key in learned_there):
                row["own"] = mean_accuracy([prompted[key] for key in learned_there])["accuracy"]
            rows.append(row)
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def published(task: str) -> str:
    """Returns the paper's name of a task, its own where the paper has none."""
    return (TASKS[task].published if task in TASKS else None) or task


def gaps_in(measurements: list[Record], scale: Scale) -> list[str]:
    """Returns what was not run, in words: datasets of a model, or models to move prompts to."""
    backbones = {row["target_backbone"] for one in measurements for row in one["rows"]}
    alone = ["another model to move prompts to"] if len(backbones) == 1 else []
    return lacking(measured(measurements), scale) + alone


def draw_gains(
    axes: "Axes", cells: dict[Any, Any], rows: dict[Any, str], columns: dict[str, str], limit: float
) -> "AxesImage":
    """Returns the image of a heat map: `cells` maps (row, column) to a row of the csv.

    `rows` and `columns` map their keys to labels. A prompt on what it was learned for is framed.
    """
    import matplotlib.pyplot as plt

    table = [[cells.get((row, column)) for column in columns] for row in rows]
    gains = [[cell.gain if cell else math.nan for cell in row] for row in table]
    picture = axes.imshow(gains, cmap="PuOr", vmin=-limit, vmax=limit, aspect="auto")
    for y, x, cell in ((y, x, cell) for y, row in enumerate(table) for x, cell in enumerate(row)):
        if cell is None:
            axes.text(x, y, "not run", ha="center", va="center", fontsize=7)
            continue
        middle = {"ha": "center", "color": "white" if abs(cell.gain) > 0.6 * limit else "black"}
        axes.text(x, y, style.signed(cell.gain), va="bottom", fontsize=9.5, weight="bold", **middle)
        interval = f"{style.signed(cell.low)} to {style.signed(cell.high)}"
        axes.text(x, y + 0.06, interval, va="top", fontsize=7, **middle)
        if (cell.task, cell.backbone) == (cell.target_task, cell.target_backbone):
            corner = x - 0.47, y - 0.47
            axes.add_patch(plt.Rectangle(corner, 0.94, 0.94, fill=False, ec="black", lw=1.4))
    axes.set_xticks(range(len(columns)), columns.values())
    axes.set_yticks(range(len(rows)), rows.values())
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return picture


def draw_models(axes: "Axes", mean: pandas.DataFrame, limit: float) -> "AxesImage":
    """Returns the heat map of the mean gains, from every model to every model."""
    cells = {(row.backbone, row.target_backbone): row for row in mean.itertuples()}
    plain = {row.target_backbone: row.unprompted for row in mean.itertuples()}
    names = {name: style.backbone_name(name) for name in BACKBONES if name in plain}
    columns = {name: f"{names[name]}\n{plain[name]:.1f} % unprompted" for name in names}
    axes.set(xlabel="Model that it is used on", ylabel="Model that the prompt was learned for")
    return draw_gains(axes, cells, names, columns, limit)


def draw_datasets(axes: "Axes", moved: pandas.DataFrame, scale: Scale, limit: float) -> "AxesImage":
    """Returns the heat map of the gains on other datasets, a row per pair of datasets."""
    cells = {((row.task, row.target_task), row.backbone): row for row in moved.itertuples()}
    pairs = dict.fromkeys(pair for pair, _ in cells)
    rows = {pair: "\nto ".join(style.task_name(task, scale) for task in pair) for pair in pairs}
    columns = {name: style.backbone_name(name) for name in BACKBONES if name in set(moved.backbone)}
    axes.set_title("Used on another dataset with the same classes, by the model it was learned for")
    return draw_gains(axes, cells, rows, columns, limit)


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: mean gains between models and, if there are any, between datasets."""
    import matplotlib.pyplot as plt

    style.set_theme()
    mean, moved = frame[frame.task == ALL], frame[frame.task != frame.target_task]
    pairs = len(moved[["task", "target_task"]].drop_duplicates())
    heights = [0.7 * mean.backbone.nunique(), 0.6 * pairs]
    panels = 2 if heights[1] else 1
    size = style.WIDTH, 1.9 + sum(heights) + 0.5 * panels
    figure = plt.figure(figsize=size if len(mean) else (style.WIDTH, 3), layout="constrained")
    figure.suptitle(
        f"Gain in accuracy from prompts in other places, over no prompt (points)\n{scale.title}",
        fontsize=9.5,
    )
    if mean.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    limit = max(1.0, mean.gain.abs().max(), moved.gain.abs().max() if panels > 1 else 0)
    axes = figure.subplots(panels, 1, squeeze=False, height_ratios=heights[:panels])[:, 0]
    axes[0].set_title(
        f"Mean over {datasets(mean)} with 95 % interval; framed: the prompt where it was learned"
    )
    picture = draw_models(axes[0], mean, limit)
    note = gaps.note(missing)
    if panels > 1:
        draw_datasets(axes[1], moved, scale, limit)
    else:
        note += "\n" * bool(note) + (
            "No two of these datasets have the same classes in the same order: "
            "no prompt was moved to another dataset."
        )
    figure.colorbar(picture, ax=list(axes), label="Gain (points)", pad=0.02, aspect=30)
    figure.supxlabel(note, fontsize=7.5)
    return figure


def write(records: list[Record], measurements: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure; all it shows was measured beside the runs."""
    moved = [one for one in measurements if one["spec"]["measurement"] == "transfer"]
    same_origin(records)  # the runs whose prompts were measured
    scale = scale_of(moved or records)
    frame, missing = transfers(moved), gaps.warn(gaps_in(moved, scale))
    write_csv(frame, out)
    style.save(draw(frame, scale, missing), figures, "transfer")
