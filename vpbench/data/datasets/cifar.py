"""CIFAR100 and CIFAR10, read by torchvision: pickled batches, kept in memory as uint8."""

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100, cifar

from vpbench.data.datasets import archives
from vpbench.data.datasets.source import Listing, Source
from vpbench.spec import made_up

LOADERS = {"cifar100": CIFAR100, "cifar10": CIFAR10}
SHA256 = {  # of the archives
    "cifar100": "85cd44d02ba6437773c5bbd22e183051d648de2e7d6b014e1ef29b855ba677a7",
    "cifar10": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
}
_RECONSTRUCT = np.empty(0).__reduce__()[0]
PERMITTED: dict[
    tuple[str, str], Any
] = {  # what the pickles may name: enough for lists, strings, numbers and arrays of numbers
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


def open_source(name: str, root: str | Path) -> Source:
    """Returns the `Source` of CIFAR100 or CIFAR10 below `root`, in the layout of torchvision."""
    loader, root = loader_of(name), Path(root)
    folder = root / loader.base_folder
    batches = [file for file, _ in loader.train_list + loader.test_list]
    files = [folder / file for file in [*batches, loader.meta["filename"]]]
    archives.require(name, files)
    # torchvision compares the MD5 of every file before it unpickles one.
    with archives.refusing(name, folder), pickles_of_data():
        parts = {split: loader(root, train=split == "train") for split in ("train", "test")}
    splits = {
        split: Listing(
            np.array(part.targets, np.int64),
            tuple(f"{split}/{number:05}" for number in range(len(part))),
            partial(archives.image, part),
        )
        for split, part in parts.items()
    }
    names = tuple(parts["train"].classes)
    return Source(names, splits, archives.hashes(root, files))


def loader_of(name: str) -> Any:
    """Returns torchvision's class, with the MD5 that the files must have."""
    loader = LOADERS[name]

    def listed(files: list[list[Any]]) -> list[list[Any]]:
        return [[file, made_up.checksum(name, file, md5)] for file, md5 in files]

    meta = loader.meta["filename"], loader.meta["md5"]
    changes = {
        "train_list": listed(loader.train_list),
        "test_list": listed(loader.test_list),
        "meta": loader.meta | {"md5": made_up.checksum(name, *meta)},
    }
    return type(loader.__name__, (loader,), changes)


@contextmanager
def pickles_of_data() -> Iterator[None]:
    """Lets torchvision's CIFAR unpickle nothing but data while it lasts.

    MD5 is no protection against a file that was made to harm, so the files are not trusted.
    """
    cifar.pickle = SimpleNamespace(load=lambda file, **how: DataUnpickler(file, **how).load())
    try:
        yield
    finally:
        cifar.pickle = pickle


class DataUnpickler(pickle.Unpickler):
    """Reads lists, dicts, strings, numbers and arrays; whatever else a pickle names is refused."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what the pickle calls module.name if that is in PERMITTED."""
        if (module, name) not in PERMITTED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no data")
        return PERMITTED[module, name]


def download(name: str, root: str | Path) -> Source:
    """Returns the `Source` of CIFAR100 or CIFAR10 once it is below `root`."""
    loader, root = LOADERS[name], Path(root)
    archives.fetch(name, loader.url, root / loader.filename, SHA256[name])
    with archives.refusing(name, root / loader.filename), pickles_of_data():
        loader(root, download=True)  # unpacks what it finds
    return open_source(name, root)
