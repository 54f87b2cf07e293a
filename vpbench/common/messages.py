"""What is said of other people's files and exceptions, fit for a message of one line."""

import errno
import re
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

BREAKING = ("Cc", "Cs", "Zl", "Zp")  # control characters, half characters, ends of lines
COLOURS = re.compile("\x1b\\[[0-9;]*m")  # for a terminal
LONGEST = 80  # characters shown of a value
LONGEST_LINE = 300  # and of what an exception says
NEAREST = 3  # names at most that are offered for an unknown one
WRITE_ERRORS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than is allowed here",
    errno.EACCES: "no permission to write here",
    errno.EPERM: "no permission to write here",
    errno.EROFS: "the disk is read-only",
}
NO_MEMORY = (  # in torch's words; the last ones are oneDNN's, which says no more than this
    *("out of memory", "can't allocate memory", "not enough memory"),
    "could not create a primitive",
)


def gigabytes(count: float) -> str:
    """Returns a number of bytes for people."""
    return f"{count / 1e9:.1f} GB" if count >= 1e8 else f"{count / 1e6:.1f} MB"


def one_line(text: object) -> str:
    """Returns `text`, e.g. the name of a file, with what would break a line escaped."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(
        letter.encode("unicode_escape").decode()
        if unicodedata.category(letter) in BREAKING
        else letter
        for letter in text
    )


def first_line(error: BaseException | str) -> str:
    """Returns the first line of an exception's message, or its kind where it says nothing.

    It is cut where it is long: some libraries say all that they have read.
    """
    said = COLOURS.sub("", str(error)).strip()
    line = one_line((said.splitlines() or [type(error).__name__])[0])
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 3] + "..."


def brief(value: object) -> str:
    """Returns how Python writes a value, cut where that is long."""
    text = one_line(repr(value))
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def instead(name: object, legal: Iterable[str], listed: str = "`vpbench list` prints all") -> str:
    """Returns what to do about an unknown name: the nearest ones, or all if they are few.

    Else it is `listed`, which says where all of them stand: a long catalogue is never printed.
    """
    names = list(map(str, legal))
    near = nearest(name, names)
    if near:
        return f"did you mean {' or '.join(near)}?"
    everything = ", ".join(names)
    return f"choose one of: {everything}" if len(everything) <= LONGEST else listed


def nearest(name: object, legal: Iterable[str]) -> list[str]:
    """Returns the names that look most like one that is none of them, the nearest first."""
    text = str(name)[:LONGEST].lower()
    names = {each.lower(): each for each in legal}
    close = get_close_matches(text, names, NEAREST)
    parts = [each for each in names if len(text) > 2 and text in each]  # cifar: cifar10, ...
    return [names[each] for each in dict.fromkeys(close + parts)][:NEAREST]


def not_written(error: OSError) -> str:
    """Returns why an OSError says that a file cannot be written."""
    return WRITE_ERRORS.get(error.errno or 0, error.strerror or str(error))


def out_of_memory(error: BaseException) -> bool:
    """Returns whether an exception says that the memory of the machine or device is too small."""
    text = str(error).lower()
    named = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"  # torch's
    return named or any(words in text for words in NO_MEMORY)
