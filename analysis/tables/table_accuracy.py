"""Accuracy as a table: a row per backbone and method, a column per dataset, whatever they are."""

from pathlib import Path
from typing import Any

import pandas

from analysis.common import render, style
from analysis.common.aliases import Record
from analysis.common.render import Shown
from analysis.common.scales import Scale, scale_of
from analysis.figures import accuracy
from analysis.tables.paper_accuracy import SURELY

LEGEND = f"Visual prompt above linear probe: {SURELY}"


def layout(frame: pandas.DataFrame, scale: Scale) -> tuple[list[str], list[list[Shown]]]:
    """Returns (heads, rows) of the rows of `accuracy.accuracies`; the first row is chance."""
    tasks = list(dict.fromkeys(frame.task))
    heads = ["Backbone", "Method", *(style.task_name(task, scale) for task in tasks)]
    chance = frame.groupby("task").chance.first()
    texts = ["Chance", "", *(render.one(chance[task]) for task in tasks)]
    rows = [[render.label(text) for text in texts]]
    for (backbone, method), group in frame.groupby(["backbone", "method"], sort=False):
        row = [render.label(backbone), render.label(style.short_name(method))]
        by_task = {one.task: one for one in group.itertuples()}
        rows.append([*row, *(cell(frame, by_task.get(task)) for task in tasks)])
    return heads, rows


def cell(frame: pandas.DataFrame, row: Any) -> Shown:
    """Returns the cell of a row of `frame`: accuracy and interval, shaded if VP is above LP."""
    if row is None:
        return render.label("")
    same = (frame.task == row.task) & (frame.backbone == row.backbone)
    probe = frame[same & (frame.method == "linear_probe")]
    shaded = row.method == "visual_prompt" and (probe.difference_low > 0).any()
    text = f"{render.one(row.accuracy)} [{render.one(row.low)}, {render.one(row.high)}]"
    return text, "", bool(shaded)


def write(records: list[Record], out: Path) -> None:
    """Writes the table as csv, Markdown and LaTeX."""
    frame, scale = accuracy.accuracies(records), scale_of(records)
    header = f"{scale.title}; test accuracy in % with its 95 % interval"
    render.write(out, frame, *layout(frame, scale), header, LEGEND)
