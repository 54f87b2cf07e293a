"""The files of a cache: pixels, labels and card; read and checked."""

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.common.messages import first_line
from vpbench.data.datasets.source import CorruptDataset
from vpbench.records import reading, schema

CARD = (
    *("schema", "dataset", "split", "images", "of", "side", "preprocessing", "sha256"),
    *("class_names", "splits", "deviations", "versions"),
)
SHAPES = {  # of what is used of a card without being compared, see records.schema.KINDS
    "sha256": {"images": "a text", "labels": "a text"},
    "class_names": ["a text"],
    "splits": "an object",
    "deviations": ["a text"],
}
REMEDY = "delete its folder, it will be made again"


def card_path(path: Path) -> Path:
    """Returns where the card of the array `path` is."""
    return path.with_suffix(".json")


def labels_path(path: Path) -> Path:
    """Returns where the labels of the array `path` are."""
    return path.with_suffix(".labels.npz")


def files_of(path: Path) -> list[Path]:
    """Returns the files of a part of a cache whose array is `path`."""
    return [path, labels_path(path), card_path(path)]


def read_card(path: Path) -> dict[str, Any]:
    """Returns the card in the file `path`, checked."""
    card = reading.parse(path)
    schema.demand(card, CARD, path)
    schema.shaped(card, SHAPES, path)
    return card


def map_images(path: Path, card: dict[str, Any]) -> np.memmap:
    """Returns the images of an array, uint8 [N, S, S, 3], mapped from disk to be read only."""
    expected = (card["images"], card["side"], card["side"], 3)
    try:
        images: np.memmap = np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy raises anything at all at a damaged header
        raise broken(path, first_line(error)) from None
    if images.shape != expected or images.dtype != np.uint8:
        raise broken(path, f"it holds {images.dtype} {images.shape}, expected uint8 {expected}")
    if path.stat().st_size != images.offset + images.nbytes:
        raise broken(path, f"{path.stat().st_size} bytes, not {images.offset + images.nbytes}")
    return images


def read_labels(
    path: Path, card: dict[str, Any]
) -> tuple[np.ndarray, tuple[str, ...], tuple[str, ...] | None]:
    """Returns (labels int64 [N], ids, groups or None) of an array, their SHA-256 checked."""
    try:
        with open(labels_path(path), "rb") as raw, np.load(raw, allow_pickle=False) as file:
            labels, ids = file["labels"], tuple(file["ids"].tolist())
            groups = tuple(file["groups"].tolist()) if "groups" in file else None
            digest = hash_labels(labels, ids, groups)
    except MemoryError:
        raise  # the file may be sound
    except Exception as error:  # numpy and zipfile raise anything at all at a damaged file
        raise broken(labels_path(path), first_line(error)) from None
    if digest != card["sha256"]["labels"]:
        raise broken(labels_path(path), "its SHA-256 is not that of its card")
    classes = len(card["class_names"])
    if labels.dtype != np.int64 or labels.ndim != 1 or len(labels) != len(ids):
        raise broken(labels_path(path), f"it holds {labels.dtype} {labels.shape}, {len(ids)} ids")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise broken(labels_path(path), f"its labels are not those of {classes} classes")
    return labels, ids, groups


def check_files(path: Path, card: dict[str, Any]) -> None:
    """Raises CorruptDataset unless an array and its labels are as the card says.

    The pixels are not looked at.
    """
    map_images(path, card)
    read_labels(path, card)


def verify(path: Path, card: dict[str, Any]) -> None:
    """Raises CorruptDataset unless all that is stored has the SHA-256 of the card.

    Reads every pixel.
    """
    check_files(path, card)
    with open(path, "rb") as file:
        np.lib.format.read_magic(file)
        np.lib.format.read_array_header_1_0(file)
        digest = hashlib.file_digest(file, "sha256").hexdigest()  # from here on: the pixels
    if digest != card["sha256"]["images"]:
        raise broken(path, "its SHA-256 is not that of its card")


def broken(path: Path, reason: str) -> CorruptDataset:
    """Returns the error that says that a file of a cache cannot be used."""
    return CorruptDataset(f"{path} is broken ({reason}); {REMEDY}")


def hash_labels(labels: np.ndarray, ids: Iterable[str], groups: Sequence[str] | None) -> str:
    """Returns the SHA-256 of labels, ids and groups."""
    digest = hashlib.sha256(labels.astype("<i8").tobytes())
    for names in (ids, groups or ()):
        digest.update("".join(f"{name}\n" for name in names).encode())
    return digest.hexdigest()
