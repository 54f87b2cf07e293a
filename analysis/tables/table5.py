"""Table 5: accuracy under distribution shift with the vision models, the paper's beside it."""

import sys

from analysis.common import cells, published, render, runs

LEGEND = "Visual prompt above linear probe and fine-tuning"


def write_table(records, out):
    """Returns the paths of the table's files."""
    frame = cells.table(
        records, published.accuracies(5), "vision", shift=True, beats=("linear_probe", "fine_tune")
    )
    scale = runs.scale_of(records)
    return render.write(out, frame, *render.layout(frame, scale), render.header(scale), LEGEND)


def main(argv=None):
    """Returns the exit code."""
    return runs.run(__doc__, write_table, argv)


if __name__ == "__main__":
    sys.exit(main())
