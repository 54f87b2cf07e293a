"""The seven datasets with CoOp's splits (Zhou et al., 2022), and cats against dogs out of one.

The images may lie as CoOp or as torchvision puts them. Nothing is read from the official lists of
labels that come with the images: path, label and class name of each are in CoOp's split file.
"""

import http.client
import importlib
from collections.abc import Sequence
from pathlib import Path

from vpbench.common import strict_json
from vpbench.common.hashing import sha256
from vpbench.data.datasets.archives import first_line
from vpbench.data.datasets.image_files import find_folder, list_images
from vpbench.data.datasets.source import CorruptDataset, MissingDataset, Source
from vpbench.data.datasets.split_files import (
    DRAWN,
    SPLIT_FILES,
    Entries,
    fetch_split_files,
    find_split_file,
    parse_split,
    published_path,
)

IMAGES = {  # below the data folder, CoOp's place first, then torchvision's where it differs
    "flowers102": ("oxford_flowers/jpg", "flowers-102/jpg"),
    "food101": ("food-101/images",),
    "eurosat": ("eurosat/2750",),
    "sun397": ("sun397/SUN397", "SUN397"),
    "ucf101": ("ucf101/UCF-101-midframes",),
    "oxfordpets": ("oxford_pets/images", "oxford-iiit-pet/images"),
    "dtd": ("dtd/images", "dtd/dtd/images"),
}
DOWNLOADS = {  # dataset -> the class of torchvision.datasets that fetches its images
    "flowers102": "Flowers102",
    "food101": "Food101",
    "eurosat": "EuroSAT",
    "sun397": "SUN397",
    "oxfordpets": "OxfordIIITPet",
    "dtd": "DTD",
}
CATS = {  # the breeds of OxfordPets that are cats; the other 25 are dogs
    *("abyssinian", "bengal", "birman", "bombay", "british_shorthair", "egyptian_mau"),
    *("maine_coon", "persian", "ragdoll", "russian_blue", "siamese", "sphynx"),
}


def open_source(name: str, root: str | Path) -> Source:
    """Returns the `Source` of a dataset with CoOp's split, or with one that was drawn anew."""
    images = find_folder(name, image_folders(name, Path(root)))
    file, deviations = find_split(name, Path(root))
    class_names, splits = parse_split(file)
    if name == "cats_dogs":
        class_names, splits = by_species(class_names, splits)
    hashes = {file.name: sha256(file)}
    return Source(class_names, list_images(name, images, splits), hashes, deviations)


def stored_as(name: str) -> str:
    """Returns the dataset whose files hold the task `name`."""
    return "oxfordpets" if name == "cats_dogs" else name


def image_folders(name: str, root: Path) -> list[Path]:
    """Returns where the images of a dataset may be."""
    return [root / folder for folder in IMAGES[stored_as(name)]]


def find_split(name: str, root: Path) -> tuple[Path, tuple[str, ...]]:
    """Returns (path, deviations) of the published split, else of the one drawn anew."""
    (published,) = SPLIT_FILES[stored_as(name)]
    drawn = drawn_split(name, root)
    if find_split_file(published, root, beside(name, root)) or not drawn.is_file():
        return published_path(name, published, root, beside(name, root)), ()
    try:
        seed = int(strict_json.parse_json(drawn.read_bytes())[DRAWN]["seed"])
    except (ValueError, KeyError, TypeError, IndexError):
        raise CorruptDataset(
            f"{drawn} does not say with which seed it was drawn; remove it and draw it again"
        ) from None
    deviation = (
        f"the split of {stored_as(name)} was drawn anew by CoOp's rule with seed {seed}: its "
        "sizes are the paper's, the images in each part are not"
    )
    return drawn, (deviation,)


def beside(name: str, root: Path) -> list[Path]:
    """Returns the folders in which CoOp and torchvision users keep the split file."""
    return [folder.parent for folder in image_folders(name, root)]


def drawn_split(name: str, root: Path) -> Path:
    """Returns where a split drawn anew is kept, apart from the published one."""
    (published,) = SPLIT_FILES[stored_as(name)]
    return root / "splits" / published.file.replace("split_zhou_", "split_drawn_anew_")


def by_species(
    class_names: Sequence[str], splits: dict[str, Entries]
) -> tuple[tuple[str, ...], dict[str, Entries]]:
    """Returns class names and splits of OxfordPets with two labels: cat 0, dog 1."""
    species = [0 if class_name in CATS else 1 for class_name in class_names]
    return ("cat", "dog"), {
        split: [(path, species[label]) for path, label in entries]
        for split, entries in splits.items()
    }


def download(name: str, root: str | Path) -> Source:
    """Returns the `Source` once images and split file are there; those of UCF101 are put by hand.

    torchvision compares the archives with their MD5. Raises MissingDataset in one line.
    """
    root, stored = Path(root), stored_as(name)
    if stored in DOWNLOADS and not any(f.is_dir() for f in image_folders(name, root)):
        datasets = importlib.import_module("torchvision.datasets")  # here alone: it loads torch
        fetch_images = getattr(datasets, DOWNLOADS[stored])
        try:
            fetch_images(root, download=True)
        except (OSError, RuntimeError, http.client.HTTPException) as error:
            raise MissingDataset(
                f"{name}: the images were not fetched ({first_line(error)}); try again, or unpack "
                f"them by hand to {image_folders(name, root)[-1]}"
            ) from None
    find_folder(name, image_folders(name, root))
    fetch_split_files(stored, root, beside(name, root))
    return open_source(name, root)
