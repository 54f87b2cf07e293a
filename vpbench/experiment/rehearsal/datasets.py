"""The paper's datasets of a few images each, in their own formats, and the facts about them."""

import hashlib
from collections.abc import Iterable
from pathlib import Path

from vpbench.common import atomic_files
from vpbench.common.hashing import sha256
from vpbench.data.datasets import coop
from vpbench.experiment.rehearsal import archive_files, cifar_files, listed_files, wilds_files
from vpbench.spec.class_names import read_manifest
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.made_up import MARKER, Brought

# Labels of the images: ten classes where a dataset's classes are counted by its images (CoOp's and
# Resisc45; EuroSAT's ten are then all there), and two steps of two images.
TRAIN, VALIDATION, TEST = [0, 1, 2, 3], [4, 5], [6, 7, 8, 9]
COOP = tuple(coop.IMAGES)


def write_all(names: Iterable[str], root: Path) -> dict[str, Brought]:
    """Returns dataset -> the facts of it, once all of `names` that lie on disk are under `root`.

    The folder is marked with them. Those of a Python package are as they are: they bring no facts.
    """
    facts = {name: write_dataset(name, root) for name in names if name in WRITE}
    if "cats_dogs" in names:
        pets = facts.get("oxfordpets") or write_dataset("oxfordpets", root)
        facts["cats_dogs"] = pets | {"classes": 2}
    atomic_files.write(root / MARKER, facts)
    return facts


def write_dataset(name: str, root: Path) -> Brought:
    """Returns the facts of the dataset `name`, once it is under `root`."""
    checksums, classes = WRITE[name](name, root)
    sizes = {"train": len(TRAIN), "validation": len(VALIDATION), "test": len(TEST)}
    kept = {split: sizes[split] for split in FACTS[name].sizes}
    return {"classes": classes or FACTS[name].classes, "sizes": kept, "checksums": checksums}


def md5(path: Path) -> str:
    """Returns the MD5 of a file, by which torchvision knows its own."""
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


Written = tuple[dict[str, str], int | None]  # checksums by file; classes, None: all there are


def write_cifar(name: str, root: Path) -> Written:
    """Returns what is to be known of a CIFAR once it is there."""
    if name == "cifar10":
        folder = cifar_files.write_cifar10(root, [*([label] for label in TRAIN), []], TEST)
    else:
        folder = cifar_files.write_cifar100(root, TRAIN, TEST)
    return {path.name: md5(path) for path in folder.iterdir()}, None


def write_svhn(name: str, root: Path) -> Written:
    """Returns what is to be known of SVHN once it is there."""
    folder = archive_files.write_svhn(root, {"train": [10, *TRAIN[1:]], "test": TEST})
    return {path.name: md5(path) for path in folder.iterdir()}, None


def write_clevr(name: str, root: Path) -> Written:
    """Returns what is to be known of CLEVR once it is there: it has 3 to 10 objects."""
    archive_files.write_clevr(root, {"train": [3, 4, 5, 6], "val": [7, 8, 9, 10]})
    return {}, None


def write_coop(name: str, root: Path) -> Written:
    """Returns what is to be known of a dataset with CoOp's split once it is there."""
    labels = {"train": TRAIN, "val": VALIDATION, "test": TEST}
    file = listed_files.write_coop(root, name, listed_files.made_up_rows(name, labels))
    return {file.name: sha256(file)}, len(TRAIN + VALIDATION + TEST)


def write_resisc45(name: str, root: Path) -> Written:
    """Returns what is to be known of Resisc45 once it is there."""
    names = read_manifest(name)
    lists = {
        split: [f"{names[label]}_{label:03}.jpg" for label in labels]
        for split, labels in (("train", TRAIN), ("val", VALIDATION), ("test", TEST))
    }
    paths = listed_files.write_resisc45(root, lists)
    return {path.name: sha256(path) for path in paths}, len(TRAIN + VALIDATION + TEST)


def write_iwildcam(name: str, root: Path) -> Written:
    """Returns what is to be known of iWildCam once it is there, all its species named."""
    names = read_manifest(name)
    rest = range(len(TRAIN + VALIDATION + TEST), len(names))  # wilds wants an image of each class
    labels = {"train": TRAIN, "val": VALIDATION, "test": TEST, "id_test": rest}
    traps = [
        (split, f"{split}_{label}.jpg", label, number % 3, "L" if label % 2 else "RGB")
        for number, (split, listed) in enumerate(labels.items())
        for label in listed
    ]
    categories = [(label, label, each) for label, each in enumerate(names)]
    wilds_files.write_iwildcam(root, traps, [*categories, (99999, 999, "nothing of it")])
    return {}, None


def write_fmow(name: str, root: Path) -> Written:
    """Returns what is to be known of FMoW once it is there."""
    names, countries = read_manifest(name), {"FRA": "Europe", "IND": "Asia", "KEN": "Africa"}
    rows = [("seq", names[0], "2016-05-01T10:00:00Z", "IND")]  # withheld: counted, in no split
    years = (("train", TRAIN, 2002), ("val", VALIDATION, 2013), ("test", TEST, 2016))
    for split, labels, year in years:
        for number, label in enumerate(labels):
            second = "00.643" if number % 2 else "00"  # its time stamps come in two formats
            stamp = f"{year}-05-01T10:00:{second}Z"
            rows.append((split, names[label], stamp, list(countries)[number % 3]))
    wilds_files.write_fmow(root, rows, countries)
    return {}, None


def write_camelyon17(name: str, root: Path) -> Written:
    """Returns what is to be known of Camelyon17 once it is there: centre 1 is validation's."""
    centres = ((0, TRAIN), (1, VALIDATION), (2, TEST))
    patches = [
        (f"{20 * centre + number:03}", number % 5, number % 2, number, centre, 0)
        for centre, labels in centres
        for number, _ in enumerate(labels)
    ]
    wilds_files.write_camelyon17(root, patches)
    return {}, None


WRITE = {
    "cifar100": write_cifar,
    "cifar10": write_cifar,
    "svhn": write_svhn,
    "clevr": write_clevr,
    **dict.fromkeys(COOP, write_coop),
    "resisc45": write_resisc45,
    "iwildcam": write_iwildcam,
    "fmow": write_fmow,
    "camelyon17": write_camelyon17,
}
