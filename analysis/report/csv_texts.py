"""CSV files as texts: their heads and rows, and their numbers as people read them."""

import base64
import csv
import math
from decimal import Decimal
from pathlib import Path

Table = tuple[list[str], list[list[str]]]  # heads and rows of a csv file


def read_csv(path: Path) -> Table | None:
    """Returns (heads, rows of texts) of a CSV file, None if it is not there."""
    if not path.exists():
        return None
    with open(path, encoding="utf-8", newline="") as file:
        heads, *rows = list(csv.reader(file)) or [[]]
    return heads, rows


def dictionaries(table: Table | None) -> list[dict[str, str]]:
    """Returns the rows of a table as dicts, none of a table that is not there."""
    heads, rows = table or ([], [])
    return [dict(zip(heads, row)) for row in rows]


def is_number(text: str) -> bool:
    """Returns whether a text is a number."""
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def short(text: str) -> str:
    """Returns a number as it is read: a real minus and few decimals; any other text as it is."""
    if not is_number(text):
        return text
    number = Decimal(text)
    most = 0 if abs(number) >= 1000 else 1 if abs(number) >= 1 else 2
    decimals = min(most, max(0, -int(number.as_tuple().exponent)))
    return f"{number:,.{decimals}f}".replace("-", "\N{MINUS SIGN}")


def data_url(kind: str, data: bytes) -> str:
    """Returns the address that holds the bytes `data` themselves."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
