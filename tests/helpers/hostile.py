"""Files as nobody should hand them to us: valid ones that were damaged, and what must come of it.

More examples: HOSTILE_EXAMPLES=20 pytest -k hostile makes twenty times as many.
"""

import copy
import json
import os
import pickle
import sys
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from vpbench.common.errors import UserError

FACTOR = int(os.environ.get("HOSTILE_EXAMPLES", 1))
LONGEST = 1500  # characters that a person reads of a complaint, without the names of its files
HARM = ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.remove", "os.rename")
_watched = []  # (event, path) while something watches, see `watched`
_watching = False


def examples(count):
    """Returns the settings of a property: the same `count` examples in every run."""
    return settings(
        max_examples=count * FACTOR,
        derandomize=True,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )


def _note(event, arguments):
    if _watching and (event in HARM or event in ("open", "os.scandir", "os.listdir")):
        if not arguments or isinstance(arguments[0], str | bytes | os.PathLike | type(None)):
            place = os.fspath(arguments[0]) if arguments and arguments[0] is not None else "."
            mode = arguments[1] if event == "open" else None
            _watched.append((event, os.fsdecode(place), mode))


sys.addaudithook(_note)


@contextmanager
def watched(allowed=()):
    """Yields a list that will say which files were opened meanwhile; nothing else may happen."""
    global _watching
    _watched.clear()
    _watching, found = True, []
    try:
        yield found
    finally:
        _watching = False
        found += _watched
    assert not [event for event in found if event[0] in HARM and event[0] not in allowed]


def only_reads_below(folder, found):
    """Returns whether nothing in `found` was written, and of tmp nothing read beside `folder`."""
    folder, parent = os.path.realpath(folder), os.path.realpath(folder.parent)
    for event, place, mode in found:
        real = os.path.realpath(place)
        if event == "open" and isinstance(mode, str) and set(mode) & set("wax+"):
            return False
        if real.startswith(parent + os.sep) and not (real + os.sep).startswith(folder + os.sep):
            return False
    return True


def value_or_line(read, *names):
    """Returns what `read()` returns, or None after one line that has one of `names` in it.

    Any other exception than a UserError, or one that a library raised, is a failure.
    """
    try:
        return read()
    except UserError as error:
        line = str(error)
        assert len(line.splitlines()) == 1, repr(line)
        assert line.isprintable() or all(ord(letter) >= 32 for letter in line), repr(line)
        assert any(str(name) in line for name in names), repr(line)
        assert len(line) - sum(line.count(str(n)) * len(str(n)) for n in names) < LONGEST, line
        return None


def damaged(data):
    """Returns bytes that were `data` before they were cut, flipped, mixed or written anew."""
    place = st.integers(0, max(0, len(data) - 1))
    bits = st.lists(st.tuples(place, st.integers(0, 7)), min_size=1, max_size=6)
    pieces = st.tuples(place, st.binary(min_size=1, max_size=12), st.booleans())
    whole = [b"", b"\0", b"\xef\xbb\xbf" + data, b"\xff\xfe" + data, data + data, data + b"\0" * 9]
    return st.one_of(
        place.map(lambda end: data[:end]),
        place.map(lambda start: data[start:]),
        bits.map(lambda flips: _flipped(data, flips)),
        pieces.map(lambda piece: _pieced(data, *piece)),
        st.sampled_from(whole),
        st.binary(max_size=64),
    )


def _flipped(data, flips):
    found = bytearray(data)
    for place, bit in flips:
        if found:
            found[place] ^= 1 << bit
    return bytes(found)


def _pieced(data, place, piece, inserted):
    return data[:place] + piece + data[place + (0 if inserted else len(piece)) :]


def deep(levels, inner=0):
    """Returns a list in a list in a list."""
    for _ in range(levels):
        inner = [inner]
    return inner


ODD = [
    *(None, True, False, 0, 1, -1, 7.0, 2**31, 2**63, -(2**64), 10**400, 1e308, 0.5),
    *(float("inf"), float("-inf"), float("nan"), "", " ", "a", "\0", "a\nb", "\x1b[2J", "\u2028"),
    *("..", "../..", "/etc/passwd", "a/../../b", "\ud800", "\udcff", "x" * 3000, "{}", "{0.a}"),
    *([], {}, [[]], [None], {"": None}, {"a": {"a": {}}}, [0, "a"], ["a", "a"], deep(60)),
]  # fmt: skip
ODD_VALUES = st.one_of(
    st.sampled_from(ODD),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.recursive(
        st.none() | st.booleans() | st.integers(-3, 300) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
)
REMOVED, TWICE = object(), object()


def changed(document, values=ODD_VALUES):
    """Returns documents like `document`, but with odd values, without some, or with new keys."""
    place = st.sampled_from(list(_places(document)))
    what = st.one_of(values, st.just(REMOVED), st.just(TWICE))
    edits = st.lists(st.tuples(place, what, st.text(max_size=8)), min_size=1, max_size=2)
    return edits.map(lambda some: _edited(document, some))


def _places(document, path=()):
    yield path
    if isinstance(document, dict | list):
        keys = document if isinstance(document, dict) else range(len(document))
        for key in keys:
            yield from _places(document[key], (*path, key))


def _edited(document, edits):
    box = [copy.deepcopy(document)]
    for path, what, name in edits:
        holder, (*way, last) = box, (0, *path)
        try:
            for key in way:
                holder = holder[key]
            if what is REMOVED and path:
                del holder[last]
            elif what is TWICE and isinstance(holder, list):
                holder.append(holder[last])
            elif what is TWICE:
                holder[name] = holder[last]
            elif what is not REMOVED:
                holder[last] = copy.deepcopy(what)
        except (KeyError, IndexError, TypeError):  # an earlier edit has taken the place away
            continue
    return box[0]


def as_json(document):
    """Returns `document` as Python writes it, NaN and half characters included."""
    return json.dumps(document).encode()


class Planted:
    """What makes the file `marker` if anybody unpickles it."""

    def __init__(self, way, marker):
        self.way, self.marker = way, str(marker)

    def __reduce__(self):
        return self.way(self.marker)


def _open(marker):
    return open, (marker, "w")


def _system(marker):
    return os.system, (f"touch {marker}",)


def _eval(marker):
    return eval, (f"open({marker!r}, 'w')",)


def _exec(marker):
    return exec, (f"open({marker!r}, 'w')",)


WAYS = st.sampled_from([_open, _system, _eval, _exec])


def holding(way, marker, protocol=2):
    """Returns a pickle of a dict with a payload in it."""
    return pickle.dumps({"a": 1, "state_dict": Planted(way, marker)}, protocol)
