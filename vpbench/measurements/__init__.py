"""What needs torch but is no run; one file per measurement, each with `measure`."""

from typing import NamedTuple


class Measured(NamedTuple):
    """Tidy rows, and arrays that the rows are about."""

    rows: list[dict]
    arrays: dict = {}
