"""Recipe search: validation accuracy of each variant of a recipe; the test split is never read."""

import sys

import pandas

from analysis import runs, style
from analysis.origin import same_origin


def search(records):
    """Returns one row per backbone, method and lr: validation accuracy per task and mean.

    The accuracy is that of the last epoch, averaged over seeds; `best` marks the largest mean of
    each backbone and method. A mean needs every task that any rate has.
    """
    frame = pandas.DataFrame(
        {
            "backbone": record["spec"]["backbone"],
            "method": record["spec"]["method"],
            "lr": record["spec"]["settings"]["lr"],
            "task": record["spec"]["task"],
            "accuracy": record["selection"]["last"]["validation"]["accuracy"],
        }
        for record in same_origin(records)
    )
    keys = ["backbone", "method", "lr"]
    if frame.empty:
        return pandas.DataFrame(columns=[*keys, "mean", "best"])
    rows = frame.pivot_table(index=keys, columns="task", values="accuracy", aggfunc="mean")
    rows["mean"] = rows.mean(axis=1, skipna=False)
    rows["best"] = rows["mean"] == rows.groupby(keys[:2])["mean"].transform("max")
    return rows.reset_index()


def draw(rows, scale):
    """Returns the figure: mean validation accuracy against the rate, a panel per method."""
    import matplotlib.pyplot as plt

    style.set_theme()
    methods = list(dict.fromkeys(rows.method)) or ["visual_prompt"]
    figure, panels = plt.subplots(
        1, len(methods), figsize=(style.WIDTH, 3), squeeze=False, layout="constrained"
    )
    for axes, method in zip(panels[0], methods):
        groups = rows[rows.method == method].groupby("backbone")
        for marker, (backbone, group) in zip("osD^v", groups):
            axes.plot(group.lr, group["mean"], marker=marker, label=backbone)
            best = group[group.best]
            axes.plot(best.lr, best["mean"], "o", color="none", mec="black", markersize=11)
        axes.set(xscale="log", xlabel="Learning rate", title=method)
        axes.legend(frameon=False, title="circled: chosen")
    panels[0, 0].set_ylabel("Mean validation accuracy (%)")
    figure.suptitle(style.SCALES[scale], fontsize=9.5)
    return figure


def write_search(records, out, figures):
    """Returns the paths of the figure's files."""
    rows = search(records)
    runs.write_csv(rows, out)
    return style.save(draw(rows, runs.scale_of(records)), figures, "recipe_search")


def main(argv=None):
    """Returns the exit code."""
    return runs.run(__doc__, write_search, argv, figures=True)


if __name__ == "__main__":
    sys.exit(main())
