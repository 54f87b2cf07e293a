"""SVHN's cropped digits, read by torchvision from MATLAB files; the `extra` images stay unused."""

from functools import partial
from pathlib import Path

from torchvision.datasets import SVHN

from vpbench.data.datasets import archives
from vpbench.data.datasets.source import Listing, Source
from vpbench.spec import made_up

LOADER = SVHN
CLASS_NAMES = tuple("0123456789")  # the dataset ships none; torchvision makes its label 10 a 0
SHA256 = {
    "train": "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8",
    "test": "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b",
}


def open_source(name: str, root: str | Path) -> Source:
    """Returns the `Source` of SVHN, whose two files lie in the folder svhn of `root`."""
    folder = Path(root) / "svhn"
    listed = {
        split: [url, file, made_up.checksum(name, file, md5)]
        for split, (url, file, md5) in LOADER.split_list.items()
    }
    loader = type(LOADER.__name__, (LOADER,), {"split_list": listed})
    files = [folder / listed[split][1] for split in SHA256]
    archives.require(name, files)
    with archives.refusing(name, folder):
        parts = {split: loader(folder, split) for split in SHA256}
    splits = {
        split: Listing(
            part.labels,
            tuple(f"{split}/{number:05}" for number in range(len(part))),
            partial(archives.image, part),
        )
        for split, part in parts.items()
    }
    return Source(CLASS_NAMES, splits, archives.hashes(root, files))


def download(name: str, root: str | Path) -> Source:
    """Returns the `Source` of SVHN once its files are in the folder svhn of `root`."""
    for split, checksum in SHA256.items():
        url, file, _ = LOADER.split_list[split]
        archives.fetch(name, url, Path(root) / "svhn" / file, checksum)
    return open_source(name, root)
