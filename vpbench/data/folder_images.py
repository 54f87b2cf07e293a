"""The images of a folder as arrays, and what is to be said of them."""

import math
import os
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.common.messages import gigabytes
from vpbench.common.paths import data_dir
from vpbench.data.folder_splits import Lists
from vpbench.data.photographs import read_photograph
from vpbench.data.task import Split
from vpbench.spec.preprocessing import Preprocessing, preprocess

IN_MEMORY = 2**30  # bytes of the images of a split; more are mapped from a file
FEW = 3  # images that a complaint lists
DIGITS = 12  # of the SHA-256 of a file: among a million images no two are taken for one


class Reader:
    """Reads the images of a folder, and remembers what a person should know of them."""

    def __init__(self, folder: Path, preprocessing: Preprocessing) -> None:
        self.folder, self.preprocessing = folder, preprocessing
        self.done: Counter[str] = Counter()
        self.refused: list[str] = []
        self.hashes: dict[str, str] = {}

    def split(self, entries: Sequence[tuple[str, int]]) -> Split:
        """Returns the images of a split; those that cannot be read are in `refused`."""
        shape = (len(entries), self.preprocessing.crop, self.preprocessing.crop, 3)
        if math.prod(shape) <= IN_MEMORY:
            images: np.ndarray = np.zeros(shape, np.uint8)  # a list would be a second copy
            for number, picture in enumerate(self.pictures(entries)):
                images[number] = picture
        else:
            images = _on_disk(self.pictures(entries), shape)
        return Split(
            torch.from_numpy(images),
            torch.tensor([label for _, label in entries]),
            tuple(self.name(path) for path, _ in entries),
            hashes=tuple(self.hashes.get(path, "") for path, _ in entries),
        )

    def name(self, path: str) -> str:
        """Returns the path of an image within the folder, with / on every system."""
        return path.removeprefix(os.path.join(self.folder, "")).replace(os.sep, "/")

    def pictures(self, entries: Sequence[tuple[str, int]]) -> Iterator[np.ndarray]:
        """Yields each image as uint8 [crop, crop, 3], black for one that cannot be read."""
        side = self.preprocessing.crop
        with tqdm(entries, desc=str(self.folder), mininterval=5) as progress:  # closed on errors
            for path, _ in progress:
                try:
                    image, done = read_photograph(path)
                    self.hashes[path] = sha256(path)[:DIGITS]
                except (UserError, OSError) as error:
                    self.refused.append(str(error))
                    yield np.zeros((side, side, 3), np.uint8)
                    continue
                self.done.update(done)
                yield preprocess(image, self.preprocessing)

    def check(self) -> None:
        """Raises UserError if images could not be read."""
        if self.refused:
            more = len(self.refused) - FEW
            shown = "; ".join(self.refused[:FEW])
            raise UserError(shown + (f"; and {more:,} more like these" if more > 0 else ""))

    def notes(self) -> list[str]:
        """Returns in words what was done to the images."""
        return [f"images {what}: {count:,}" for what, count in sorted(self.done.items())]


def absence_notes(lists: Lists, names: Sequence[str]) -> list[str]:
    """Returns in words which classes have no image in a split: the file says so, or a cap."""
    notes = []
    for split, rows in lists.items():
        there = {label for _, label in rows}
        absent = [name for label, name in enumerate(names) if label not in there]
        if rows and absent:
            notes.append(f"classes without an image in {split}: {', '.join(absent)}")
    return notes


def repetition_notes(lists: Lists, hashes: Mapping[str, str]) -> list[str]:
    """Returns in words how many images are there more than once, byte for byte.

    In two splits, what is learned is asked; in two classes, no answer is right. `hashes` are those
    of their files.
    """
    counts = Counter(hashes.values())
    places: dict[str, set[tuple[str, int]]] = {}
    for split, rows in lists.items():
        for path, label in rows:
            if counts[hashes[path]] == 1:
                continue
            places.setdefault(hashes[path], set()).add((split, label))
    both: Counter[tuple[str, str]] = Counter()
    classes = 0
    for found in places.values():
        splits = {split for split, _ in found}
        both.update(pair for pair in combinations(lists, 2) if splits.issuperset(pair))
        classes += len({label for _, label in found}) > 1
    notes = [f"images in {a} and in {b}, byte for byte: {n:,}" for (a, b), n in both.items()]
    return notes + ([f"images in two classes, byte for byte: {classes:,}"] if classes else [])


def _on_disk(pictures: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.memmap:
    """Returns an array mapped from a file without a name, which goes when the process does."""
    where = data_dir() / "cache"
    try:
        where.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=where) as file:
            for picture in pictures:  # into a mapped file a full disk would be a crash
                file.write(np.ascontiguousarray(picture).data)
            file.flush()
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"{where}: {shape[0]:,} images, {gigabytes(math.prod(shape))}, do not go there "
            f"({error.strerror or error}); choose another disk with --data-dir, or fewer images"
        ) from None
