import hashlib
import shutil

import numpy as np
import pytest

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.data.datasets import clevr
from vpbench.data.datasets.source import CorruptDataset, MissingDataset
from vpbench.experiment.rehearsal.archive_files import write_clevr

COUNTS = {"train": [3, 10, 5, 4], "val": [6, 3, 9]}


def write(root, counts=COUNTS):
    """Returns the folder of a CLEVR in which image n of a split has `counts[split][n]` objects."""
    return write_clevr(root, counts)


def test_the_label_is_the_count_minus_three(tmp_path):
    write(tmp_path)
    source = clevr.open_source("clevr", tmp_path)
    train = source.splits["train"]
    assert train.labels.tolist() == [0, 7, 2, 1] and train.labels.dtype == np.int64
    assert [source.class_names[label] for label in train.labels] == ["three", "ten", "five", "four"]
    assert len(source.class_names) == 8


def test_the_validation_images_are_the_test_split(tmp_path):
    write(tmp_path)
    source = clevr.open_source("clevr", tmp_path)
    assert set(source.splits) == {"train", "test"}
    assert source.splits["test"].labels.tolist() == [3, 0, 6]
    assert source.splits["test"].ids[1] == "images/val/CLEVR_val_000001.png"


def test_pictures_lose_their_alpha_channel(tmp_path):
    write(tmp_path)
    picture = clevr.open_source("clevr", tmp_path).splits["train"].read(1)
    assert (picture.mode, picture.size) == ("RGB", (480, 320))
    assert picture.getpixel((0, 0)) == (10, 10, 77)


def test_opening_decodes_no_image_and_a_broken_one_is_named(tmp_path):
    file = write(tmp_path) / "images" / "val" / "CLEVR_val_000001.png"
    file.write_bytes(file.read_bytes()[:60])
    test = clevr.open_source("clevr", tmp_path).splits["test"]
    assert test.read(0).size == (480, 320)
    assert str(file) in refused(UserError, test.read, 1)


def test_the_hashes_are_those_of_the_scenes(tmp_path):
    folder = write(tmp_path)
    hashes = clevr.open_source("clevr", tmp_path).hashes
    file = "scenes/CLEVR_val_scenes.json"
    assert len(hashes) == 2
    expected = hashlib.sha256((folder / file).read_bytes()).hexdigest()
    assert hashes[f"clevr/CLEVR_v1.0/{file}"] == expected


@pytest.mark.parametrize("count", [2, 11])
def test_a_scene_with_too_few_or_too_many_objects_is_refused(tmp_path, count):
    write(tmp_path, {"train": [3, 4], "val": [5, count]})
    line = refused(CorruptDataset, clevr.open_source, "clevr", tmp_path)
    holds(line, "CLEVR_val_000001.png", f"{count} objects", "expected 3 to 10")


def test_an_image_without_a_scene_is_refused(tmp_path):
    (write(tmp_path) / "images" / "train" / "Thumbs.db").write_bytes(b"")
    assert "Thumbs.db" in refused(CorruptDataset, clevr.open_source, "clevr", tmp_path)


def test_scenes_that_were_cut_short_are_refused(tmp_path):
    file = write(tmp_path) / "scenes" / "CLEVR_train_scenes.json"
    file.write_text(file.read_text()[:-3])
    line = refused(CorruptDataset, clevr.open_source, "clevr", tmp_path)
    assert str(tmp_path / "clevr" / "CLEVR_v1.0") in line


@pytest.mark.parametrize("split", ["train", "val"])
def test_missing_scenes_are_named(tmp_path, split):
    file = write(tmp_path) / "scenes" / f"CLEVR_{split}_scenes.json"
    file.unlink()
    line = refused(MissingDataset, clevr.open_source, "clevr", tmp_path)
    holds(line, file, "vpbench data download clevr")


def packed(root):
    """Returns the SHA-256 of the zip file that holds a CLEVR, and is all there is."""
    write(root)
    archive = root / "clevr" / "CLEVR_v1.0.zip"
    shutil.make_archive(archive.with_suffix(""), "zip", root / "clevr", "CLEVR_v1.0")
    shutil.rmtree(root / "clevr" / "CLEVR_v1.0")
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def test_an_archive_that_is_there_is_checked_and_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(clevr, "SHA256", packed(tmp_path))
    monkeypatch.setattr(clevr.CLEVRClassification, "_MD5", None)
    source = clevr.download("clevr", tmp_path)
    assert source.splits["test"].labels.tolist() == [3, 0, 6]


def test_another_archive_is_not_unpacked(tmp_path, monkeypatch):
    packed(tmp_path)
    monkeypatch.setattr(clevr, "URL", "http://127.0.0.1:9/nothing")
    line = refused(MissingDataset, clevr.download, "clevr", tmp_path)
    assert str(tmp_path / "clevr" / "CLEVR_v1.0.zip") in line
    assert not (tmp_path / "clevr" / "CLEVR_v1.0").exists()
