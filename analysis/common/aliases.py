"""What JSON objects are called in signatures."""

from typing import Any

Record = dict[str, Any]  # of a run or a measurement, as vpbench.records.reading loads it
Row = dict[str, Any]  # of a csv file: column -> value
