"""The classes of a folder of images: their order and their names."""

import re
from collections.abc import Sequence
from pathlib import Path

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, one_line
from vpbench.data.folder_files import composed
from vpbench.spec.folder_names import ORDERS, Order, in_text_order, two_orders
from vpbench.spec.text_prompts import refine_class_name

FEW = 8  # classes that a complaint lists
FORM = "a line `folder<TAB>name` for each class, or JSON, says which is which"


def tidy(name: str) -> str:
    """Returns a name without spaces around it, its letters as most systems write them."""
    return composed(name).strip()


def class_key(name: str) -> str:
    """Returns what the names of one class share: case, `_`, `-` and more spaces do not count."""
    return " ".join(refine_class_name(composed(name)).casefold().split())


def order_of(class_order: str | None) -> Order:
    """Returns the function that orders classes as is asked for; None: in text order."""
    if class_order is None:
        return in_text_order
    if class_order not in ORDERS:
        raise UserError(f"class_order {class_order!r}: choose one of: {', '.join(ORDERS)}")
    return ORDERS[class_order]


def named(path: Path, folders: Sequence[str], ordered: bool) -> list[str]:
    """Returns the names that the file `path` gives to the classes `folders`, by label.

    `ordered` says that the order of `folders` is no guess. Raises UserError, in one line, for a
    file that leaves open which name is whose.
    """
    text = _read(path)
    lines = [line for line in text.splitlines() if line.strip()]
    if text.lstrip().startswith("{"):
        names = _by_folder(path, list(_parsed(path, text).items()), folders)
    elif any("\t" in line for line in lines):
        names = _by_folder(path, [_cells(path, line) for line in lines], folders)
    else:
        names = _in_order(path, lines, folders, ordered)
    for name in names:
        if one_line(name) != name or not name:
            raise UserError(
                f"{path}: the class name {brief(name)} is blank or has odd characters; mend it"
            )
    return names


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: class names not read, {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: class names not read, it is no UTF-8 ({error})") from None


def _parsed(path: Path, text: str) -> dict[str, str]:
    try:
        document = strict_json.parse_json(text)
    except UserError as error:
        raise UserError(f"{path}: class names not read, {error}") from None
    for value in document.values():
        if not isinstance(value, str):
            raise UserError(f"{path}: {brief(value)} is no class name; expected folder: name")
    return {str(key): value for key, value in document.items()}


def _cells(path: Path, line: str) -> tuple[str, str]:
    folder, tab, name = line.partition("\t")
    if not tab:
        raise UserError(f"{path}: the line {brief(line)} has no tab, others have; expected {FORM}")
    return folder, name


def _by_folder(path: Path, pairs: list[tuple[str, str]], folders: Sequence[str]) -> list[str]:
    found: dict[str, str] = {}
    for folder, name in ((tidy(folder), tidy(name)) for folder, name in pairs):
        if folder not in folders:
            raise UserError(f"{path}: there is no class {brief(folder)}; there are {few(folders)}")
        if folder in found:
            raise UserError(f"{path}: it names the class {folder} twice; keep one line")
        found[folder] = name
    missing = [folder for folder in folders if folder not in found]
    if missing:
        raise UserError(f"{path}: it has no name for {few(missing)}; add a line for each")
    return [found[folder] for folder in folders]


def _in_order(path: Path, lines: list[str], folders: Sequence[str], ordered: bool) -> list[str]:
    if len(lines) != len(folders):
        raise UserError(
            f"{path} lists {len(lines)} classes, the images have {len(folders)}; it needs one line "
            f"for each of: {few(folders)}"
        )
    names = [tidy(line) for line in lines]
    cells = [re.split(r"[,;:=\s]", name, maxsplit=1) for name in names]
    if {cell[0] for cell in cells} == set(folders) and all(len(cell) > 1 for cell in cells):
        raise UserError(f"{path}: names after their folders need a tab between, as in {FORM}")
    if not ordered and two_orders(folders):
        readings = {how: order(folders) for how, order in ORDERS.items()}
        differ = [i for i, name in enumerate(readings["text"]) if name != readings["counting"][i]]
        shown = "; ".join(
            f"{how}: {few([f'{names[i]} is {folders_in[i]}' for i in differ])}"
            for how, folders_in in readings.items()
        )
        raise UserError(
            f"{path}: which name is whose? The folders have two orders ({shown}); choose "
            f"class_order text or counting, or write {FORM}"
        )
    keys = [class_key(folder) for folder in folders]
    for name, key in zip(names, keys, strict=True):
        if class_key(name) != key and class_key(name) in keys:
            mine = folders[keys.index(key)]
            raise UserError(
                f"{path}: by its place in the list {name} is the class {mine}, and another class "
                f"is called so; write {FORM}"
            )
    return names


def few(names: Sequence[str]) -> str:
    """Returns the first names of a list, as many as a complaint can hold."""
    return f"{', '.join(names[:FEW])}{', ...' if len(names) > FEW else ''}"


def mapping_note(folders: Sequence[str], names: Sequence[str]) -> str:
    """Returns in words which folder has which name."""
    pairs = (f"{folder} = {name}" for folder, name in zip(folders, names, strict=True))
    return f"classes: {', '.join(pairs)}"


def check_different(where: str | Path, names: Sequence[str]) -> None:
    """Raises UserError if two classes are called the same, as no text prompt tells them apart."""
    seen: dict[str, str] = {}
    for name in names:
        key = class_key(name)
        if key in seen:
            raise UserError(
                f"{where}: two classes are read as the same text, {brief(seen[key])} and "
                f"{brief(name)}; rename one, or put them together"
            )
        seen[key] = name
