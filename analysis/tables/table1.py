"""Table 1: accuracy on 12 datasets with CLIP; measured, with the paper's number beside it."""

import sys

from analysis.common import cells, published, render, runs

LEGEND = "Visual prompt above linear probe"


def write_table(records, out):
    """Returns the paths of the table's files."""
    frame = cells.table(
        records, published.accuracies(1), "vision_language", shift=False, beats=("linear_probe",)
    )
    scale = runs.scale_of(records)
    return render.write(out, frame, *render.layout(frame, scale), render.header(scale), LEGEND)


def main(argv=None):
    """Returns the exit code."""
    return runs.run(__doc__, write_table, argv)


if __name__ == "__main__":
    sys.exit(main())
