"""Accuracy as a table: a row per backbone and method, a column per dataset, whatever they are."""

import sys

from analysis.common import render, runs, style
from analysis.tables import accuracy
from vpbench.spec.methods import METHODS

LEGEND = "Visual prompt above linear probe"


def layout(frame, scale):
    """Returns (heads, rows) of the rows of `accuracy.accuracies`; the first row is chance."""
    tasks = list(dict.fromkeys(frame.task))
    heads = ["Backbone", "Method", *(style.task_name(task, scale) for task in tasks)]
    chance = frame.groupby("task").chance.first()
    rows = [["Chance", "", *(render.one(chance[task]) for task in tasks)]]
    rows = [[render.label(text) for text in row] for row in rows]
    for (backbone, method), group in frame.groupby(["backbone", "method"], sort=False):
        row = [render.label(backbone), render.label(METHODS[method].display)]
        by_task = {one.task: one for one in group.itertuples()}
        rows.append([*row, *(cell(frame, by_task.get(task)) for task in tasks)])
    return heads, rows


def cell(frame, row):
    """Returns the cell of a row of `frame`: accuracy and interval, shaded if VP is above LP."""
    if row is None:
        return render.label("")
    same = (frame.task == row.task) & (frame.backbone == row.backbone)
    probes = frame[same & (frame.method == "linear_probe")].accuracy
    shaded = row.method == "visual_prompt" and len(probes) and row.accuracy > probes.iloc[0]
    text = f"{render.one(row.accuracy)} [{render.one(row.low)}, {render.one(row.high)}]"
    return text, "", bool(shaded)


def write_table(records, out):
    """Returns the paths of the table's files."""
    frame, scale = accuracy.accuracies(records), runs.scale_of(records)
    header = f"{style.SCALES[scale]}; test accuracy in % with its 95 % interval"
    return render.write(out, frame, *layout(frame, scale), header, LEGEND)


def main(argv=None):
    """Returns the exit code."""
    return runs.run(__doc__, write_table, argv)


if __name__ == "__main__":
    sys.exit(main())
