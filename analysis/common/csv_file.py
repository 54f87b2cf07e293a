"""The csv file of a table or figure."""

from pathlib import Path

import pandas

from analysis.common import coverage
from vpbench.common import atomic_files


def write_csv(frame: pandas.DataFrame, out: Path) -> None:
    """Writes `frame` to the file `out`, whole; numbers have at most three decimals."""
    text = coverage.beside(frame.round(3)).to_csv(index=False, lineterminator="\n")
    atomic_files.write_bytes(out, text.encode())
