import hashlib

import pytest

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.data.datasets import resisc45, split_files
from vpbench.data.datasets.source import (
    CorruptDataset,
    MissingDataset,
    WrongSize,
    download_dataset,
    open_dataset,
)
from vpbench.experiment.rehearsal.listed_files import write_resisc45
from vpbench.spec.dataset_facts import FACTS

LISTS = {  # classes whose names begin alike, and one that is only in the test split
    "train": ["railway_station_001.jpg", "railway_002.jpg", "airport_700.jpg", "airplane_001.jpg"],
    "val": ["railway_001.jpg", "airport_003.jpg"],
    "test": ["airplane_699.jpg", "baseball_diamond_004.jpg"],
}


def write(monkeypatch, root, lists=LISTS, images="NWPU-RESISC45"):
    """Returns the folder of the images, once they and their lists are under `root`."""
    paths = write_resisc45(root, lists, images)
    pinned = tuple(
        published._replace(sha256=hashlib.sha256(path.read_bytes()).hexdigest())
        for published, path in zip(split_files.SPLIT_FILES["resisc45"], paths, strict=True)
    )
    monkeypatch.setitem(split_files.SPLIT_FILES, "resisc45", pinned)
    return root / images


@pytest.mark.parametrize("images", ["NWPU-RESISC45", "resisc45/NWPU-RESISC45"])
def test_the_class_of_an_image_is_its_name_up_to_the_number(tmp_path, monkeypatch, images):
    write(monkeypatch, tmp_path, images=images)
    source = resisc45.open_source("resisc45", tmp_path)
    assert source.class_names == (
        "airplane", "airport", "baseball_diamond", "railway", "railway_station"
    )  # fmt: skip
    assert {split: listing.labels.tolist() for split, listing in source.splits.items()} == {
        "train": [4, 3, 1, 0],
        "validation": [3, 1],
        "test": [0, 2],
    }
    assert source.splits["train"].ids[0] == "railway_station/railway_station_001.jpg"
    for listing in source.splits.values():
        for i, path in enumerate(listing.ids):
            assert listing.read(i).getpixel((0, 0)) == (len(path.partition("/")[2]), 0, 0)


def test_the_hashes_are_those_of_the_three_lists(tmp_path, monkeypatch):
    write(monkeypatch, tmp_path)
    source = resisc45.open_source("resisc45", tmp_path)
    assert source.hashes == {
        f"resisc45-{split}.txt": hashlib.sha256("\n".join(names).encode()).hexdigest()
        for split, names in LISTS.items()
    }


def test_the_lists_may_lie_beside_the_images(tmp_path, monkeypatch):
    folder = write(monkeypatch, tmp_path)
    for path in list((tmp_path / "splits").iterdir()):
        path.rename(folder.parent / path.name)
    assert len(resisc45.open_source("resisc45", tmp_path).splits["test"]) == 2


def test_a_changed_list_is_refused_with_both_hashes(tmp_path, monkeypatch):
    write(monkeypatch, tmp_path)
    path = tmp_path / "splits" / "resisc45-val.txt"
    expected = hashlib.sha256(path.read_bytes()).hexdigest()
    path.write_text(path.read_text() + "\n")
    message = refused(CorruptDataset, resisc45.open_source, "resisc45", tmp_path)
    holds(message, path, expected, hashlib.sha256(path.read_bytes()).hexdigest())


def test_missing_images_lists_and_folders_are_named(tmp_path, monkeypatch):
    message = refused(MissingDataset, download_dataset, "resisc45", tmp_path)
    holds(message, tmp_path / "NWPU-RESISC45", FACTS["resisc45"].steps)
    folder = write(monkeypatch, tmp_path)
    (folder / "railway" / "railway_001.jpg").unlink()
    message = refused(CorruptDataset, resisc45.open_source, "resisc45", tmp_path)
    holds(message, "1 of the 8", "missing", "first", "railway/railway_001.jpg")
    (tmp_path / "splits" / "resisc45-test.txt").unlink()
    message = refused(MissingDataset, resisc45.open_source, "resisc45", tmp_path)
    holds(message, "resisc45", "resisc45-test.txt", "missing", "https://")


def test_once_the_images_are_there_a_download_ends_with_all_checks(tmp_path, monkeypatch):
    write(monkeypatch, tmp_path)
    sizes = {"train": 4, "validation": 2, "test": 2}
    facts = FACTS["resisc45"]._replace(classes=5, sizes=sizes)
    monkeypatch.setitem(FACTS, "resisc45", facts)
    message = refused(CorruptDataset, download_dataset, "resisc45", tmp_path)
    holds(message, "resisc45", "class 3", "'railway'", "expected 'basketball_court'")


def test_a_tiny_set_is_refused_with_both_numbers(tmp_path, monkeypatch):
    write(monkeypatch, tmp_path)
    message = refused(WrongSize, open_dataset, "resisc45", tmp_path)
    holds(message, "resisc45", "5 classes", "expected 45")
    monkeypatch.setitem(FACTS, "resisc45", FACTS["resisc45"]._replace(classes=5))
    message = refused(WrongSize, open_dataset, "resisc45", tmp_path)
    holds(message, "resisc45", "train split", "4 images", "expected 18900")
