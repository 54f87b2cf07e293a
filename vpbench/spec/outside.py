"""What installed distributions add: methods, forms of a prompt, label maps, backbones, analyses.

Each is an entry point of a group of GROUPS: its name is the name in configurations, its object the
description, without torch. Names are read when a catalogue is made. A description is imported when
it is looked up, so that a package may describe all that it brings in one module, which imports the
catalogues itself.
"""

import re
import types
import typing
from collections import UserDict
from collections.abc import Collection, Mapping
from functools import cache
from importlib import metadata, util
from pathlib import Path
from typing import Any, TypeVar

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line
from vpbench.spec.result_files import PLAIN

GROUPS = tuple(
    f"vpbench.{what}" for what in ("methods", "prompts", "label_maps", "backbones", "analyses")
)
Entry = TypeVar("Entry", bound=tuple[Any, ...])
WORDS: dict[type, str] = {
    str: "a text", bool: "true or false", int: "a whole number", float: "a number",
    dict: "a dict", tuple: "a tuple", types.NoneType: "None",
}  # fmt: skip


@cache
def entry_points() -> tuple[metadata.EntryPoint, ...]:
    """Returns the entry points of GROUPS of all installed distributions."""
    points: dict[str, list[metadata.EntryPoint]] = {}  # of distributions, the first on the path
    for each in metadata.distributions():
        if "vpbench." in (each.read_text("entry_points.txt") or ""):  # few are worth parsing
            points.setdefault(each.name, [one for one in each.entry_points if one.group in GROUPS])
    return tuple(point for of_one in points.values() for point in of_one)


class Catalogue(UserDict[str, Entry]):
    """Name -> description: the suite's own, then those of the entry points of a `group`.

    `legal` says which values a field of theirs may have, `taken` which names are none of the
    suite's descriptions and cannot be given either.
    """

    def __init__(
        self,
        group: str,
        kind: type[Entry],
        own: Mapping[str, Entry],
        legal: Mapping[str, Collection[Any]] | None = None,
        taken: Collection[str] = (),
    ):
        super().__init__(own)
        self.kind, self.legal, self.taken = kind, legal or {}, {*own, *taken}
        self.points: dict[str, list[metadata.EntryPoint]] = {}  # of outside names
        self.waiting: set[str] = set()  # names whose descriptions were not looked up yet
        for point in entry_points():
            if point.group == group:
                self.points.setdefault(point.name, []).append(point)
                self.waiting.add(point.name)
                self.data.setdefault(point.name, typing.cast(Any, None))

    def __getitem__(self, name: str) -> Entry:
        if name in self.waiting:
            self.data[name] = self.described(name)
            self.waiting.discard(name)
        return self.data[name]

    def is_ours(self, name: str) -> bool:
        """Returns whether a description is the suite's own, or none that is installed."""
        return name not in self.points

    def package(self, name: str) -> tuple[str, str]:
        """Returns (name, version) of the distribution that brings a description from outside."""
        return distribution(self.points[name][0])

    def described(self, name: str) -> Entry:
        """Returns the description that the entry point of a name stands for.

        Raises UserError, in one line that names the distribution, if there is none to use.
        """
        point, *others = self.points[name]
        where = f"{brought_by(point)}: {point.group} {brief(name)}"
        if name in self.taken:
            raise UserError(f"{where}: the suite has that name already; give it another")
        if others:
            raise UserError(f"{where}: {brought_by(others[0])} has that name too; remove one")
        if not re.search(PLAIN, name):
            raise UserError(f"{where} is no plain name; use a-z, 0-9 and _")
        try:
            entry = point.load()
        except Exception as error:  # of any kind: it is someone's module
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise UserError(f"{where}: {point.value} is not imported, {reason}") from error
        if not isinstance(entry, self.kind):
            wanted = f"vpbench.spec {self.kind.__name__}"
            raise UserError(f"{where}: {point.value} is {brief(entry)}, expected a {wanted}")
        wrong = complaint(entry, self.legal)
        if wrong:
            raise UserError(f"{where}: {point.value}: {wrong}")
        return entry


def complaint(entry: Any, legal: Mapping[str, Collection[Any]]) -> str | None:
    """Returns what is wrong with a field of a description, in words, or None."""
    for field, hint in typing.get_type_hints(type(entry)).items():
        value = getattr(entry, field)
        kinds = kinds_of(hint)
        bare = bool not in kinds and isinstance(value, bool)
        if bare or not isinstance(value, (*kinds, *((int,) if float in kinds else ()))):
            wanted = " or ".join(WORDS.get(kind, kind.__name__) for kind in kinds)
            return f"{field} is {brief(value)}, expected {wanted}"
        held = typing.get_args(hint)[1:] if dict in kinds else ()
        inner = typing.cast(dict[str, Any], value) if held and isinstance(held[0], type) else {}
        for each in inner.values():
            if not isinstance(each, held[0]):
                return f"{field} has {brief(each)}, expected {held[0].__name__}"
        for each in value if isinstance(value, tuple) else (value,):
            if field in legal and each not in legal[field]:
                return f"{field} is {brief(each)}, choose of: {', '.join(map(str, legal[field]))}"
    return None


def kinds_of(hint: Any) -> tuple[type, ...]:
    """Returns the classes of which a value with a type hint may be."""
    if typing.get_origin(hint) in (types.UnionType, typing.Union):
        return tuple(kind for each in typing.get_args(hint) for kind in kinds_of(each))
    return (typing.get_origin(hint) or hint,)


def brought_by(point: metadata.EntryPoint) -> str:
    """Returns the name and version of the distribution of an entry point."""
    return " ".join(distribution(point))


def distribution(point: metadata.EntryPoint) -> tuple[str, str]:
    """Returns (name, version) of the distribution of an entry point."""
    known: Any = point.dist  # which of an installed one is there
    return known.name, known.version


def files_of(module: str) -> list[str]:
    """Returns the source files of the folder that a module lies in: what it may import there."""
    file = file_of(module)
    return sorted(path.as_posix() for path in file.parent.glob("*.py")) if file else []


def caption_of(name: str, module: str, folder: Path) -> Path:
    """Returns where the caption of an analysis is: in the folder of all, else beside its module.

    There may be none.
    """
    path = folder / f"{name}.rst"
    file = None if path.is_file() else file_of(module)
    return file.with_name(path.name) if file else path


def file_of(module: str) -> Path | None:
    """Returns the source file of a module that is not imported for it; None without one."""
    try:
        found = util.find_spec(module)
    except (ImportError, ValueError):
        return None
    source = found.origin if found and found.has_location else None
    return Path(source) if source and source.endswith(".py") else None
