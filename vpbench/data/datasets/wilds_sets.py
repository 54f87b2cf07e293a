"""The distribution shifts iWildCam, FMoW and Camelyon17, listed by the wilds package.

Its plain `val` and `test` are out of distribution: cameras, years or a hospital of their own.
They are the splits of Table 6; the in-distribution ones stay unused.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from vpbench.common.errors import UserError
from vpbench.data.datasets import archives, wilds_repairs
from vpbench.data.datasets.image_files import list_images
from vpbench.data.datasets.source import Source

BUNDLES = "https://worksheets.codalab.org/rest/bundles/{}/contents/blob/"
SPLITS = {"train": "train", "validation": "val", "test": "test"}  # ours -> of wilds


Rows = tuple[tuple[str, ...], list[str], list[str]]  # class names; file and group of each row


class Shift(NamedTuple):
    """One of the three: its version, the files that define it, and how its rows are read."""

    version: str
    bundle: str  # where its archive is kept
    definitions: tuple[str, ...]
    read_rows: Callable[[Any], Rows]  # of a dataset of wilds


def open_source(name: str, root: str | Path) -> Source:
    """Returns the `Source` of a shift below `root`, in the layout of wilds."""
    shift, folder = SHIFTS[name], folder_of(name, root)
    definitions = [folder / file for file in shift.definitions]
    archives.require(name, [folder / f"RELEASE_v{shift.version}.txt", *definitions])
    with archives.refusing(name, folder):
        dataset = wilds_repairs.open_dataset(name, shift.version, root)
        class_names, files, groups = shift.read_rows(dataset)
        labels = dataset.y_array.tolist()
        rows = {ours: dataset.get_subset(theirs).indices for ours, theirs in SPLITS.items()}
        if min(labels) < 0 or max(labels) >= len(class_names):
            raise UserError(
                f"labels from {min(labels)} to {max(labels)}, but {len(class_names)} classes"
            )
    entries = {
        split: [(files[number], labels[number]) for number in numbers]
        for split, numbers in rows.items()
    }
    splits = {
        split: replace(listing, groups=tuple(groups[number] for number in rows[split]))
        for split, listing in list_images(name, folder, entries).items()
    }
    return Source(class_names, splits, archives.hashes(root, definitions))


def folder_of(name: str, root: str | Path) -> Path:
    """Returns the folder of a shift below `root`."""
    return Path(root) / f"{name}_v{SHIFTS[name].version}"


def iwildcam(dataset: Any) -> Rows:
    """Returns class names in Latin, image files and cameras."""
    table = pd.read_csv(dataset.data_dir / "categories.csv")
    # Categories without an image have the label 99999. Two species have the same name.
    table = table[table["y"] < dataset.n_classes].sort_values("y")
    if table["y"].tolist() != list(range(dataset.n_classes)):
        raise UserError("categories.csv does not name every class once")
    files = [f"train/{file}" for file in dataset._input_array]  # all of them are in there
    return tuple(table["name"]), files, named(dataset, "location", "camera {}")


def fmow(dataset: Any) -> Rows:
    """Returns class names, image files and regions of the world."""
    # An image is named after its row in the table, the rows of withheld images counted as well.
    files = [f"images/rgb_img_{number}.png" for number in dataset.full_idxs]
    names = dataset.metadata_map["region"]
    regions = [names[number] for number in column(dataset, "region")]
    return tuple(dataset.category_to_idx), files, regions


def camelyon17(dataset: Any) -> Rows:
    """Returns class names in the order of the labels, image files and hospitals."""
    files = list(dataset._input_array)
    return ("not containing", "containing"), files, named(dataset, "hospital", "hospital {}")


def column(dataset: Any, field: str) -> list[int]:
    """Returns the numbers of a field of the metadata, row by row."""
    return dataset.metadata_array[:, dataset.metadata_fields.index(field)].tolist()


def named(dataset: Any, field: str, pattern: str) -> list[str]:
    """Returns the numbers of a field of the metadata as words, row by row."""
    return [pattern.format(number) for number in column(dataset, field)]


SHIFTS = {
    "iwildcam": Shift(
        "2.0", "0x6313da2b204647e79a14b468131fcd64", ("metadata.csv", "categories.csv"), iwildcam
    ),
    "fmow": Shift(
        "1.1", "0xaec91eb7c9d548ebb15e1b5e60f966ab",
        ("rgb_metadata.csv", "country_code_mapping.csv"), fmow,
    ),
    "camelyon17": Shift(
        "1.0", "0xe45e15f39fb54e9d9e919556af67aabe", ("metadata.csv",), camelyon17
    ),
}  # fmt: skip


def download(name: str, root: str | Path) -> Source:
    """Returns the `Source` of a shift once it is below `root`.

    WILDS publishes no checksums, so its archive is taken as it comes (the hashes of its tables are
    in every record), but nothing in it gets outside the dataset's folder.
    """
    folder, url = folder_of(name, root), BUNDLES.format(SHIFTS[name].bundle)
    archive = archives.fetch(name, url, folder / "archive.tar.gz", None)
    with archives.refusing(name, archive):
        archives.unpack(archive, folder)
    archive.unlink()
    return open_source(name, root)
