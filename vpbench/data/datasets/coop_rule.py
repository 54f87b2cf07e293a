"""A split drawn anew by CoOp's rule, for those who cannot get the published one.

CoOp draws without a seed, so its own split cannot be had this way: the sizes are the same and the
images are not. A dataset opened with such a split says so in its deviations.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.data.datasets import archives
from vpbench.data.datasets.coop import beside, drawn_split, image_folders, stored_as
from vpbench.data.datasets.image_files import find_folder
from vpbench.data.datasets.source import CorruptDataset, MissingDataset
from vpbench.data.datasets.split_files import DRAWN, SPLIT_FILES, find_split_file
from vpbench.spec.class_names import read_manifest

Rows = list[list[Any]]  # [path, label, class name] of each image
SHARES = {"train": 0.5, "val": 0.2}  # of each class, without official parts; the rest is test
VALIDATION_SHARE = 0.2  # of each class of the official training part, for validation


def regenerate_split(name: str, root: str | Path, seed: int) -> Path:
    """Returns the path of a new split file, drawn by `seed` within each class.

    Flowers102, Food101, EuroSAT and DTD are cut 50/20/30. SUN397 (partition 1), UCF101 (list 1)
    and OxfordPets keep the official test part, their training part is cut 80/20. Raises a
    DatasetError in one line if images or official lists are missing, or the published split is
    there.
    """
    root, stored = Path(root), stored_as(name)
    if seed < 0:
        raise UserError(f"{name}: the seed {seed} of a split is negative; choose 0 or more")
    if stored not in RULES:
        raise UserError(f"{name}: no split can be drawn anew; only those of {', '.join(RULES)}")
    (published,) = SPLIT_FILES[stored]
    there = find_split_file(published, root, beside(stored, root))
    if there:
        raise CorruptDataset(f"{name}: the published split is there, {there}; use that one")
    images = find_folder(stored, image_folders(stored, root))
    with archives.refusing(stored, images.parent):
        rows, test = RULES[stored](stored, images)
        document: dict[str, Any] = cut(rows, seed) if test is None else hold_out(rows, test, seed)
    document[DRAWN] = {"seed": seed}
    path = drawn_split(stored, root)
    return atomic_files.write_bytes(path, json.dumps(document, indent=1).encode())


def cut(rows: Rows, seed: int) -> dict[str, Rows]:
    """Returns CoOp's split of [path, label, class name] rows, each class in the same shares."""
    document: dict[str, Rows] = {"train": [], "val": [], "test": []}
    for members in shuffled_classes(rows, seed):
        train, val = (round(len(members) * share) for share in SHARES.values())
        document["train"] += members[:train]
        document["val"] += members[train : train + val]
        document["test"] += members[train + val :]
    return document


def hold_out(rows: Rows, test: Rows, seed: int) -> dict[str, Rows]:
    """Returns the split whose test part is `test`; `rows` are cut into train and val."""
    document: dict[str, Rows] = {"train": [], "val": [], "test": test}
    for members in shuffled_classes(rows, seed):
        count = round(len(members) * VALIDATION_SHARE)
        document["val"] += members[:count]
        document["train"] += members[count:]
    return document


def shuffled_classes(rows: Rows, seed: int) -> Iterator[Rows]:
    """Yields the rows of each class in an order that depends on `seed` and the label alone."""
    classes: dict[int, Rows] = {}
    for row in sorted(rows):
        classes.setdefault(row[1], []).append(row)
    for label, members in sorted(classes.items()):
        order = np.random.default_rng([seed, label]).permutation(len(members))
        yield [members[i] for i in order]


def read_folders(name: str, images: Path) -> tuple[Rows, None]:
    """Returns (rows, None) of images that lie in the folder of their class."""
    names = read_manifest(name)
    expected = read_manifest("eurosat.folders") if name == "eurosat" else names
    folders = visible(images)
    if folders != list(expected):
        odd = sorted(set(folders) ^ set(expected))
        raise CorruptDataset(f"{name}: the folders in {images} are not the classes: {odd[0]}")
    return [
        [f"{folder}/{file}", label, names[label]]
        for label, folder in enumerate(folders)
        for file in visible(images / folder)
    ], None


def visible(folder: Path) -> list[str]:
    """Returns the sorted names in a folder, without hidden ones."""
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def read_flowers(name: str, images: Path) -> tuple[Rows, None]:
    """Returns (rows, None) of Flowers102: the labels are 1 to 102 in imagelabels.mat."""
    from scipy.io import loadmat  # for this rule alone: a quarter of a second

    names = read_manifest(name)
    labels = loadmat(official_list(name, images, "imagelabels.mat"))["labels"][0]
    return [
        [f"image_{number:05d}.jpg", int(label) - 1, names[label - 1]]
        for number, label in enumerate(labels, start=1)
    ], None


def read_pets(name: str, images: Path) -> tuple[Rows, Rows]:
    """Returns (rows, test) of OxfordPets, from lines like `Abyssinian_100 1 1 1`."""

    def rows(file: str) -> Rows:
        fields = [line.split() for line in read_lines(name, images, f"annotations/{file}.txt")]
        return [
            [f"{image}.jpg", int(label) - 1, image.rpartition("_")[0].lower()]
            for image, label, *_ in fields
        ]

    return rows("trainval"), rows("test")


def read_sun(name: str, images: Path) -> tuple[Rows, Rows]:
    """Returns (rows, test) of SUN397: class /a/apse/indoor is called "indoor apse"."""
    classes = [line[1:] for line in read_lines(name, images, "ClassName.txt")]
    number = {class_name: label for label, class_name in enumerate(classes)}

    def rows(file: str) -> Rows:
        paths = [line[1:] for line in read_lines(name, images, file)]  # they begin with a slash
        folders = [path.rpartition("/")[0] for path in paths]
        return [
            [path, number[folder], " ".join(reversed(folder.split("/")[1:]))]
            for path, folder in zip(paths, folders, strict=True)
        ]

    return rows("Training_01.txt"), rows("Testing_01.txt")


def read_ucf(name: str, images: Path) -> tuple[Rows, Rows]:
    """Returns (rows, test) of UCF101, from lines like `YoYo/v_YoYo_g08_c01.avi 101`.

    The frame of that video lies in Yo_Yo. Handstand_Pushups holds v_HandStandPushups_*.jpg.
    """
    fields = [line.split() for line in read_lines(name, images, "ucfTrainTestlist/classInd.txt")]
    number = {action: int(label) - 1 for label, action in fields}

    def rows(file: str) -> Rows:
        videos = [line.split()[0] for line in read_lines(name, images, f"ucfTrainTestlist/{file}")]
        frames = []
        for action, _, video in (entry.partition("/") for entry in videos):
            spaced = "_".join(re.findall("[A-Z][^A-Z]*", action))
            frames.append([f"{spaced}/{video.replace('.avi', '.jpg')}", number[action], spaced])
        return frames

    return rows("trainlist01.txt"), rows("testlist01.txt")


RULES: dict[str, Callable[[str, Path], tuple[Rows, Rows | None]]] = {
    "flowers102": read_flowers,
    "food101": read_folders,
    "eurosat": read_folders,
    "sun397": read_sun,
    "ucf101": read_ucf,
    "oxfordpets": read_pets,
    "dtd": read_folders,
}


def read_lines(name: str, images: Path, file: str) -> list[str]:
    """Returns the lines of an official list."""
    return official_list(name, images, file).read_text().splitlines()


def official_list(name: str, images: Path, file: str) -> Path:
    """Returns the path of an official list, with the images or beside their folder."""
    paths = [images / file, images.parent / file]
    for path in paths:
        if path.is_file():
            return path
    raise MissingDataset(f"{name}: {file} is missing, looked for {paths[0]} and {paths[1]}")
