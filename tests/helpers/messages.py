"""What a message must hold, whatever else its words are."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


def holds(message: str, *facts: object) -> None:
    """Asserts that a message is one line and has each of `facts` in it, as whole words.

    A number counts only as a number: neither 1 nor 100 is in 1.5 or 100,000.
    """
    assert len(message.splitlines()) == 1, f"not one line: {message!r}"
    missing = [fact for fact in facts if not _pattern(str(fact)).search(message)]
    assert not missing, f"{missing} not in {message!r}"


@contextmanager
def complains(kind: type[Exception], *facts: object) -> Iterator[None]:
    """Asserts that what is done inside raises a `kind`, in one line that has each of `facts`."""
    with pytest.raises(kind) as error:
        yield
    holds(str(error.value), *facts)


def _pattern(fact: str) -> re.Pattern[str]:
    """Returns the pattern of `fact` where no word or number goes on before or behind it."""
    before = r"(?<![\w.])" if fact[0].isdigit() else r"(?<!\w)" if fact[0].isalpha() else ""
    after = r"(?!\w|[.,]\d)" if fact[-1].isdigit() else r"(?!\w)" if fact[-1].isalpha() else ""
    return re.compile(before + re.escape(fact) + after)
