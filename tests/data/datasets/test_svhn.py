import hashlib

import numpy as np
import pytest
from scipy.io import savemat

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.data.datasets import svhn
from vpbench.data.datasets.source import CorruptDataset, MissingDataset
from vpbench.experiment.rehearsal.archive_files import write_svhn

DIGITS = {"train": [1, 10, 9, 10], "test": [10, 2, 3]}  # as MATLAB counts: ten is zero


def write(root, digits=DIGITS):
    """Returns the folder of an SVHN in which pixel (row, column) of image n is that and n."""
    return write_svhn(root, digits)


@pytest.fixture
def no_checksums(monkeypatch):
    """Lets torchvision read files that are not the real ones."""
    nowhere = "http://127.0.0.1:9/nothing"
    files = {split: [nowhere, f"{split}_32x32.mat", None] for split in ("train", "test")}
    loader = type("SVHN", (svhn.LOADER,), {"split_list": files})
    monkeypatch.setattr(svhn, "LOADER", loader)


def test_the_label_ten_is_the_digit_zero(tmp_path, no_checksums):
    write(tmp_path)
    source = svhn.open_source("svhn", tmp_path)
    assert source.splits["train"].labels.tolist() == [1, 0, 9, 0]
    assert source.splits["test"].labels.tolist() == [0, 2, 3]
    assert source.splits["train"].labels.dtype == np.int64
    named = [source.class_names[label] for label in source.splits["train"].labels]
    assert named == ["1", "0", "9", "0"] and len(source.class_names) == 10


def test_pictures_are_neither_transposed_nor_mixed_up(tmp_path, no_checksums):
    write(tmp_path)
    train = svhn.open_source("svhn", tmp_path).splits["train"]
    picture = train.read(2)
    assert (picture.mode, picture.size) == ("RGB", (32, 32))
    assert picture.getpixel((3, 20)) == (20, 3, 2)  # (column, row)
    assert train.ids == ("train/00000", "train/00001", "train/00002", "train/00003")


def test_the_extra_images_are_not_asked_for(tmp_path, no_checksums):
    write(tmp_path, DIGITS | {"extra": [1]})
    assert set(svhn.open_source("svhn", tmp_path).splits) == {"train", "test"}


def test_the_hashes_are_those_of_the_two_files(tmp_path, no_checksums):
    folder = write(tmp_path)
    assert svhn.open_source("svhn", tmp_path).hashes == {
        f"svhn/{file}": hashlib.sha256((folder / file).read_bytes()).hexdigest()
        for file in ("train_32x32.mat", "test_32x32.mat")
    }


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_missing_file_is_named(tmp_path, split):
    file = write(tmp_path) / f"{split}_32x32.mat"
    file.unlink()
    line = refused(MissingDataset, svhn.open_source, "svhn", tmp_path)
    holds(line, file, "vpbench data download svhn")


def test_other_files_than_the_real_ones_are_refused(tmp_path):
    write(tmp_path)
    line = refused(CorruptDataset, svhn.open_source, "svhn", tmp_path)
    assert str(tmp_path / "svhn") in line


@pytest.mark.parametrize("content", [b"", b"no matrix", None])
def test_a_file_that_is_no_matrix_is_refused(tmp_path, no_checksums, content):
    file = write(tmp_path) / "test_32x32.mat"
    file.write_bytes(file.read_bytes()[:-40] if content is None else content)
    assert str(tmp_path / "svhn") in refused(CorruptDataset, svhn.open_source, "svhn", tmp_path)


def test_a_file_without_labels_is_refused(tmp_path, no_checksums):
    savemat(write(tmp_path) / "train_32x32.mat", {"X": np.zeros((32, 32, 3, 2), np.uint8)})
    assert "'y'" in refused(CorruptDataset, svhn.open_source, "svhn", tmp_path)


def test_files_with_the_right_hash_are_not_fetched_again(tmp_path, no_checksums, monkeypatch):
    folder = write(tmp_path)
    for split in ("train", "test"):
        content = (folder / f"{split}_32x32.mat").read_bytes()
        monkeypatch.setitem(svhn.SHA256, split, hashlib.sha256(content).hexdigest())
    assert len(svhn.download("svhn", tmp_path).splits["train"]) == 4


def test_a_file_that_cannot_be_fetched_can_be_put_there_by_hand(tmp_path, no_checksums):
    line = refused(MissingDataset, svhn.download, "svhn", tmp_path)
    assert str(tmp_path / "svhn" / "train_32x32.mat") in line
    assert not list((tmp_path / "svhn").iterdir())
