import hashlib
import json

import pytest

from tests.helpers.fake_coop import folders_of_images, official, place
from tests.helpers.messages import complains, holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.data.datasets import coop, coop_rule
from vpbench.data.datasets.source import CorruptDataset, MissingDataset
from vpbench.spec.class_names import read_manifest


@pytest.fixture
def few_classes(monkeypatch):
    """Makes all lists of class names three long."""
    monkeypatch.setattr(coop_rule, "read_manifest", lambda name: read_manifest(name)[:3])


def labels_of(source):
    """Returns split -> how many images of each label."""
    return {
        split: [listing.labels.tolist().count(label) for label in range(3)]
        for split, listing in source.splits.items()
    }


@pytest.mark.parametrize("name", ["flowers102", "food101", "eurosat", "dtd"])
def test_without_official_parts_each_class_is_cut_50_20_30(tmp_path, few_classes, name):
    official(name, tmp_path) if name == "flowers102" else folders_of_images(name, tmp_path)
    coop_rule.regenerate_split(name, tmp_path, seed=1)
    source = coop.open_source(name, tmp_path)
    assert labels_of(source) == {"train": [5] * 3, "validation": [2] * 3, "test": [3] * 3}
    assert source.class_names == read_manifest(name)[:3]


@pytest.mark.parametrize("name", ["sun397", "ucf101", "oxfordpets"])
def test_with_official_parts_only_the_training_part_is_cut_80_20(tmp_path, name):
    official(name, tmp_path)
    coop_rule.regenerate_split(name, tmp_path, seed=1)
    source = coop.open_source(name, tmp_path)
    assert labels_of(source) == {"train": [8] * 3, "validation": [2] * 3, "test": [10] * 3}
    expected = {
        "sun397": ("abbey", "airplane_cabin", "indoor apse"),
        "ucf101": ("Apply_Eye_Makeup", "Handstand_Pushups", "Yo_Yo"),
        "oxfordpets": ("abyssinian", "american_bulldog", "bengal"),
    }
    assert source.class_names == expected[name]


def test_a_label_of_flowers_is_the_one_of_its_number_in_the_list(tmp_path, few_classes):
    official("flowers102", tmp_path)
    coop_rule.regenerate_split("flowers102", tmp_path, seed=1)
    for listing in coop.open_source("flowers102", tmp_path).splits.values():
        for file, label in zip(listing.ids, listing.labels, strict=True):
            assert label == [2, 0, 1][(int(file[6:11]) - 1) % 3]


def test_a_split_drawn_anew_depends_on_the_seed_and_says_so(tmp_path, few_classes):
    folders_of_images("dtd", tmp_path)
    ids = []
    for seed in (1, 1, 2):
        path = coop_rule.regenerate_split("dtd", tmp_path, seed)
        source = coop.open_source("dtd", tmp_path)
        ids.append(source.splits["test"].ids)
        (deviation,) = source.deviations
        holds(deviation, "split of dtd", "drawn anew", "CoOp", f"seed {seed}")
        assert source.hashes == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    assert ids[0] == ids[1] != ids[2]
    assert json.loads(path.read_text())["regenerated"] == {"seed": 2}
    assert path == tmp_path / "splits" / "split_drawn_anew_DescribableTextures.json"


def test_the_images_of_a_class_are_shuffled(tmp_path, few_classes):
    folders_of_images("dtd", tmp_path, count=40)
    coop_rule.regenerate_split("dtd", tmp_path, seed=1)
    first = [
        file for file in coop.open_source("dtd", tmp_path).splits["train"].ids if "band" in file
    ]
    assert sorted(first) != [f"banded/{number:02}.jpg" for number in range(20)]


def test_the_published_split_goes_before_one_drawn_anew(tmp_path, monkeypatch, few_classes):
    folders_of_images("eurosat", tmp_path)
    coop_rule.regenerate_split("eurosat", tmp_path, seed=1)
    place(monkeypatch, tmp_path)
    assert coop.open_source("eurosat", tmp_path).deviations == ()
    message = refused(CorruptDataset, coop_rule.regenerate_split, "eurosat", tmp_path, 1)
    holds(message, "published split", "split_zhou_EuroSAT.json")


def test_a_split_drawn_anew_without_its_seed_is_refused(tmp_path, few_classes):
    folders_of_images("eurosat", tmp_path)
    path = coop_rule.regenerate_split("eurosat", tmp_path, seed=1)
    document = json.loads(path.read_text())
    del document["regenerated"]
    path.write_text(json.dumps(document))
    message = refused(CorruptDataset, coop.open_source, "eurosat", tmp_path)
    holds(message, path, "not", "seed")


def test_a_split_cannot_be_drawn_from_other_folders_than_the_classes(tmp_path, few_classes):
    folders_of_images("dtd", tmp_path, folders=["banded", "blotchy", "bald"])
    message = refused(CorruptDataset, coop_rule.regenerate_split, "dtd", tmp_path, 1)
    holds(message, "dtd", "not the classes", "bald")


def test_a_split_cannot_be_drawn_without_images_or_official_lists(tmp_path):
    message = refused(MissingDataset, coop_rule.regenerate_split, "ucf101", tmp_path, 1)
    holds(message, "ucf101", "no images", tmp_path / "ucf101/UCF-101-midframes")
    folder = tmp_path / "ucf101" / "UCF-101-midframes"
    folder.mkdir(parents=True)
    message = refused(MissingDataset, coop_rule.regenerate_split, "ucf101", tmp_path, 1)
    lists = "ucfTrainTestlist/classInd.txt"
    holds(message, "ucf101", lists, "missing", folder / lists, folder.parent / lists)


def test_only_coops_splits_can_be_drawn_anew(tmp_path):
    with complains(ValueError, "resisc45", "no split", "only", "flowers102"):
        coop_rule.regenerate_split("resisc45", tmp_path, 1)


def test_a_negative_seed_is_refused(tmp_path):
    message = refused(UserError, coop_rule.regenerate_split, "dtd", tmp_path, -1)
    holds(message, "dtd", "seed -1", "negative", "0 or more")
