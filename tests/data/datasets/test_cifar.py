import hashlib
import os
import pickle
import struct
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import cifar as torchvision_cifar

from tests.helpers.refused import refused
from vpbench.data.datasets import cifar
from vpbench.data.datasets.source import CorruptDataset, MissingDataset, WrongSize, open_dataset

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


@pytest.fixture
def no_checksums(monkeypatch):
    """Lets torchvision read files that are not the real ones."""
    for name, loader in list(cifar.LOADERS.items()):
        changes = {
            "train_list": [[file, None] for file, _ in loader.train_list],
            "test_list": [[file, None] for file, _ in loader.test_list],
            "meta": loader.meta | {"md5": None},
            "tgz_md5": None,
            "url": "http://127.0.0.1:9/nothing",
        }
        monkeypatch.setitem(cifar.LOADERS, name, type(loader.__name__, (loader,), changes))


def test_the_five_batches_of_cifar10_are_its_training_images_in_order(tmp_path, no_checksums):
    write_cifar10(tmp_path)
    source = cifar.open_source("cifar10", tmp_path)
    train, test = source.splits["train"], source.splits["test"]
    assert source.class_names == tuple(NAMES10)
    assert train.labels.tolist() == list(range(10)) and test.labels.tolist() == [2, 1, 0]
    assert train.labels.dtype == np.int64
    assert [train.read(i).getpixel((0, 0))[2] for i in range(10)] == list(range(10))
    assert [test.read(i).getpixel((0, 0))[2] for i in range(3)] == [12, 11, 10]
    assert set(source.splits) == {"train", "test"}


def test_the_planes_of_a_picture_become_its_colours(tmp_path, no_checksums):
    write_cifar10(tmp_path)
    picture = cifar.open_source("cifar10", tmp_path).splits["train"].read(7)
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    assert picture.getpixel((3, 20)) == (20, 3, 7)  # (column, row)


def test_cifar100_has_its_fine_labels_and_the_names_of_the_archive(tmp_path, no_checksums):
    write_cifar100(tmp_path)
    source = cifar.open_source("cifar100", tmp_path)
    assert source.splits["train"].labels.tolist() == [1, 99, 0]
    assert source.splits["test"].labels.tolist() == [98, 1]
    assert len(source.class_names) == 100 and source.class_names[1] == "aquarium_fish"
    assert source.splits["test"].ids == ("test/00000", "test/00001")


def test_the_hashes_are_those_of_the_files(tmp_path, no_checksums):
    folder = write_cifar100(tmp_path)
    hashes = cifar.open_source("cifar100", tmp_path).hashes
    assert set(hashes) == {f"cifar-100-python/{file}" for file in ("train", "test", "meta")}
    meta = hashlib.sha256((folder / "meta").read_bytes()).hexdigest()
    assert hashes["cifar-100-python/meta"] == meta


def test_other_files_than_the_real_ones_are_refused(tmp_path):
    write_cifar100(tmp_path)
    line = refused(CorruptDataset, cifar.open_source, "cifar100", tmp_path)
    assert "cifar-100-python" in line and "vpbench data download cifar100" in line


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_missing_file_is_named(tmp_path, file):
    (write_cifar10(tmp_path) / file).unlink()
    line = refused(MissingDataset, cifar.open_source, "cifar10", tmp_path)
    assert str(tmp_path / "cifar-10-batches-py" / file) in line
    assert "vpbench data download cifar10" in line


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


@pytest.mark.parametrize("file", ["train", "meta"])
def test_a_pickle_that_would_run_something_is_refused_and_does_not(tmp_path, no_checksums, file):
    folder = write_cifar100(tmp_path)
    (folder / file).write_bytes(pickle.dumps({"data": Trap(tmp_path / "sprung")}, 2))
    line = refused(CorruptDataset, cifar.open_source, "cifar100", tmp_path)
    assert "mkdir" in line
    assert not (tmp_path / "sprung").exists()
    pickle.loads((folder / file).read_bytes())  # it would have
    assert (tmp_path / "sprung").exists()


def test_a_file_that_was_cut_short_is_refused(tmp_path, no_checksums):
    file = write_cifar100(tmp_path) / "test"
    file.write_bytes(file.read_bytes()[:-50])
    assert "cifar-100-python" in refused(CorruptDataset, cifar.open_source, "cifar100", tmp_path)


def test_torchvision_has_its_own_pickle_again_afterwards(tmp_path, no_checksums):
    write_cifar100(tmp_path)
    cifar.open_source("cifar100", tmp_path)
    assert torchvision_cifar.pickle is pickle
    (tmp_path / "cifar-100-python" / "meta").write_bytes(b"nothing")
    refused(CorruptDataset, cifar.open_source, "cifar100", tmp_path)
    assert torchvision_cifar.pickle is pickle


def test_three_training_images_are_not_the_cifar100_of_table_6(tmp_path, no_checksums):
    write_cifar100(tmp_path)
    line = refused(WrongSize, open_dataset, "cifar100", tmp_path)
    assert "has 3 images, expected 50000" in line


def packed(root, folder):
    """Returns the archive of torchvision's name that holds `folder`, which is gone."""
    archive = root / "cifar-100-python.tar.gz"
    with tarfile.open(archive, "w:gz") as files:
        files.add(folder, folder.name)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    return archive


def test_an_archive_that_is_there_is_checked_and_unpacked(tmp_path, no_checksums, monkeypatch):
    archive = packed(tmp_path, write_cifar100(tmp_path))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    monkeypatch.setitem(cifar.SHA256, "cifar100", digest)
    assert cifar.download("cifar100", tmp_path).splits["train"].labels.tolist() == [1, 99, 0]


def test_another_archive_is_not_unpacked(tmp_path, no_checksums):
    packed(tmp_path, write_cifar100(tmp_path))
    line = refused(MissingDataset, cifar.download, "cifar100", tmp_path)
    assert "http://127.0.0.1:9/nothing" in line and "cifar-100-python.tar.gz" in line
    assert not Path(tmp_path / "cifar-100-python").exists()
