"""Captions of tables and figures: the files that Snakemake's report shows as well."""

import re
from pathlib import Path

from vpbench.spec.analyses import ANALYSES
from vpbench.spec.outside import caption_of

APOSTROPHE = "\N{RIGHT SINGLE QUOTATION MARK}"


def read(path: Path) -> str:
    """Returns the caption in the file `path` as plain text in one line, empty if there is none."""
    if not path.exists():
        return ""
    text = re.sub(r"[`*]+", "", path.read_text(encoding="utf-8"))
    return typographic(" ".join(text.split()))


def of_analysis(name: str, folder: Path) -> str:
    """Returns the caption of an analysis likewise; one from outside has it beside its module."""
    entry = ANALYSES.get(name)
    return read(caption_of(name, entry.module, folder) if entry else folder / f"{name}.rst")


def typographic(text: str) -> str:
    """Returns a text with curly apostrophes."""
    return text.replace("'", APOSTROPHE)


def first_sentence(text: str) -> str:
    """Returns a text up to its first full stop."""
    return re.split(r"(?<=[.])\s", text)[0]
