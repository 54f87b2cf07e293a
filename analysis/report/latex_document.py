"""All tables as one LaTeX document, a page each, with captions; pdflatex makes it a PDF."""

import re
from pathlib import Path

from analysis.common import coverage, render
from analysis.common.captions import of_analysis
from vpbench.common import atomic_files

HEAD = r"""% Made by python -m analysis latex_document; compile it with pdflatex.
\documentclass[10pt]{article}
\usepackage[T1]{fontenc}
\usepackage{lmodern,amssymb,booktabs,graphicx}
\usepackage[table]{xcolor}
\usepackage[a4paper,landscape,margin=18mm]{geometry}
\setlength{\abovecaptionskip}{0pt}\setlength{\belowcaptionskip}{2ex}
\makeatletter\setlength{\@fptop}{0pt}\makeatother % tables begin at the top of their page
% The two lines of a cell, the first in line with the row's label
\renewcommand{\shortstack}[1]{\begin{tabular}[t]{@{}c@{}}#1\\[2pt]\end{tabular}}
\newsavebox{\tablebox}
\newcommand{\fitted}{% a table that is wider than the page is made smaller
  \ifdim\wd\tablebox>\linewidth\resizebox{\linewidth}{!}{\usebox{\tablebox}}%
  \else\usebox{\tablebox}\fi}
\begin{document}
"""
SYMBOLS = {  # what neither the fonts nor an accent on a letter give
    "\N{MINUS SIGN}": r"\ensuremath{-}",
    "\N{MULTIPLICATION SIGN}": r"\ensuremath{\times}",
    "\N{PLUS-MINUS SIGN}": r"\ensuremath{\pm}",
    "\N{LESS-THAN OR EQUAL TO}": r"\ensuremath{\leq}",
    "\N{GREATER-THAN OR EQUAL TO}": r"\ensuremath{\geq}",
    "\N{ALMOST EQUAL TO}": r"\ensuremath{\approx}",
    "\N{RIGHTWARDS ARROW}": r"\ensuremath{\rightarrow}",
    "\N{GREEK SMALL LETTER RHO}": r"\ensuremath{\rho}",
    "\N{DEGREE SIGN}": r"\ensuremath{^\circ}",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{LEFT SINGLE QUOTATION MARK}": "`",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{NO-BREAK SPACE}": "~",
    render.MARK: r"\ensuremath{\blacktriangle}",
}


def symbols(text: str) -> str:
    """Returns LaTeX with every character that pdflatex may not know replaced.

    A western European letter keeps its accent; of an unknown character the code is printed.
    """
    return "".join(map(symbol, text))


def symbol(character: str) -> str:
    """Returns one character of LaTeX in what pdflatex knows."""
    if character.isascii() or (character.isalpha() and ord(character) < 0x100):
        return character
    return SYMBOLS.get(character, rf"\texttt{{[U+{ord(character):04X}]}}")


def page(table: Path, folder: Path) -> str:
    """Returns the page of one table; of one that is not there it says so."""
    number = re.fullmatch(r"table(\d+)", table.stem)
    lines = [rf"\setcounter{{table}}{{{int(number[1]) - 1}}}"] if number else []
    caption = of_analysis(table.stem, folder) or table.stem
    lines += [r"\begin{table}[p]\centering", rf"\caption{{{symbols(render.escape(caption))}}}"]
    if table.exists():
        text = symbols(table.read_text(encoding="utf-8")).strip()
        lines += [r"\begin{lrbox}{\tablebox}", text, r"\end{lrbox}\fitted"]
    else:
        lines.append(rf"Not run: there is no \texttt{{{render.escape(table.name)}}}.")
    return "\n".join([*lines, r"\end{table}", r"\clearpage"]) + "\n"


def document(tables: list[Path], folder: Path) -> str:
    """Returns the whole document."""
    pages = "".join(page(table, folder) for table in tables) or "The configuration has no table.\n"
    note = f"\\noindent {coverage.said()} are there.\\clearpage\n" if coverage.said() else ""
    return HEAD + note + pages + "\\end{document}\n"


def write(tables: list[Path], captions: Path, out: Path) -> None:
    """Writes the document of the LaTeX files `tables`; their captions are in a folder."""
    atomic_files.write_bytes(out, document(tables, captions).encode())
