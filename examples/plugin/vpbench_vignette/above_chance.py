"""Above chance: by how much each run beats guessing."""

from pathlib import Path
from typing import Any

import pandas

from analysis.common.csv_file import write_csv

CELL = ("task", "backbone", "method", "variant", "seed")


def write(records: list[dict[str, Any]], out: Path) -> None:
    """Writes the csv file: a row per run, in percent."""
    rows = []
    for record in records:
        accuracy = record["selection"][record["rule"]]["test"]["accuracy"]
        row = {key: record["spec"][key] for key in CELL}
        rows.append(row | {"above_chance": accuracy - record["task"]["chance"]})
    write_csv(pandas.DataFrame(rows, columns=[*CELL, "above_chance"]), out)
