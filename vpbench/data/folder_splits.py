"""Which image of a folder is in which split: by folders, by a file, or cut by a seed."""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from vpbench.common.errors import UserError
from vpbench.common.messages import one_line
from vpbench.data.datasets.split_files import parse_split
from vpbench.data.folder_classes import tidy
from vpbench.data.folder_files import (
    check_name,
    class_contents,
    class_folders,
    composed,
    contents,
    folders,
    inside,
    kind_of,
)
from vpbench.data.subsets import cut
from vpbench.spec.folder_names import Order, are_parts, speaks_of, split_of
from vpbench.spec.tasks import SPLITS

Lists = dict[str, list[tuple[str, int]]]  # split -> image files and their labels


class Listing(NamedTuple):
    """The classes by label, the images of each split, and what else lies there."""

    names: list[str]
    lists: Lists
    left_out: Counter[str]


def list_folder(folder: Path, order: Order, seed: int) -> Listing:
    """Returns the images of `folder`: as its split folders say, or each class cut 60/20/20."""
    if any(split_of(path.name) for path in folders(folder)):
        return _split_folders(folder, order)
    by_name = _by_name(folder, folder)
    names = order(list(by_name))
    _check_no_splits(folder, names)
    found = Listing(names, {split: [] for split in SPLITS}, _beside(folder, folder))
    for label, name in enumerate(names):
        images, left_out = class_contents(by_name[name], folder)
        found.left_out.update(left_out)
        if len(images) < 3:
            raise UserError(
                f"{by_name[name]}: images of this class: {len(images)}; expected at least 3, "
                "to cut it into train, validation and test, or folders train/ and test/ of your own"
            )
        for split, part in cut(len(images), name, seed).items():
            found.lists[split].extend((images[i], label) for i in part)
    return found


def check_no_parts(folder: Path) -> None:
    """Raises UserError if what would be the classes are images and masks or labels of them."""
    splits = [path for path in folders(folder) if split_of(path.name)]
    for path in splits:
        check_name(path, folder)
    for directory in splits or [folder]:
        names = [path.name for path in folders(directory)]
        if are_parts(names):
            raise UserError(
                f"{directory}: {' and '.join(names)} look like images and what belongs to them, "
                "not like classes; expected a folder of images for each class: give the one that "
                "they lie in, or, if these are the classes, a file of class names that says so"
            )


def _check_no_splits(folder: Path, names: list[str]) -> None:
    """Raises UserError if what would be the classes are splits with names of their own."""
    splits = [speaks_of(name) for name in names]
    if None not in splits and len(set(splits)) > 1:
        raise UserError(
            f"{folder}: {', '.join(names)} look like splits, not like classes; call them train, "
            "val and test, or give the classes other names"
        )


def _split_folders(folder: Path, order: Order) -> Listing:
    found = Listing([], {}, _beside(folder, folder))
    for split, directory in _checked_splits(folder).items():
        by_name = _by_name(directory, folder)
        names = order(list(by_name))
        if found.names and names != found.names:
            odd = sorted(set(names) ^ set(found.names))
            raise UserError(f"{folder}: the splits have different classes: {', '.join(odd)}")
        found.names[:] = names
        found.lists[split] = []
        found.left_out.update(_beside(directory, folder))
        for label, name in enumerate(names):
            images, left_out = class_contents(by_name[name], folder)
            found.left_out.update(left_out)
            found.lists[split].extend((image, label) for image in images)
    return found


def _checked_splits(folder: Path) -> dict[str, Path]:
    """Returns split -> its folder; nothing else may lie beside them."""
    found: dict[str, Path] = {}
    strangers = [path.name for path in folders(folder) if split_of(path.name) is None]
    for path in folders(folder):
        split = split_of(path.name)
        if split is None:
            continue
        check_name(path, folder)
        if split in found:
            raise UserError(
                f"{folder}: {found[split].name} and {path.name} are both the {split} split; keep "
                "one, or put them together"
            )
        found[split] = path
    if strangers:
        names = ", ".join(found[split].name for split in SPLITS if split in found)
        raise UserError(
            f"{folder}: beside the splits ({names}) lie other folders: {', '.join(strangers)}; "
            "move them elsewhere, or, if all of them are classes, rename those that are called "
            "like a split and give their names by class names"
        )
    return {split: found[split] for split in SPLITS if split in found}


def _by_name(folder: Path, root: Path) -> dict[str, Path]:
    """Returns name -> folder of the classes in `folder`."""
    found: dict[str, Path] = {}
    for path in class_folders(folder, root):
        name = tidy(path.name)
        if name in found:
            raise UserError(
                f"{folder}: the folders {found[name].name!r} and {path.name!r} have one name; "
                "rename one, or put them together"
            )
        found[name] = path
    return found


def _beside(folder: Path, root: Path) -> Counter[str]:
    """Returns the kinds of the files that lie beside the folders of splits or classes."""
    found = contents(folder, root, below=False)
    beside = Counter(f"{kind_of(path)} outside of classes" for path in found.images)
    return beside + found.left_out


def list_split_file(folder: Path, split_file: Path) -> Listing:
    """Returns the images of `folder` as a file in CoOp's format says, each in one split."""
    names, splits = parse_split(split_file)
    root = os.path.realpath(folder)
    lists: Lists = {}
    seen: dict[object, str] = {}
    for split, rows in splits.items():
        lists[split] = [(str(folder / path), label) for path, label in rows]
        for (path, _), (written, _) in zip(lists[split], rows, strict=True):
            if not inside(path, root):
                raise UserError(f"{split_file}: {one_line(path)} leads out of {folder}")
            if os.path.isabs(written):
                raise UserError(
                    f"{split_file}: {written} is no path within {folder}; let it begin there, as "
                    "in cat/1.jpg"
                )
            file = _identity(path)
            if file in seen:
                same = "twice" if seen[file] == written else f"and {seen[file]}, the same file"
                raise UserError(
                    f"{split_file}: it lists {written} {same}; an image belongs to one split"
                )
            seen[file] = written
    trained = {label for _, label in lists.get("train", [])}
    for label, name in enumerate(names):
        if trained and label not in trained:
            raise UserError(f"{split_file}: the class {name} has no image in train; add some")
    return Listing([tidy(name) for name in names], lists, Counter())


def _identity(path: str) -> object:
    """Returns what two paths to one file share, however they are written."""
    try:
        facts = os.stat(path)
    except (OSError, ValueError):
        return composed(os.path.normpath(path))  # missing: the reader will say so
    return facts.st_dev, facts.st_ino
