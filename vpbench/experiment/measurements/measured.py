"""What needs torch but is no run; one file per measurement, each with `measure`.

`measure(load, settings, runs, device)` gets the task by `load(preprocessing)`, its images as the
backbone in question takes them, and returns a `Measured`.
"""

from typing import NamedTuple

from vpbench.data.task import Task


class Measured(NamedTuple):
    """The task that was measured, tidy rows, and arrays that the rows are about."""

    task: Task
    rows: list[dict]
    arrays: dict = {}
