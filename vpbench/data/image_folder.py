"""Any folder of images as a task: one sub-folder per class, with or without a split."""

import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, one_line
from vpbench.data.folder_classes import check_different, mapping_note, named, order_of
from vpbench.data.folder_files import left_out_note
from vpbench.data.folder_images import Reader, absence_notes, check_read
from vpbench.data.folder_splits import (
    Listing,
    Lists,
    check_no_parts,
    list_folder,
    list_split_file,
)
from vpbench.data.subsets import balanced, check_seed
from vpbench.data.task import Task
from vpbench.spec import schema_check
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.schema import data_schema
from vpbench.spec.tasks import SPLITS


class OpenedFolder(NamedTuple):
    """A folder that was listed and checked, and whose images are still to be read."""

    folder: Path
    class_names: tuple[str, ...]
    template: str
    lists: Lists  # of the splits that have images
    notes: list[str]  # in words: what was left out, who is called how

    @property
    def display(self) -> str:
        """What a person calls the folder, also where its path is a dot."""
        return self.folder.resolve().name

    def read(self, preprocessing: Preprocessing) -> Task:
        """Returns the task, its images read; raises UserError if some cannot be."""
        reader = Reader(self.folder, preprocessing)
        splits = {split: reader.split(rows) for split, rows in self.lists.items()}
        check_read(reader.refused)
        read = reader.notes(self.lists)
        say(self.folder, read)
        return Task(
            str(self.folder),
            self.display,
            self.class_names,
            self.template,
            splits,
            facts_of_own(splits),
            preprocessing=preprocessing,
            notes=(*self.notes, *read),
        )


def load_folder(
    folder: str | Path, preprocessing: Preprocessing = Preprocessing(56, 56), **options: Any
) -> Task:
    """Returns the task of a folder, its images read for `preprocessing`, that of a backbone.

    `options` are those of open_folder, which says what is read.
    """
    check_preprocessing(preprocessing)
    return open_folder(folder, **options).read(preprocessing)


def open_folder(
    folder: str | Path,
    *,
    data: Mapping[str, Any] | None = None,
    split_file: str | Path | None = None,
    class_names: str | Path | None = None,
    class_order: str | None = None,
    template: str = "This is a photo of a {}",
    seed: int = 0,
    to_fit: bool = True,
) -> OpenedFolder:
    """Returns what is in a folder: `folder/class/*.png`, or `folder/{train,val,test}/class/*`.

    Without split folders, `split_file` (JSON of lists [path, label, class name] under train, val,
    test, paths relative to the folder) says which image is where; without that, each class is cut
    60/20/20 by `seed`. Classes come in `class_order`: text (10 before 2; the default) or counting
    (2 before 10). `class_names` is a file with a line `folder<TAB>name` for each class, JSON of
    folder -> name, or a plain list in the order of the classes, which is refused where the two
    orders differ and none was chosen. Images are turned upright by their orientation tag, put on
    white where they are transparent, and go through the preprocessing of a backbone; `data` caps
    the images of each split. Unless it is `to_fit` a prompt, but only to evaluate one, a single
    split and a single class are enough. What was left out or changed is in the task's `notes`, and
    on stderr. Raises UserError in one line for anything that cannot be used.
    """
    folder = _checked(folder)
    _check_files({"split_file": split_file, "class_names": class_names})
    check_template(template)
    check_seed(seed)
    if data is not None:
        schema_check.check(data, data_schema(complete=False), f"data of {folder}")
    if split_file is None and class_names is None:
        check_no_parts(folder)
    listing = _listing(folder, split_file, class_order, seed)
    lists = _capped(listing, data or {}, seed)
    _check_enough(folder, listing.names, lists, to_fit)
    names, notes = _named(folder, listing, class_names, bool(split_file or class_order))
    labels = {split: [label for _, label in rows] for split, rows in lists.items()}
    notes += absence_notes(labels, names)
    say(folder, notes)
    kept = {split: rows for split, rows in lists.items() if rows}
    return OpenedFolder(folder, tuple(names), template, kept, notes)


def _checked(folder: str | Path) -> Path:
    """Returns the path of a folder, which must be there."""
    if not isinstance(folder, str | Path) or not str(folder):  # the latter would be the one here
        raise UserError(f"folder {brief(folder)}: expected the path of a folder of images")
    folder = Path(folder)
    if not folder.is_dir():
        what = "a file: unpack it, or give its folder" if folder.is_file() else "not a folder"
        raise UserError(f"{folder} is {what}")
    return folder


def check_preprocessing(preprocessing: object) -> None:
    """Raises UserError unless this is a preprocessing; a backbone is what one would give first."""
    if not isinstance(preprocessing, Preprocessing):
        raise UserError(
            f"preprocessing {brief(preprocessing)}: expected that of a backbone, as in "
            "backbone.preprocessing"
        )


def _check_files(files: dict[str, object]) -> None:
    """Raises UserError unless what stands for files are their paths, and not a list of names."""
    for key, file in files.items():
        if not isinstance(file, str | Path | None):
            raise UserError(f"{key} {brief(file)}: expected the path of a file")


def check_template(template: object) -> None:
    """Raises UserError unless this is a text."""
    if not isinstance(template, str):
        raise UserError(
            f"template {brief(template)}: expected a text prompt, {{}} for the name of the class"
        )


def _listing(
    folder: Path, split_file: str | Path | None, class_order: str | None, seed: int
) -> Listing:
    """Returns what is in a folder, its classes in order."""
    if split_file is None:
        return list_folder(folder, order_of(class_order), seed)
    if class_order is not None:
        raise UserError(f"class_order {class_order}: {split_file} gives the order; leave it out")
    return list_split_file(folder, Path(split_file))


def _capped(listing: Listing, data: Mapping[str, Any], seed: int) -> Lists:
    """Returns the images of each split, as many as `data` says."""
    lists = {}
    for split in SPLITS:
        rows = listing.lists.get(split, [])
        kept = balanced([label for _, label in rows], data.get(split), seed)
        lists[split] = [rows[i] for i in kept]
    return lists


def _check_enough(folder: Path, names: list[str], lists: Lists, to_fit: bool) -> None:
    """Raises UserError unless there are images to evaluate, or to fit a prompt and to test it."""
    if not any(lists.values()):
        raise UserError(f"{folder}: no split has images")
    if not to_fit:
        return
    if len(names) < 2:
        raise UserError(
            f"{folder} has {len(names)} class; a task needs at least two sub-folders, but for "
            "evaluation alone (to_fit=False)"
        )
    for split in ("train", "test"):
        if not lists[split]:
            raise UserError(
                f"{folder}: the {split} split has no images; add some, or load it for evaluation "
                "alone (to_fit=False)"
            )


def _named(
    folder: Path, listing: Listing, class_names: str | Path | None, ordered: bool
) -> tuple[list[str], list[str]]:
    """Returns the names of the classes, and notes on what was left out and who is called how."""
    names = listing.names
    notes = [left_out_note(listing.left_out)] if listing.left_out else []
    if class_names is None:
        check_different(folder, names)
        return names, notes
    names = named(Path(class_names), listing.names, ordered)
    check_different(Path(class_names), names)
    return names, [*notes, mapping_note(listing.names, names)]


def facts_of_own(splits: Collection[str]) -> dict[str, Any]:
    """Returns the facts that a record keeps of a task of one's own images; see tasks.task_facts."""
    facts = {"published": None, "metric": "accuracy", "shift": False}
    return facts | {"paper_validation": "validation" in splits}


def say(where: object, notes: list[str]) -> None:
    """Says on stderr what a person should know of a folder or another source of images."""
    for note in notes:
        print(one_line(f"{where}: {note}"), file=sys.stderr, flush=True)
