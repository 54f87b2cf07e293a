"""The images of a folder as arrays, and what is to be said of them."""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.data.folder_splits import Lists
from vpbench.data.photographs import read_photograph
from vpbench.data.repetitions import Prints, difference_hash, repetition_notes
from vpbench.data.stored_images import stored
from vpbench.data.task import Split
from vpbench.spec.preprocessing import Preprocessing, preprocess

FEW = 3  # images that a complaint lists
DIGITS = 12  # of the SHA-256 of a file: among a million images no two are taken for one


class Reader:
    """Reads the images of a folder, and remembers what a person should know of them."""

    def __init__(self, folder: Path, preprocessing: Preprocessing) -> None:
        self.folder, self.preprocessing = folder, preprocessing
        self.done: Counter[str] = Counter()
        self.refused: list[str] = []
        self.hashes: dict[str, str] = {}
        self.looks: dict[str, int] = {}

    def split(self, entries: Sequence[tuple[str, int]]) -> Split:
        """Returns the images of a split; those that cannot be read are in `refused`."""
        images = stored(self.pictures(entries), len(entries), self.preprocessing.crop)
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
                self.looks[path] = difference_hash(image)
                yield preprocess(image, self.preprocessing)

    def notes(self, lists: Lists) -> list[str]:
        """Returns in words which images are there more than once, and what was done to them."""
        prints = {
            split: Prints(
                [label for _, label in rows],
                [self.hashes[path] for path, _ in rows],
                [self.looks[path] for path, _ in rows],
            )
            for split, rows in lists.items()
        }
        return repetition_notes(prints) + done_notes(self.done)


def done_notes(done: Counter[str]) -> list[str]:
    """Returns in words what was done to how many images, to show them as they were meant."""
    return [f"images {what}: {count:,}" for what, count in sorted(done.items())]


def check_read(refused: Sequence[str]) -> None:
    """Raises UserError if images could not be read, `refused` saying why each of them."""
    if refused:
        more = len(refused) - FEW
        shown = "; ".join(refused[:FEW])
        raise UserError(shown + (f"; and {more:,} more like these" if more > 0 else ""))


def absence_notes(labels: Mapping[str, Sequence[int]], names: Sequence[str]) -> list[str]:
    """Returns in words which classes have no image in a split, whose `labels` these are."""
    notes = []
    for split, of_split in labels.items():
        there = set(of_split)
        absent = [name for label, name in enumerate(names) if label not in there]
        if there and absent:
            notes.append(f"classes without an image in {split}: {', '.join(absent)}")
    return notes
