"""What is called what in signatures."""

from typing import Any

Record = dict[str, Any]  # of a run or a measurement, as vpbench.records.reading loads it
Row = dict[str, Any]  # column of a csv file -> value; of an effect also measured, low and high
Cell = tuple[Any, ...]  # where a row belongs, e.g. (role, method, dataset)
Groups = dict[Cell, list[Record]]  # cell -> its runs, one per seed
