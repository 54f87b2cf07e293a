"""Tables as Markdown and LaTeX, each cell as "measured (published)".

A rendered table is a list of heads and rows of (measured, published, shaded); the first is text,
or empty where nothing was measured.
"""

from pathlib import Path
from typing import Any

import pandas

from analysis.common import coverage, style
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale
from vpbench.common import atomic_files

Shown = tuple[str, str, bool]  # of a cell: measured, published, shaded
MARK = "\N{BLACK UP-POINTING TRIANGLE}"
MISSING = "\N{EN DASH}"
GREEN = r"\cellcolor{green!20}"
ESCAPES = {character: f"\\{character}" for character in "&%$#_{}"}
ESCAPES |= {MISSING: "--", "\\": r"\textbackslash{}", "~": r"\textasciitilde{}"}
ESCAPES |= {"^": r"\textasciicircum{}"}


def layout(cells: pandas.DataFrame, scale: Scale) -> tuple[list[str], list[list[Shown]]]:
    """Returns (heads, rows) of tidy cells: a row per model and method, a column per task.

    The first row is the chance level of what was measured.
    """
    tasks = list(dict.fromkeys(cells.task))
    heads = ["Model", "Method", *(style.task_name(task, scale) for task in tasks)]
    chance = cells.groupby("task").chance.first()
    rows = [[label("Chance"), label(""), *(label(one(chance[task])) for task in tasks)]]
    for (role, method), group in cells.groupby(["role", "method"], sort=False):
        by_task = group.set_index("task").loc[tasks]
        labels = label(style.role_name(role)), label(style.method_name(method, role))
        numbers = zip(by_task.measured, by_task.published, by_task.shaded)
        rows.append([*labels, *((one(ours), one(theirs), mark) for ours, theirs, mark in numbers)])
    return heads, rows


def label(text: str) -> Shown:
    """Returns the cell of a plain text that is neither measured nor published."""
    return text, "", False


def fact(ours: Any, theirs: Any) -> Shown:
    """Returns the cell of two facts; the published one only where it differs."""
    ours, theirs = text_of(ours), text_of(theirs) or MISSING
    return ours, "" if theirs == (ours or MISSING) else theirs, False


def text_of(value: Any) -> str:
    """Returns a fact as text: counts with thousands' commas, nothing for a missing one."""
    if value is None or value != value:
        return ""
    return f"{value:,}" if isinstance(value, int) else str(value)


def one(number: float) -> str:
    """Returns a percentage with one decimal, empty for a missing one."""
    return "" if number != number else f"{number:.1f}"


def header(scale: Scale, where: str = "") -> str:
    """Returns the line that says at which scale the table was measured."""
    return f"{scale.title}; the paper's numbers in parentheses{where}"


def markdown(heads: list[str], rows: list[list[Shown]], header: str, legend: str = "") -> str:
    """Returns the table in Markdown, shaded cells bold with a triangle."""
    lines = [header + ".", "", "| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    lines += ["| " + " | ".join(markdown_cell(*cell) for cell in row) + " |" for row in rows]
    if legend:
        lines += ["", f"{MARK} {legend}."]
    return "\n".join(lines) + "\n"


def markdown_cell(measured: str, published: str, shaded: bool) -> str:
    """Returns one cell in Markdown."""
    measured = f"**{measured} {MARK}**" if shaded else measured or MISSING
    return (f"{measured} ({published})" if published else measured).replace("|", r"\|")


def latex(heads: list[str], rows: list[list[Shown]], header: str, legend: str = "") -> str:
    """Returns the table as a complete tabular; the published number stands below the measured."""
    count = len(heads)
    lines = [
        r"% needs \usepackage{booktabs} and \usepackage[table]{xcolor}",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{3pt}",
        rf"\begin{{tabular}}{{ll{'c' * (count - 2)}}}",
        rf"\multicolumn{{{count}}}{{l}}{{{escape(header)}.}}\\",
        r"\toprule",
        " & ".join(map(escape, heads)) + r"\\",
    ]
    grouped = len({row[0] for row in rows}) < len(rows)  # several methods of one model
    for row, before in zip(rows, [None, *rows]):
        if before is None or (grouped and row[0] != before[0]):
            lines.append(r"\midrule")
        lines.append(" & ".join(latex_cell(*cell) for cell in row) + r"\\")
    lines.append(r"\bottomrule")
    if legend:
        box = rf"\colorbox{{green!20}}{{\phantom{{0}}}} {escape(legend)}."
        lines.append(rf"\multicolumn{{{count}}}{{l}}{{{box}}}\\")
    return "\n".join([*lines, r"\end{tabular}\endgroup"]) + "\n"


def latex_cell(measured: str, published: str, shaded: bool) -> str:
    """Returns one cell in LaTeX."""
    text = escape(measured or MISSING)
    if published:
        text = rf"\shortstack{{{text}\\({escape(published)})}}"
    return (GREEN if shaded else "") + text


def escape(text: str) -> str:
    """Returns `text` with LaTeX's special characters escaped."""
    return "".join(ESCAPES.get(character, character) for character in text)


def write(
    out: Path,
    frame: pandas.DataFrame,
    heads: list[str],
    rows: list[list[Shown]],
    header: str,
    legend: str = "",
) -> None:
    """Writes a table as CSV to `out`, and beside it as Markdown (.md) and LaTeX (.tex).

    The legend says what shading means; it is left out where nothing is shaded.
    """
    write_csv(frame, out)
    if not any(shaded for row in rows for _, _, shaded in row):
        legend = ""  # beside a table without a triangle it would read as a result
    for suffix, text in ((".md", markdown), (".tex", latex)):
        document = text(heads, rows, coverage.after(header), legend)
        atomic_files.write_bytes(out.with_suffix(suffix), document.encode())
