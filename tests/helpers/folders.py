"""Folders of plain images, as people have them."""

import json

import pytest
from PIL import Image

from vpbench.common.errors import UserError
from vpbench.data import image_folder
from vpbench.spec.preprocessing import Preprocessing

SMALL = Preprocessing(8, 8)
COLOURS = {"cat": (200, 0, 0), "dog": (0, 200, 0), "owl": (0, 0, 200)}


def paint(path, colour=(9, 9, 9), size=(8, 8)):
    """Returns `path` once it is a plain image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def fill(folder, count=10):
    """Returns `folder` with `count` images of each class, each in its class's colour."""
    for name, colour in COLOURS.items():
        for number in range(count):
            shade = tuple(min(255, value + number) for value in colour)
            paint(folder / name / f"{number:02}.png", shade)
    return folder


def sizes(task):
    """Returns split -> number of images."""
    return {name: len(split) for name, split in task.splits.items()}


def labels_are_right(task):
    """Returns whether each image has the colour of its label and lies in that class's folder."""
    order = sorted(COLOURS)
    return all(
        split.images[i, 0, 0].argmax() == list(COLOURS).index(order[label]) and order[label] in name
        for split in task.splits.values()
        for i, (label, name) in enumerate(zip(split.labels.tolist(), split.ids, strict=True))
    )


def refusal(folder, **options):
    """Returns the one line with which `folder` is refused."""
    with pytest.raises(UserError) as error:
        image_folder.load_folder(folder, SMALL, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def written(path, document):
    """Returns `path` once it holds the JSON `document`."""
    path.write_text(json.dumps(document))
    return path
