"""CLEVR/count: how many objects a rendered scene has, read by torchvision.

The official test images have no scenes, so the 15,000 test images of Table 6 are its `val`.
"""

from functools import partial
from pathlib import Path

import numpy as np
from torchvision.datasets import CLEVRClassification

from vpbench.data.datasets import archives
from vpbench.data.datasets.source import CorruptDataset, Listing, Source
from vpbench.spec.preprocessing import open_image

CLASS_NAMES = ("three", "four", "five", "six", "seven", "eight", "nine", "ten")
FEWEST = 3  # objects: the count of the first class
SPLITS = {"train": "train", "test": "val"}  # ours -> CLEVR's
FOLDER = Path("clevr/CLEVR_v1.0")
URL = "https://dl.fbaipublicfiles.com/clevr/CLEVR_v1.0.zip"
SHA256 = "5cd61cf1096ed20944df93c9adb31e74d189b8459a94f54ba00090e5c59936d1"


def open_source(name: str, root: str | Path) -> Source:
    """Returns the `Source` of CLEVR/count below `root`, in the layout of torchvision."""
    folder = Path(root) / FOLDER
    scenes = [folder / "scenes" / f"CLEVR_{split}_scenes.json" for split in SPLITS.values()]
    archives.require(name, scenes)
    splits = {}
    for ours, theirs in SPLITS.items():
        with archives.refusing(name, folder):
            part = CLEVRClassification(root, theirs, loader=open_image)
        counts = np.array(part._labels, np.int64)
        odd = np.flatnonzero((counts < FEWEST) | (counts >= FEWEST + len(CLASS_NAMES)))
        if odd.size:
            file = part._image_files[odd[0]].name
            raise CorruptDataset(
                f"{name}: the scene of {file} has {counts[odd[0]]} objects, expected 3 to 10; "
                f"remove {folder} and get it again with: vpbench data download {name}"
            )
        ids = tuple(file.relative_to(folder).as_posix() for file in part._image_files)
        splits[ours] = Listing(counts - FEWEST, ids, partial(archives.image, part))
    return Source(CLASS_NAMES, splits, archives.hashes(root, scenes))


def download(name: str, root: str | Path) -> Source:
    """Returns the `Source` of CLEVR/count once it is below `root`."""
    archive = archives.fetch(name, URL, Path(root) / "clevr" / "CLEVR_v1.0.zip", SHA256)
    with archives.refusing(name, archive):
        CLEVRClassification(root, download=True)  # unpacks what it finds, unless it is unpacked
    return open_source(name, root)
