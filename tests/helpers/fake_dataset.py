"""A real dataset of tiny PNG files, as far as the suite can tell: entries in both tables."""

import json
import sys
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.data.datasets.source import CorruptDataset, Listing, MissingDataset, Source
from vpbench.spec.dataset_facts import FACTS, Facts
from vpbench.spec.preprocessing import open_image
from vpbench.spec.tasks import TASKS, Task

MODULE = "vpbench.data.datasets.dots"  # where datasets on disk are
NAME = "dots"
SIZES = {"train": 12, "validation": 3, "test": 6}
CLASS_NAMES = ("red_dot", "green_dot", "blue_dot")
OPENED = "opened"  # a line in this file for each time that the dataset was opened


def register(set_item, sizes=SIZES, native_size=None):
    """Returns the name of the dataset once `set_item(table, name, row)` has entered it."""
    set_item(sys.modules, MODULE, sys.modules[__name__])
    row = Task(MODULE, "Dots", "", "a {}", True, metric="macro_f1", painted=False)
    set_item(TASKS, NAME, row)
    facts = Facts(
        len(CLASS_NAMES), sizes, "made up", "CC0", "manual", "paint them", 0.001, native_size
    )
    set_item(FACTS, NAME, facts)
    return NAME


def write_files(root, side=None):
    """Returns the folder of the dataset; images have a side each of its own, or all `side`."""
    folder = Path(root, NAME)
    folder.mkdir(parents=True)
    rng, lists = np.random.default_rng(0), {}
    for split, count in SIZES.items():
        lists[split] = []
        for number in range(count):
            size = (side, side) if side else (20 + number, 30 - number)
            pixels = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
            file = f"{split}{number}.png"
            Image.fromarray(pixels).save(folder / file)
            lists[split].append([file, number % len(CLASS_NAMES), f"camera {number % 2}"])
    (folder / "splits.json").write_text(json.dumps(lists))
    return folder


def open_source(name, root):
    """Returns the `Source`."""
    folder = Path(root, name)
    if not folder.is_dir():
        raise MissingDataset(f"{name}: {folder} is missing")
    with open(folder / OPENED, "a") as file:
        file.write("once\n")
    try:
        lists = json.loads((folder / "splits.json").read_text())
    except ValueError:
        raise CorruptDataset(f"{name}: {folder}/splits.json is broken") from None
    splits = {split: listing(folder, rows) for split, rows in lists.items()}
    return Source(CLASS_NAMES, splits, {"splits.json": "ab" * 32}, ("the split is made up",))


def download(name, root):
    """Raises MissingDataset: nobody can fetch it."""
    raise MissingDataset(f"{name}: to be fetched by hand: {FACTS[name].steps}")


def listing(folder, rows):
    """Returns the `Listing` of one split."""
    files, labels, groups = zip(*rows, strict=True)
    return Listing(
        np.array(labels, np.int64), files, lambda i: open_image(folder / files[i]), groups
    )


def times_opened(root):
    """Returns how often the dataset under `root` was opened."""
    path = Path(root, NAME, OPENED)
    return len(path.read_text().splitlines()) if path.exists() else 0
