"""Datasets in Python as a task: of torch, of torchvision, of Hugging Face, or plain lists."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from operator import index
from typing import Any, NamedTuple

import numpy as np
import torch
from tqdm import tqdm

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line, one_line
from vpbench.data.folder_classes import check_different, few
from vpbench.data.folder_images import DIGITS, absence_notes, done_notes
from vpbench.data.image_folder import check_template, facts_of_own, say
from vpbench.data.photographs import Photograph
from vpbench.data.pictures import photograph_of
from vpbench.data.repetitions import Prints, difference_hash, repetition_notes
from vpbench.data.stored_images import stored
from vpbench.data.task import Split, Task
from vpbench.data.task_source import TaskSource
from vpbench.spec.preprocessing import Preprocessing, preprocess

PAIR = "(image, label)"


class Asked(NamedTuple):
    """The datasets of a task and how they are read."""

    name: str
    class_names: tuple[str, ...]
    template: str
    columns: tuple[str, str]
    parts: dict[str, Any]  # split -> dataset


def from_datasets(
    train: Any,
    test: Any = None,
    validation: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    name: str = "dataset",
    template: str = "This is a photo of a {}",
    columns: tuple[str, str] = ("image", "label"),
) -> TaskSource:
    """Returns the task of datasets that have a length and items by number, as torch's have.

    An item is (image, label), or a dict with these two `columns`, as Hugging Face's are: an image
    of Pillow, or uint8 [H, W, C] or [C, H, W], of any size; a label from 0 on. `class_names` are in
    the order of the labels; without them they are those that the datasets know (a ClassLabel
    feature, or `classes` as in torchvision). Each item is read once, in order, when the task is
    used, and only its square for the backbone is kept. No normalised tensors: a prompt acts on
    pixels, between resize and normalisation. Raises UserError in one line, which says the number of
    the item, for what cannot be used; what was changed is in the task's `notes`, and on stderr.
    """
    given = {"train": train, "validation": validation, "test": test}
    parts = {split: part for split, part in given.items() if part is not None}
    _check_words(name, columns)
    check_template(template)
    if not parts:
        raise UserError(f"{name}: there is no dataset; give one to train on, or one to test on")
    for split, part in parts.items():
        _check_dataset(f"{name} {split}", part)
    names = _class_names(name, class_names, parts, columns[1])
    asked = Asked(name, names, template, (columns[0], columns[1]), parts)
    facts = (name, name, names, template, parts)
    return TaskSource(*facts, lambda preprocessing: _read(asked, preprocessing))


def _check_words(name: object, columns: Any) -> None:
    """Raises UserError unless there are a name and those of two columns."""
    if not isinstance(name, str) or not name.strip() or one_line(name) != name:
        raise UserError(f"name {brief(name)}: expected what the task is called, in one line")
    right = isinstance(columns, Sequence) and not isinstance(columns, str) and len(columns) == 2
    if not right or not all(isinstance(column, str) for column in columns):
        raise UserError(
            f"columns {brief(columns)}: expected the names of two, of the image and of the label"
        )


def _check_dataset(where: str, part: Any) -> None:
    """Raises UserError unless this has a length and items by number."""
    kind = type(part).__name__
    if isinstance(part, Mapping):
        raise UserError(f"{where} is a {kind} of {few(list(map(str, part)))}; give one split each")
    if isinstance(part, str | bytes):
        raise UserError(f"{where} is {brief(part)}; expected a dataset; a path is for from_folder")
    if isinstance(part, torch.utils.data.DataLoader):
        raise UserError(f"{where} is a DataLoader, which gives batches; give its dataset")
    try:
        count = len(part)
    except Exception:  # of anybody's code
        raise UserError(
            f"{where} is a {kind} without a length; expected items by number: list(...) makes a "
            "list of a stream"
        ) from None
    if not hasattr(part, "__getitem__"):
        raise UserError(f"{where} is a {kind}, whose items have no number; make a list of it")
    if count == 0:
        raise UserError(f"{where} has no items; leave it out, or give others")


def check_columns(where: str, found: Mapping[str, Any], columns: Sequence[str]) -> None:
    """Raises UserError unless all of these columns are among those that were found."""
    missing = [column for column in columns if column not in found]
    if missing:
        raise UserError(
            f"{where} has no {missing[0]!r}, but {few(list(map(str, found)))}; say by "
            "columns=(image, label) what they are called"
        )


def _class_names(
    name: str, given: Sequence[str] | None, parts: dict[str, Any], column: str
) -> tuple[str, ...]:
    """Returns the class names that are given, or those that the datasets know."""
    if given is None:
        known = {split: names for split, part in parts.items() if (names := _known(part, column))}
        if not known:
            for split, part in parts.items():  # of Hugging Face, where columns have any names
                if isinstance(features := getattr(part, "features", None), Mapping):
                    check_columns(f"{name} {split}", features, [column])
            raise UserError(f"{name}: the datasets have no names of classes; give class_names")
        given = next(iter(known.values()))
        for split, names in known.items():
            if names != given:
                odd = sorted(set(names) ^ set(given)) or ["another order"]
                raise UserError(
                    f"{name}: {split} has other classes than {next(iter(known))} ({few(odd)}); "
                    "give datasets of the same classes, or class_names"
                )
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise UserError(f"class_names {brief(given)}: expected a list of names, by label")
    for each in given:
        if not isinstance(each, str) or not each.strip() or one_line(each) != each:
            raise UserError(f"class_names: {brief(each)} is no name in one line")
    check_different(name, given)
    if "train" in parts and len(given) < 2:
        raise UserError(f"class_names {brief(given)}: a task to fit has two classes or more")
    return tuple(given)


def _known(part: Any, column: str) -> tuple[str, ...]:
    """Returns the names that a dataset of Hugging Face or torchvision has for its labels."""
    features = getattr(part, "features", None)
    feature = features.get(column) if isinstance(features, Mapping) else None
    names = getattr(feature, "names", None) or getattr(part, "classes", None)
    plain = isinstance(names, list | tuple) and all(isinstance(name, str) for name in names)
    return tuple(names) if plain and names else ()


def _read(asked: Asked, preprocessing: Preprocessing) -> Task:
    """Returns the task, every item of its datasets read once."""
    readers = {split: SplitReader(asked, split) for split in asked.parts}
    splits = {split: reader.split(preprocessing) for split, reader in readers.items()}
    prints = {split: reader.prints for split, reader in readers.items()}
    done = sum((reader.done for reader in readers.values()), Counter[str]())
    labels = {split: each.labels for split, each in prints.items()}
    notes = absence_notes(labels, asked.class_names)
    notes += repetition_notes(prints, "pixel for pixel") + done_notes(done)
    say(asked.name, notes)
    return Task(
        asked.name,
        asked.name,
        asked.class_names,
        asked.template,
        splits,
        facts_of_own(splits),
        preprocessing=preprocessing,
        notes=tuple(notes),
    )


class SplitReader:
    """Reads the items of a dataset, and remembers what a person should know of them."""

    def __init__(self, asked: Asked, split: str) -> None:
        self.asked, self.name, self.part = asked, split, asked.parts[split]
        self.where = f"{asked.name} {split}"
        self.done: Counter[str] = Counter()
        self.labels: list[int] = []
        self.hashes: list[str] = []
        self.looks: list[int] = []

    @property
    def prints(self) -> Prints:
        """What tells the images from others, once they were read."""
        return Prints(self.labels, self.hashes, self.looks)

    def split(self, preprocessing: Preprocessing) -> Split:
        """Returns the images and labels; no hashes, which are of files."""
        count = len(self.part)
        images = stored(self.pictures(preprocessing), count, preprocessing.crop)
        ids = tuple(f"{self.name}/{number}" for number in range(count))
        return Split(torch.from_numpy(images), torch.tensor(self.labels), ids)

    def pictures(self, preprocessing: Preprocessing) -> Iterator[np.ndarray]:
        """Yields the image of each item as uint8 [crop, crop, 3]."""
        with tqdm(range(len(self.part)), desc=self.where, mininterval=5) as progress:
            for number in progress:
                (image, done), label = self.item(number)
                self.labels.append(label)
                pixels = hashlib.sha256(repr(image.size).encode() + image.tobytes())
                self.hashes.append(pixels.hexdigest()[:DIGITS])
                self.looks.append(difference_hash(image))
                self.done.update(done)
                yield preprocess(image, preprocessing)

    def item(self, number: int) -> tuple[Photograph, int]:
        """Returns an item of the dataset; raises UserError, with its number, if it is of no use."""
        try:
            item = self.part[number]
        except Exception as error:  # the dataset is another's: it may raise anything
            kind = type(error).__name__
            raise UserError(
                f"{self.where}: item {number} cannot be read ({kind}: {first_line(error)}); mend "
                "the dataset"
            ) from error
        try:
            picture, label = unpacked(item, self.asked.columns)
            return photograph_of(picture), checked_label(label, len(self.asked.class_names))
        except UserError as error:
            raise UserError(f"{self.where}: item {number}: {error}") from error.__cause__


def unpacked(item: Any, columns: tuple[str, str]) -> tuple[Any, Any]:
    """Returns the image and the label of an item, which is a pair or has them by name."""
    if isinstance(item, Mapping):
        check_columns("it", item, columns)
        return item[columns[0]], item[columns[1]]
    if not isinstance(item, tuple | list) or len(item) != 2:
        many = f" of {len(item)}" if isinstance(item, tuple | list) else ""
        raise UserError(f"it is a {type(item).__name__}{many}; expected {PAIR}, or a dict of both")
    return item[0], item[1]


def checked_label(label: Any, classes: int) -> int:
    """Returns a label as a plain number, which must be that of a class."""
    truth = isinstance(label, bool) or str(getattr(label, "dtype", "")).endswith("bool")
    try:
        number = None if truth else index(label)
    except (TypeError, ValueError):
        number = None
    if number is None:
        raise UserError(f"its label is {brief(label)}; expected a whole number, that of its class")
    if not 0 <= number < classes:
        raise UserError(
            f"its label is {number}; expected one from 0 to {classes - 1}: there are {classes} "
            "class names"
        )
    return number
