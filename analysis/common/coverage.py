"""How many of its runs are there: what each product of a folder of partial results names.

Where all have to be there, which is everywhere else, nothing is said.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import pandas

_SAID: ContextVar[str] = ContextVar("coverage", default="")
_COLUMN = re.compile(r"[\d,]+ of [\d,]+ (runs|measurements)")  # how the name of the column begins


@contextmanager
def counted(text: str) -> Iterator[None]:
    """Lets all products that are written in the block name `text`."""
    token = _SAID.set(text)
    try:
        yield
    finally:
        _SAID.reset(token)


def said() -> str:
    """Returns what products name, e.g. 12 of 31 runs; empty where nothing is said."""
    return _SAID.get()


def after(text: str) -> str:
    """Returns a text followed by what products name."""
    return f"{text}; {said()}" if said() else text


def beside(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Returns a frame with what products name as the name of its last column, which is empty.

    So a table without rows says it as well, and numbers stay in their columns.
    """
    return frame.assign(**{said(): ""}) if said() else frame


def column(heads: Iterable[str]) -> str:
    """Returns the column of `heads` that `beside` has added, empty if there is none."""
    return next((head for head in heads if _COLUMN.match(head)), "")
