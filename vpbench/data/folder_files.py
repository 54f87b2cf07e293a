"""What lies in a folder of images: classes, images, and files that are left out and counted."""

import os
import unicodedata
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, one_line
from vpbench.data.photographs import HEIF, extensions, reads_heif
from vpbench.spec.folder_names import hidden, split_of

LINK = "linked folder"
KINDS = 12  # that a note lists


class Contents(NamedTuple):
    """The images in a folder, in order, and how many other files of each kind there are."""

    images: list[str]  # paths; a `Path` for each of a million takes longer than to list them
    left_out: Counter[str]


def composed(name: str) -> str:
    """Returns a name as most systems write it: macOS writes ü as two letters."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Returns what is directly in a folder, in the order of the names' letters."""
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: (composed(entry.name), entry.name))
    except OSError as error:
        raise UserError(f"{folder}: the folder cannot be read ({error.strerror})") from None


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Returns whether this is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def folders(folder: Path) -> list[Path]:
    """Returns the folders directly in a folder, without hidden ones."""
    found = entries(folder)
    return [Path(each.path) for each in found if is_folder(each) and not hidden(each.name)]


def class_folders(folder: Path, root: Path) -> list[Path]:
    """Returns the folders of the classes in `folder`, which is `root` or in it."""
    found = folders(folder)
    if not found and contents(folder, root, below=False).images:
        raise UserError(
            f"{folder} holds images but no class sub-folders; put the images of each class into "
            "a folder with the name of the class, or give a split file"
        )
    if not found:
        raise UserError(f"{folder} is empty: expected one sub-folder of images per class")
    for path in found:
        check_name(path, root)
    return found


def check_name(path: Path, root: Path) -> None:
    """Raises UserError unless `path` has a name that fits a line, and is no link out of `root`."""
    name = str(path.relative_to(root))
    if one_line(name) != name or not path.name.strip():
        raise UserError(f"{root}: the name {brief(name)} is blank or has odd characters; rename it")
    if path.is_symlink() and not inside(path, os.path.realpath(root)):
        raise UserError(
            f"{path} is a link that leads out of {root}; put what it leads to in its place"
        )


def is_plain(entry: os.DirEntry[str]) -> bool:
    """Returns whether `check_name` has nothing to say of what is in a checked folder."""
    return entry.name.isprintable() and bool(entry.name.strip()) and not entry.is_symlink()


def inside(path: str | Path, real_folder: str) -> bool:
    """Returns whether a path is in a folder once all links are followed, as they are in its own."""
    return os.path.realpath(path).startswith(os.path.join(real_folder, ""))


def class_contents(folder: Path, root: Path) -> Contents:
    """Returns what is in the folder of a class, at any depth; there must be an image."""
    found = contents(folder, root)
    check_images(folder, found)
    return found


def check_images(folder: Path, found: Contents) -> None:
    """Raises UserError unless there are images in what was found in a folder."""
    if not found.images:
        instead = f"; it has {counted(found.left_out)}" if found.left_out else ""
        raise UserError(
            f"{folder} has no images{instead}; expected files ending in {', '.join(extensions())}"
            f"{heif_advice(found.left_out)}"
        )


def contents(folder: Path, root: Path, below: bool = True, labelled: bool = True) -> Contents:
    """Returns what is in a folder, with `below` at any depth; links to folders are left out.

    Where images are `labelled` by their folders, one that is called like a split is refused.
    """
    found, endings = Contents([], Counter()), extensions()
    for entry in entries(folder):
        if hidden(entry.name):
            found.left_out.update(f"hidden {kind}" for kind in kinds(entry))
        elif is_folder(entry):
            if below:
                check_name(Path(entry.path), root)
                _add_folder(found, Path(entry.path), root, labelled)
        elif entry.name.lower().endswith(endings):
            if not is_plain(entry):
                check_name(Path(entry.path), root)
            found.images.append(entry.path)
        else:
            found.left_out[kind_of(entry.name)] += 1
    return found


def _add_folder(found: Contents, path: Path, root: Path, labelled: bool) -> None:
    """Adds what is in a folder of a class to what was found in the class."""
    if labelled and split_of(path.name) is not None:
        raise UserError(
            f"{path} is called like a split, but {path.parent.name} is read as a class; put splits "
            f"above classes, as in train/cat, give {path.parent} itself, or rename it"
        )
    if path.is_symlink():
        found.left_out[LINK] += 1
        return
    more = contents(path, root, labelled=labelled)
    found.images.extend(more.images)
    found.left_out.update(more.left_out)


def kinds(entry: os.DirEntry[str]) -> list[str]:
    """Returns the kinds of all files that a hidden file or folder is."""
    if entry.is_symlink() or not is_folder(entry):
        return [kind_of(entry.name)]
    return [kind for inner in entries(entry.path) for kind in kinds(inner)]


def kind_of(name: str) -> str:
    """Returns how the name of a file ends; of a hidden one without an ending its name."""
    nameless = name if hidden(name) else "without an ending"
    return one_line(Path(name).suffix.lower() or nameless)


def left_out_note(left_out: Counter[str]) -> str:
    """Returns in words which files are not read, and what would read them."""
    return f"left out: {counted(left_out)}{heif_advice(left_out)}"


def counted(left_out: Counter[str]) -> str:
    """Returns how many files of each kind there are, the most frequent first."""
    ordered = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    rest = sum(count for _, count in ordered[KINDS:])
    shown = [f"{count} {kind}" for kind, count in ordered[:KINDS]]
    return ", ".join(shown + ([f"{rest} of other kinds"] if rest else []))


def heif_advice(left_out: Counter[str]) -> str:
    """Returns what would read the photographs that were left out, if anything would."""
    if reads_heif() or not any(left_out[kind] for kind in HEIF):
        return ""
    return " (.heic is read after `pip install pillow-heif`)"
