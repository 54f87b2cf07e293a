"""Datasets as people have them in Python, without the libraries that they come from."""

import sys
from collections.abc import Mapping
from types import SimpleNamespace

import numpy as np
from PIL import Image

COLOURS = ((200, 0, 0), (0, 200, 0), (0, 0, 200))
NAMES = ("cat", "dog", "owl")


def speckled(label, number, size=(12, 10)):
    """Returns an image of Pillow in the colour of its class, with speckles of its own."""
    width, height = size
    speckles = np.random.default_rng([label, number]).integers(0, 40, (height, width, 3))
    return Image.fromarray((speckles + COLOURS[label]).astype(np.uint8))


class Pictures:
    """A dataset as torch's are: a length, and (image, label) by number; notes what was asked."""

    def __init__(self, count, first=0, made=lambda image: image):
        self.count, self.first, self.made, self.asked = count, first, made, []

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        self.asked.append(number)
        label = number % len(NAMES)
        return self.made(speckled(label, self.first + number)), label


class Rows(Pictures):
    """A dataset as Hugging Face's are: rows by number, and features that know the classes."""

    def __init__(self, count, first=0, names=NAMES, columns=("image", "label")):
        super().__init__(count, first)
        self.columns = columns
        self.features = Features({columns[0]: SimpleNamespace(), columns[1]: Classes(names)})

    def __getitem__(self, number):
        return dict(zip(self.columns, super().__getitem__(number), strict=True))


class Classes(SimpleNamespace):
    """What a column of labels knows."""

    def __init__(self, names):
        super().__init__(names=list(names))


class Features(dict, Mapping):
    """The columns of a dataset of Hugging Face."""


def put_examples(folder, monkeypatch):
    """Puts into a folder, and where Python imports, what docs/own-datasets.md takes for granted."""
    counts = {"train": 12, "val": 6, "test": 6}
    rows = ["file,class,split"]
    for first, (split, count) in enumerate(counts.items()):
        for number in range(count):
            label = number % len(NAMES)
            path = folder / "pets" / split / NAMES[label] / f"{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            speckled(label, 100 * first + number).save(path)
            name = "validation" if split == "val" else split
            rows.append(f"{path.relative_to(folder)},{NAMES[label]},{name}")
    (folder / "photos.csv").write_text("\n".join(rows) + "\n")
    columns = ("img", "fine_label")
    splits = {"train": (12, 0), "validation": (6, 100), "test": (6, 200)}
    hub = {split: Rows(*which, columns=columns) for split, which in splits.items()}
    library = SimpleNamespace(load_dataset=lambda name: {"me/pets": hub}[name])
    monkeypatch.setitem(sys.modules, "datasets", library)
