"""The reference run beside this one, where its tables are unpacked; else nothing is shown of it.

What this run found is decided before, from its own records alone; nothing that decides reads this.
"""

from pathlib import Path

import pandas

from analysis.common import cells, render
from analysis.common.aliases import Row
from analysis.common.effects import APPEARS, CONTRARY
from analysis.common.scales import Scale

FOLDER = "reference"  # within the results
Table = dict[tuple[str, str, str], str]  # model, method, head of the column -> what was measured


def folder(results: Path, scale: Scale) -> Path | None:
    """Returns the folder of the reference run; None without one.

    Its datasets are twins, so beside others it is not shown.
    """
    path = results / FOLDER
    return path if scale.painted and path.is_dir() else None


def table(path: Path, scale: Scale) -> Table:
    """Returns the cells of a table of the reference run; none if it does not have that table."""
    if not path.exists():
        return {}
    frame = pandas.read_csv(path)
    if not set(cells.COLUMNS) <= set(frame):
        return {}
    heads, rows = render.layout(frame, scale)
    return {
        (row[0][0], row[1][0], head): cell[0]
        for row in rows[1:]  # below chance
        for head, cell in list(zip(heads, row))[2:]
    }


def contradictions(claims: list[Row]) -> list[Row]:
    """Returns the findings of which one run says that they appear and the other that not."""
    return [
        row
        for row in claims
        if {row["verdict"], row["reference"].get("verdict")} == {APPEARS, CONTRARY}
    ]
