"""JSON that people hand us, read strictly: what is not plain data of a sane size is refused."""

import json
import math
from pathlib import Path
from typing import Any

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line, one_line

DEEPEST = 50  # levels of lists and objects
MOST = 20_000_000  # values; a list of three million images has so many
LARGEST = 2**63  # whole numbers from here on fit no array


def read_json(path: str | Path) -> Any:
    """Returns the document in the JSON file `path`.

    Raises UserError, in one line that names the file, for anything else.
    """
    try:
        return parse_json(Path(path).read_bytes())
    except OSError as error:
        raise UserError(f"{one_line(path)}: not read, {error.strerror}") from None
    except ValueError as error:  # what is in it, or a name with a NUL
        raise UserError(f"{one_line(path)}: broken JSON, {first_line(error)}") from None


def parse_json(text: str | bytes) -> Any:
    """Returns the document in `text`, or in bytes of Unicode with or without a mark at the start.

    Raises UserError, in one line. Refuses what JSON forbids and Python reads (NaN), what one of
    two readers would lose (a key given twice), and what `check` refuses.
    """
    document: Any
    try:
        document = json.loads(
            text.removeprefix("\ufeff") if isinstance(text, str) else text,
            object_pairs_hook=_object, parse_int=_integer, parse_float=_number,
            parse_constant=_number,
        )  # fmt: skip
    except RecursionError:
        raise UserError(f"it is nested more than {DEEPEST} levels deep") from None
    except ValueError as error:  # no JSON, or no Unicode
        raise UserError(first_line(error)) from None
    check(document)
    return document


def check(document: Any, most: int = MOST) -> None:
    """Raises UserError unless a document is plain data that can be walked through.

    Refused, in one line: more than `most` values or `DEEPEST` levels (YAML's aliases can make
    either of a few lines), keys that are no text, and text that is not Unicode or holds a NUL.
    """
    level: list[Any] = [document]
    count = 1
    for _ in range(DEEPEST):
        for value in level:
            if isinstance(value, str):
                _check_text(value)
        level = [value for value in level if isinstance(value, dict | list | tuple)]
        count += sum(map(len, level))
        if count > most:
            raise UserError(f"it has more than {most:,} values")
        for key in (key for value in level if isinstance(value, dict) for key in value):
            if not isinstance(key, str):
                raise UserError(f"the key {brief(key)} is no text; put it in quotes")
            _check_text(key)
        level = [
            inner
            for value in level
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return
    raise UserError(f"it is nested more than {DEEPEST} levels deep")


def computable(value: float) -> bool:
    """Returns whether a number is finite, and fits an array if it is a whole one."""
    return abs(value) < LARGEST if isinstance(value, int) else math.isfinite(value)


def _check_text(text: str) -> None:
    try:
        if not text.isascii():
            text.encode()
    except UnicodeEncodeError:
        raise UserError(f"the text {brief(text)} is not Unicode") from None
    if "\0" in text:
        raise UserError(f"the text {brief(text)} holds a NUL")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for key, value in pairs:
        if key in members:
            raise UserError(f"the key {brief(key)} is given twice")
        members[key] = value
    return members


def _integer(text: str) -> int:
    value = int(text) if len(text) <= len(str(LARGEST)) + 1 else LARGEST
    if not computable(value):
        raise UserError(f"the number {text[:20]}{'...' * (len(text) > 20)} is too large")
    return value


def _number(text: str) -> float:
    value = float(text.replace("Infinity", "inf"))
    if not computable(value):
        raise UserError(f"{text[:20]}{'...' * (len(text) > 20)} is no number that is finite")
    return value
