"""The datasets whose splits are files of their own: CoOp's seven, and Resisc45."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.data.datasets import coop, resisc45
from vpbench.data.datasets.split_files import SPLIT_FILES
from vpbench.spec.class_names import read_manifest
from vpbench.spec.dataset_facts import FACTS

Rows = dict[str, list[list]]  # train, val, test -> [path, label, class name] of each image
FLAT = ("flowers102", "oxfordpets")  # whose images lie in one folder
PHOTOGRAPHS = 12
SIDE = 8  # pixels of an image whose dataset has them of many sizes
COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]


def paint(path: Path, number: int, side: int = SIDE) -> Path:
    """Returns `path` once it is an image in a colour of its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (side, side), COLOURS[number % len(COLOURS)]).save(path)
    return path


def made_up_rows(name: str, labels: Mapping[str, Sequence[int]]) -> Rows:
    """Returns the split of a dataset whose images have these labels and paths of their own."""
    names, number = read_manifest(name), 0
    rows: Rows = {}
    for split, listed in labels.items():
        rows[split] = []
        for label in listed:
            number += 1
            file = f"image_{number:05}.jpg"
            path = file if name in FLAT else f"{names[label].replace(' ', '_')}/{file}"
            rows[split].append([path, label, names[label]])
    return rows


def write_coop(root: Path, name: str, rows: Rows, images: str | None = None) -> Path:
    """Returns the path of the split file, once it and the images that it lists are under `root`."""
    for path, label, _ in (row for entries in rows.values() for row in entries):
        side = FACTS[name].native_size or SIDE
        paint(root / (images or coop.IMAGES[name][0]) / path, label, side)
    (published,) = SPLIT_FILES[name]
    file = root / "splits" / published.file
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(rows, indent=4))
    return file


def write_resisc45(
    root: Path, lists: Mapping[str, Sequence[str]], images: str = "NWPU-RESISC45"
) -> list[Path]:
    """Returns the paths of the three lists, once they and the images in them are under `root`."""
    (root / "splits").mkdir(exist_ok=True, parents=True)
    paths = []
    for published, (split, files) in zip(SPLIT_FILES["resisc45"], lists.items(), strict=True):
        assert published.file == f"resisc45-{split}.txt"
        path = root / "splits" / published.file
        path.write_text("\n".join(files))  # the last line has no end, as in the real ones
        paths.append(path)
        for file in files:
            picture = root / images / resisc45.class_of(file) / file
            picture.parent.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (SIDE, SIDE), (len(file), 0, 0)).save(picture, "PNG")
    return paths


def write_photographs(folder: Path) -> Path:
    """Returns `folder` once it has as many images, of noise, as a rehearsed measurement needs."""
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    for number in range(PHOTOGRAPHS):
        pixels = generator.integers(0, 256, (64, 64, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    return folder
