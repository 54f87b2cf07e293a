"""Images that lie one per file below a folder and are listed by their paths."""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.data.datasets.source import CorruptDataset, Listing, MissingDataset
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.preprocessing import open_image


def find_folder(name: str, folders: Sequence[Path]) -> Path:
    """Returns the first of `folders` that is there; raises MissingDataset with what to do."""
    for folder in folders:
        if folder.is_dir():
            return folder
    looked = " and ".join(map(str, folders))
    by_hand = FACTS[name].download == "manual"
    what = FACTS[name].steps if by_hand else f"get them with: vpbench data download {name}"
    raise MissingDataset(f"{name}: no images, looked for in {looked}; {what}")


def list_images(
    name: str, folder: Path, splits: Mapping[str, Sequence[tuple[str, int]]]
) -> dict[str, Listing]:
    """Returns split -> `Listing` of [(path below `folder`, label), ...]; no image is opened.

    Raises CorruptDataset if a path leads out of the folder, is listed twice or is not there.
    """
    check_files(name, folder, [path for entries in splits.values() for path, _ in entries])
    return {split: _listing(folder, entries) for split, entries in splits.items()}


def check_files(name: str, folder: Path, paths: Sequence[str]) -> None:
    """Raises CorruptDataset unless all `paths` below `folder` are there, each listed once."""
    there: dict[str, set[str]] = {}
    seen: set[str] = set()
    for path in paths:
        if os.path.isabs(path) or ".." in path.split("/") or "\\" in path:
            raise CorruptDataset(f"{name}: a split lists {path}, which leads out of {folder}")
        if path in seen:
            raise CorruptDataset(f"{name}: the splits list {path} twice")
        seen.add(path)
        there.setdefault(os.path.dirname(path), set())
    for parent in there:  # one look per folder: a look per file takes minutes on network disks
        there[parent] = _names(folder / parent)
    missing = [p for p in paths if os.path.basename(p) not in there[os.path.dirname(p)]]
    if missing:
        raise CorruptDataset(
            f"{name}: {len(missing)} of the {len(paths)} listed images are missing in {folder}, "
            f"the first is {missing[0]}; remove that folder and get the images again"
        )


def _names(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries}
    except (FileNotFoundError, NotADirectoryError):
        return set()


def _listing(folder: Path, entries: Sequence[tuple[str, int]]) -> Listing:
    paths = tuple(path for path, _ in entries)
    labels = np.array([label for _, label in entries], dtype=np.int64)
    return Listing(labels, paths, partial(_read, Path(folder), paths))


def _read(folder: Path, paths: Sequence[str], i: int) -> Image.Image:
    return open_image(folder / paths[i])
