"""Numbers and tables as Markdown."""

from collections.abc import Iterable, Sequence

Row = dict[str, str]  # of a table, by column; empty where there is nothing


def number(value: str | float, decimals: int = 1) -> str:
    """Returns a number with so many decimals, empty for a missing one; minus signs are long."""
    if value == "":
        return ""
    text = f"{float(value):,.{decimals}f}"
    zero = f"{0:.{decimals}f}"
    return zero if text == f"-{zero}" else text.replace("-", "\N{MINUS SIGN}")


def interval(row: Row, value: str = "measured", decimals: int = 1) -> str:
    """Returns a measured number of a row with its 95 % interval, empty for a missing one."""
    if not row[value]:
        return ""
    low, high = (number(row[name], decimals) for name in ("low", "high"))
    return f"{number(row[value], decimals)} ({low} to {high})"


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Returns a Markdown table; a line break or bar in a cell does not end it."""
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(f"| {' | '.join(cell(each) for each in line)} |\n" for line in lines)


def cell(value: str) -> str:
    """Returns the text of a cell in one line."""
    return " ".join(str(value).replace("|", r"\|").split())


def listed(names: Sequence[str]) -> str:
    """Returns names as a list in words: a, b and c."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else "none"


def markdown_tables(text: str) -> list[list[Row]]:
    """Returns the tables of a Markdown text, each as rows by column."""
    tables: list[list[Row]] = []
    heads: list[str] | None = None
    for line in text.splitlines():
        cells = [each.strip() for each in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            heads = None
        elif heads is None:
            heads = cells
            tables.append([])
        elif not set(line) <= set("|-: "):
            tables[-1].append(dict(zip(heads, cells, strict=True)))
    return tables
