"""Table 2: accuracy under distribution shift with CLIP; the paper shades nothing here."""

import sys

from analysis.common import cells, published, render, runs


def write_table(records, out):
    """Returns the paths of the table's files."""
    frame = cells.table(records, published.accuracies(2), "vision_language", shift=True)
    scale = runs.scale_of(records)
    return render.write(out, frame, *render.layout(frame, scale), render.header(scale))


def main(argv=None):
    """Returns the exit code."""
    return runs.run(__doc__, write_table, argv)


if __name__ == "__main__":
    sys.exit(main())
