"""Recipe search: validation accuracy of each variant of a recipe; the test split is never read."""

import sys

import pandas

from analysis import runs


def search(records):
    """Returns one row per backbone, method and variant: validation accuracy per task and mean.

    The accuracy is that of the last epoch, averaged over seeds; `best` marks the largest mean of
    each backbone and method. A mean needs every task that any variant has.
    """
    frame = pandas.DataFrame(
        {
            "backbone": record["spec"]["backbone"],
            "method": record["spec"]["method"],
            "variant": record["spec"]["variant"],
            "task": record["spec"]["task"],
            "accuracy": record["selection"]["last"]["validation"]["accuracy"],
        }
        for record in records
    )
    if frame.empty:
        return pandas.DataFrame(columns=["backbone", "method", "variant", "mean", "best"])
    keys = ["backbone", "method", "variant"]
    rows = frame.pivot_table(index=keys, columns="task", values="accuracy", aggfunc="mean")
    rows["mean"] = rows.mean(axis=1, skipna=False)
    rows["best"] = rows["mean"] == rows.groupby(keys[:2])["mean"].transform("max")
    return rows.reset_index()


def write_table(records, out):
    """Returns the path of the csv file."""
    return runs.write_csv(search(records), out)


def main(argv=None):
    """Returns the exit code."""
    return runs.run(__doc__, write_table, argv)


if __name__ == "__main__":
    sys.exit(main())
