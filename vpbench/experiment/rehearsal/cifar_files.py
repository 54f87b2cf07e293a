"""CIFAR10 and CIFAR100 of a few images, in archives as Python 2 made them."""

import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vpbench.spec.class_names import read_manifest

SIDE = np.arange(32, dtype=np.uint8)
ROWS, COLUMNS = np.meshgrid(SIDE, SIDE, indexing="ij")


def pickled(value: Any) -> bytes:
    """Returns what Python 2, with which the archives were made, pickles; strings are bytes."""
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value: Any) -> bytes:
    """Returns the opcodes that put `value` on the stack of the unpickler."""
    if isinstance(value, str):
        return b"T" + struct.pack("<i", len(value)) + value.encode("latin1")
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, list):
        return b"(" + b"".join(map(opcodes, value)) + b"l"
    if isinstance(value, dict):
        return b"(" + b"".join(opcodes(x) for pair in value.items() for x in pair) + b"d"
    kind = b"cnumpy\ndtype\n(" + opcodes("u1") + opcodes(0) + opcodes(1) + b"tR("
    kind += opcodes(3) + opcodes("|") + b"NNN" + opcodes(-1) + opcodes(-1) + opcodes(0) + b"tb"
    shape = b"(" + b"".join(map(opcodes, value.shape)) + b"t"
    content = opcodes(value.tobytes().decode("latin1"))
    start = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(" + opcodes(0) + b"t"
    return start + opcodes("b") + b"tR(" + opcodes(1) + shape + kind + b"I00\n" + content + b"tb"


def images(numbers: Iterable[int]) -> np.ndarray:
    """Returns the batch in which image n has red = row, green = column, blue = n."""
    planes = [[ROWS, COLUMNS, np.full((32, 32), number, np.uint8)] for number in numbers]
    return np.array(planes, np.uint8).reshape(len(planes), 3072)


def write(folder: Path, contents: Mapping[str, Any]) -> Path:
    """Returns `folder` once it holds the pickles `contents`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in contents.items():
        (folder / file).write_bytes(pickled(value))
    return folder


def write_cifar10(root: Path, batches: Sequence[Sequence[int]], test: Sequence[int]) -> Path:
    """Returns the folder of a CIFAR10 with the labels of five batches and of the test images.

    Image n of all, the training images first, is blue = n.
    """
    contents: dict[str, Any] = {}
    first = 0
    for number, labels in enumerate(batches, start=1):
        contents[f"data_batch_{number}"] = {
            "batch_label": f"training batch {number} of 5",
            "labels": list(labels),
            "data": images(range(first, first + len(labels))),
        }
        first += len(labels)
    data = images(range(first, first + len(test)))
    contents["test_batch"] = {"labels": list(test), "data": data}
    contents["batches.meta"] = {"label_names": list(read_manifest("cifar10")), "num_vis": 3072}
    return write(root / "cifar-10-batches-py", contents)


def write_cifar100(root: Path, train: Sequence[int], test: Sequence[int]) -> Path:
    """Returns the folder of a CIFAR100 with these labels; an image is blue = its label."""
    contents: dict[str, Any] = {
        split: {
            "data": images(labels),
            "coarse_labels": [label // 5 for label in labels],
            "fine_labels": list(labels),
        }
        for split, labels in (("train", train), ("test", test))
    }
    contents["meta"] = {
        "fine_label_names": list(read_manifest("cifar100")),
        "coarse_label_names": ["aquatic_mammals", "fish"],
    }
    return write(root / "cifar-100-python", contents)
