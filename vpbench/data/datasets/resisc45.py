"""NWPU-RESISC45 with the split lists of Neumann et al. (2019); its makers published no split."""

from collections.abc import Sequence
from pathlib import Path

from vpbench.common.hashing import sha256
from vpbench.data.datasets.image_files import find_folder, list_images
from vpbench.data.datasets.source import Source
from vpbench.data.datasets.split_files import SPLIT_FILES, fetch_split_files, published_path

SPLITS = ("train", "validation", "test")  # in the order of SPLIT_FILES


def open_source(name: str, root: str | Path) -> Source:
    """Returns the `Source` of Resisc45; an image lies in the folder of its class."""
    folders = image_folders(Path(root))
    images = find_folder(name, folders)
    files, hashes = {}, {}
    for split, listed in zip(SPLITS, SPLIT_FILES[name], strict=True):
        path = published_path(name, listed, Path(root), beside(folders))
        hashes[listed.file] = sha256(path)
        files[split] = path.read_text().split()  # the last line has no end
    class_names = sorted({class_of(file) for names in files.values() for file in names})
    number = {class_name: label for label, class_name in enumerate(class_names)}
    splits = {
        split: [(f"{class_of(file)}/{file}", number[class_of(file)]) for file in names]
        for split, names in files.items()
    }
    return Source(tuple(class_names), list_images(name, images, splits), hashes)


def class_of(file: str) -> str:
    """Returns the class of an image: railway_station of railway_station_012.jpg."""
    return file.rpartition("_")[0]


def image_folders(root: Path) -> list[Path]:
    """Returns where the images may be."""
    return [root / "resisc45" / "NWPU-RESISC45", root / "NWPU-RESISC45"]


def beside(folders: Sequence[Path]) -> list[Path]:
    """Returns the folders in which the lists may be."""
    return [folder.parent for folder in folders]


def download(name: str, root: str | Path) -> Source:
    """Returns the `Source` once the lists are fetched; the images are put there by hand."""
    folders = image_folders(Path(root))
    find_folder(name, folders)
    fetch_split_files(name, Path(root), beside(folders))
    return open_source(name, root)
