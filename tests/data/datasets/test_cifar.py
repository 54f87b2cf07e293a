import hashlib
import os
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest
from torchvision.datasets import cifar as torchvision_cifar

from tests.helpers.fake_cifar import without_checksums, write_cifar10, write_cifar100
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.data.datasets import cifar
from vpbench.data.datasets.source import CorruptDataset, MissingDataset, WrongSize, open_dataset
from vpbench.spec.class_names import read_manifest


@pytest.fixture
def no_checksums(monkeypatch):
    """Lets torchvision read files that are not the real ones."""
    without_checksums(monkeypatch)


def test_the_five_batches_of_cifar10_are_its_training_images_in_order(tmp_path, no_checksums):
    write_cifar10(tmp_path)
    source = cifar.open_source("cifar10", tmp_path)
    train, test = source.splits["train"], source.splits["test"]
    assert source.class_names == read_manifest("cifar10")
    assert train.labels.tolist() == list(range(10)) and test.labels.tolist() == [0, 1, 2]
    assert train.labels.dtype == np.int64
    assert [train.read(i).getpixel((0, 0))[2] for i in range(10)] == list(range(10))
    assert [test.read(i).getpixel((0, 0))[2] for i in range(3)] == [10, 11, 12]
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
    holds(line, "cifar-100-python", "vpbench data download cifar100")


@pytest.mark.parametrize("file", ["data_batch_3", "test_batch", "batches.meta"])
def test_a_missing_file_is_named(tmp_path, file):
    (write_cifar10(tmp_path) / file).unlink()
    line = refused(MissingDataset, cifar.open_source, "cifar10", tmp_path)
    holds(line, tmp_path / "cifar-10-batches-py" / file, "vpbench data download cifar10")


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
    holds(line, "cifar100", "train split", "3 images", "expected 50000")


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
