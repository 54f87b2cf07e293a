"""CIFAR10 and CIFAR100 of a few images, in archives as Python 2 made them."""

import struct

import numpy as np

from vpbench.data.datasets import cifar

SIDE = np.arange(32, dtype=np.uint8)
ROWS, COLUMNS = np.meshgrid(SIDE, SIDE, indexing="ij")
NAMES10 = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
NAMES100 = ["apple", "aquarium_fish", *(f"class_{number:02}" for number in range(2, 100))]


def pickled(value):
    """Returns what Python 2, with which the archives were made, pickles; strings are bytes."""
    return b"\x80\x02" + opcodes(value) + b"."


def opcodes(value):
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


def images(numbers):
    """Returns the batch in which image n has red = row, green = column, blue = n."""
    planes = [[ROWS, COLUMNS, np.full((32, 32), number, np.uint8)] for number in numbers]
    return np.array(planes, np.uint8).reshape(len(planes), 3072)


def write(folder, contents):
    """Returns `folder` once it holds the pickles `contents`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file, value in contents.items():
        (folder / file).write_bytes(pickled(value))
    return folder


def write_cifar10(root):
    """Returns the folder of a CIFAR10 of two images in each batch; image n has label n % 10."""
    contents = {
        f"data_batch_{number}": {
            "batch_label": f"training batch {number} of 5",
            "labels": [2 * number - 2, 2 * number - 1],
            "data": images([2 * number - 2, 2 * number - 1]),
        }
        for number in range(1, 6)
    }
    contents["test_batch"] = {"labels": [2, 1, 0], "data": images([12, 11, 10])}
    contents["batches.meta"] = {"label_names": NAMES10, "num_vis": 3072}
    return write(root / "cifar-10-batches-py", contents)


def write_cifar100(root):
    """Returns the folder of a CIFAR100 of three training images and two test images."""
    fine = {"train": [1, 99, 0], "test": [98, 1]}
    contents = {
        split: {
            "data": images(labels),
            "coarse_labels": [label // 5 for label in labels],
            "fine_labels": labels,
        }
        for split, labels in fine.items()
    }
    contents["meta"] = {
        "fine_label_names": NAMES100,
        "coarse_label_names": ["aquatic_mammals", "fish"],
    }
    return write(root / "cifar-100-python", contents)


def without_checksums(monkeypatch):
    """Lets torchvision read files that are not the real ones, until `monkeypatch` is undone."""
    for name, loader in list(cifar.LOADERS.items()):
        changes = {
            "train_list": [[file, None] for file, _ in loader.train_list],
            "test_list": [[file, None] for file, _ in loader.test_list],
            "meta": loader.meta | {"md5": None},
            "tgz_md5": None,
            "url": "http://127.0.0.1:9/nothing",
        }
        monkeypatch.setitem(cifar.LOADERS, name, type(loader.__name__, (loader,), changes))
