import csv
import importlib
from functools import cache
from itertools import combinations
from pathlib import Path

import pytest
import torch

from tests.helpers.messages import complains
from tests.helpers.tiny import TWINS
from vpbench.data import load
from vpbench.data.task import Split
from vpbench.spec.tasks import TASKS

CLASSES = {
    "cifar100_twin": 24,
    "cifar10_twin": 10,
    "flowers102_twin": 12,
    "food101_twin": 12,
    "eurosat_twin": 10,
    "sun397_twin": 14,
    "ucf101_twin": 12,
    "svhn_twin": 10,
    "oxfordpets_twin": 12,
    "dtd_twin": 12,
    "resisc45_twin": 14,
    "clevr_twin": 8,
    "iwildcam_twin": 8,
    "fmow_twin": 10,
    "camelyon17_twin": 2,
}
SHIFTS = [name for name in TWINS if TASKS[name].shift]
PUBLISHED = Path(__file__).parents[2] / "analysis" / "published"


@cache
def twin(name):
    """Returns a twin with 30 training, 25 validation and 60 test pictures."""
    return load.load_task(name, {"train": 30, "validation": 25, "test": 60})


def table6():
    """Returns the facts of the paper's Table 6, by dataset."""
    with open(PUBLISHED / "table6.csv", encoding="utf-8") as file:
        return {row["task"]: row for row in csv.DictReader(file)}


def same(split, other):
    """Returns whether two splits have the same pictures, labels, names and groups."""
    images = torch.equal(split.images, other.images) and torch.equal(split.labels, other.labels)
    return images and (split.ids, split.groups) == (other.ids, other.groups)


def test_there_is_a_twin_for_each_of_the_fifteen_datasets():
    published = {name: TASKS[name].published for name in TWINS}
    assert published.pop("cats_dogs_twin") == ""  # a toy of section 6.3, in no table
    assert list(published) == list(CLASSES) and list(published.values()) == list(table6())
    assert SHIFTS == ["iwildcam_twin", "fmow_twin", "camelyon17_twin"]


@pytest.mark.parametrize("name", CLASSES)
def test_a_twin_has_the_text_prompt_and_the_validation_split_of_table_6(name):
    entry = TASKS[name]
    row = table6()[entry.published]
    assert entry.template == row["template"]
    assert entry.paper_validation == bool(row["validation"])
    assert entry.display.endswith(" twin")


@pytest.mark.parametrize("name", CLASSES)
def test_a_twin_has_its_promised_classes_and_no_more_than_the_real_set(name):
    names = twin(name).class_names
    assert len(names) == len(set(names)) == CLASSES[name]
    assert len(names) <= int(table6()[TASKS[name].published]["classes"])


def test_the_classes_that_are_complete_are_those_of_the_real_sets():
    cifar10 = "airplane automobile bird cat deer dog frog horse ship truck"
    assert twin("cifar10_twin").class_names == tuple(cifar10.split())
    assert twin("svhn_twin").class_names == tuple("0123456789")
    counts = tuple("three four five six seven eight nine ten".split())
    assert twin("clevr_twin").class_names == counts
    # In WILDS, y = 1 is tumour.
    assert twin("camelyon17_twin").class_names == ("not containing", "containing")


@pytest.mark.parametrize("name", CLASSES)
def test_the_pictures_of_a_twin_are_balanced_bytes_of_56_by_56(name):
    for split, count in (("train", 30), ("validation", 25), ("test", 60)):
        part = twin(name).splits[split]
        assert part.images.shape == (count, 56, 56, 3) and part.images.dtype == torch.uint8
        shares = torch.bincount(part.labels, minlength=CLASSES[name])
        assert shares.max() - shares.min() <= 1
        assert part.ids == tuple(f"{split}/{number}" for number in range(count))


@pytest.mark.parametrize("name", CLASSES)
def test_no_two_pictures_of_a_twin_are_equal_and_none_is_blank(name):
    images = torch.cat([split.images for split in twin(name).splits.values()]).flatten(1)
    assert len(images.unique(dim=0)) == len(images)
    assert images.float().std(1).min() > 2


@pytest.mark.parametrize("name", CLASSES)
def test_more_pictures_never_change_the_first_ones(name):
    few = load.load_task(name, {"train": 25, "validation": 24, "test": 26})
    assert list(few.splits) == ["train", "validation", "test"]
    for split, part in few.splits.items():
        more = twin(name).splits[split]
        count = len(part)
        first = Split(
            more.images[:count],
            more.labels[:count],
            more.ids[:count],
            more.groups and more.groups[:count],
        )
        assert same(part, first)


@pytest.mark.parametrize("name", SHIFTS)
def test_the_splits_of_a_shift_have_other_cameras_eras_or_hospitals(name):
    module = importlib.import_module(TASKS[name].module)
    assert set(module.DOMAINS) == {"train", "val", "test"}
    for one, other in combinations(module.DOMAINS.values(), 2):
        assert not set(one) & set(other)
    for split, key in (("train", "train"), ("validation", "val"), ("test", "test")):
        groups = set(twin(name).splits[split].groups)
        assert groups <= {module.GROUPS[domain] for domain in module.DOMAINS[key]}


@pytest.mark.parametrize("name", ["iwildcam_twin", "camelyon17_twin"])
def test_no_camera_or_hospital_of_the_test_is_in_training_or_validation(name):
    groups = {split: set(part.groups) for split, part in twin(name).splits.items()}
    assert not groups["test"] & groups["train"]
    assert not groups["test"] & groups["validation"]
    assert not groups["validation"] & groups["train"]


def test_fmow_groups_by_region_and_has_every_region_in_training_and_test():
    regions = {"Asia", "Europe", "Africa", "Americas", "Oceania"}
    splits = twin("fmow_twin").splits
    assert set(splits["train"].groups) == set(splits["test"].groups) == regions


@pytest.mark.parametrize("name", sorted(set(CLASSES) - set(SHIFTS)))
def test_a_twin_without_a_shift_has_no_groups(name):
    assert all(split.groups is None for split in twin(name).splits.values())


def test_fewer_pictures_than_classes_are_refused():
    with complains(ValueError, "eurosat_twin", "10 classes", "validation", "9 images"):
        load.load_task("eurosat_twin", {"train": 10, "validation": 9, "test": 10})


@pytest.mark.parametrize("name", ["eurosat_twin", *SHIFTS])
def test_later_test_pictures_are_those_that_a_larger_test_has_behind_the_first_ones(name):
    few = load.load_task(name, {"train": 30, "validation": 25, "test": 11, "test_start": 49})
    whole, part = twin(name).splits["test"], few.splits["test"]
    groups = whole.groups and whole.groups[49:]
    assert same(part, Split(whole.images[49:], whole.labels[49:], whole.ids[49:], groups))
    assert part.ids[0] == "test/49" and int(part.labels[0]) == 49 % CLASSES[name]
    for split in ("train", "validation"):
        assert same(few.splits[split], twin(name).splits[split])
    assert few.data_hash != twin(name).data_hash
