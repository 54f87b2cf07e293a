import os

import pytest
import torch

from tests.helpers.folders import (
    COLOURS,
    SMALL,
    fill,
    labels_are_right,
    paint,
    refusal,
    sizes,
    written,
)
from tests.helpers.messages import holds
from vpbench.data import image_folder


def test_a_folder_of_classes_is_cut_60_20_20_within_each_class(tmp_path):
    task = image_folder.load_folder(fill(tmp_path), SMALL)
    assert task.class_names == ("cat", "dog", "owl")
    assert sizes(task) == {"train": 18, "validation": 6, "test": 6}
    assert all(torch.bincount(split.labels).unique().numel() == 1 for split in task.splits.values())
    assert labels_are_right(task)
    ids = [name for split in task.splits.values() for name in split.ids]
    assert len(ids) == len(set(ids)) == 30


def test_the_cut_depends_on_the_seed_alone(tmp_path):
    fill(tmp_path)
    first, again = (
        image_folder.load_folder(tmp_path, SMALL),
        image_folder.load_folder(tmp_path, SMALL),
    )
    other = image_folder.load_folder(tmp_path, SMALL, seed=1)
    assert first.data_hash == again.data_hash
    assert first.splits["test"].ids != other.splits["test"].ids


def test_another_class_does_not_change_the_cut_of_the_first_ones(tmp_path):
    before = image_folder.load_folder(fill(tmp_path), SMALL).splits["test"].ids
    paint(tmp_path / "ant" / "0.png"), paint(tmp_path / "ant" / "1.png")
    paint(tmp_path / "ant" / "2.png")
    after = image_folder.load_folder(tmp_path, SMALL).splits["test"].ids
    assert [name for name in after if not name.startswith("ant")] == list(before)


def test_split_folders_are_used_as_they_are(tmp_path):
    for name in ("train", "val", "test"):
        fill(tmp_path / name, 2)
    task = image_folder.load_folder(tmp_path, SMALL)
    assert sizes(task) == {"train": 6, "validation": 6, "test": 6}
    assert task.splits["validation"].ids[0] == "val/cat/00.png"
    assert labels_are_right(task) and task.facts["paper_validation"]


def test_without_a_validation_folder_there_is_no_validation_split(tmp_path):
    fill(tmp_path / "train", 2), fill(tmp_path / "test", 2)
    task = image_folder.load_folder(tmp_path, SMALL)
    assert sizes(task) == {"train": 6, "test": 6}
    assert not task.facts["paper_validation"]


def test_a_split_file_says_which_image_is_where_and_names_the_classes(tmp_path):
    fill(tmp_path / "images", 3)
    rows = [[f"{name}/00.png", number, name.upper()] for number, name in enumerate(COLOURS)]
    test = [["owl/02.png", 2, "OWL"]]
    val = [["cat/01.png", 0, "CAT"]]
    split_file = written(tmp_path / "split.json", {"train": rows, "val": val, "test": test})
    task = image_folder.load_folder(tmp_path / "images", SMALL, split_file=split_file)
    assert task.class_names == ("CAT", "DOG", "OWL")
    assert task.splits["test"].ids == ("owl/02.png",)
    assert task.splits["train"].labels.tolist() == [0, 1, 2]
    assert labels_are_right(task)


def test_splits_with_different_classes_are_refused_by_the_classes(tmp_path):
    fill(tmp_path / "train", 2), fill(tmp_path / "test", 2)
    paint(tmp_path / "test" / "yak" / "0.png")
    holds(refusal(tmp_path), tmp_path, "different classes", "yak")


def test_a_missing_split_is_refused(tmp_path):
    fill(tmp_path / "train", 2)
    holds(refusal(tmp_path), tmp_path, "test split", "no images")


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[]",
        "3",
        '{"train": 3}',
        '{"train": [["a.png", 0]]}',
        '{"train": [["a.png", "zero", "cat"]]}',
        '{"train": [[7, 0, "cat"]]}',
        '{"training": [["a.png", 0, "cat"]]}',
        b"\xff\xfe\x00",
    ],
)
def test_a_corrupt_split_file_is_refused_with_the_right_form(tmp_path, text):
    path = tmp_path / "split.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    holds(refusal(tmp_path, split_file=path), path, "not a split file", "expected JSON", "{")


def test_a_split_file_that_is_not_there_is_refused(tmp_path):
    message = refusal(tmp_path, split_file=tmp_path / "a")
    holds(message, tmp_path / "a", "not a split file", "FileNotFoundError")


@pytest.mark.parametrize("label", [2, -1])
def test_labels_with_gaps_are_refused(tmp_path, label):
    rows = [["a.png", 0, "cat"], ["b.png", label, "dog"]]
    split_file = written(tmp_path / "split.json", {"train": rows, "test": rows})
    holds(refusal(tmp_path, split_file=split_file), "labels", "0 to 1", "without gaps")


@pytest.mark.parametrize("escape", ["../secret.png", "/etc/passwd", "cat/../../secret.png"])
def test_a_split_file_cannot_lead_out_of_its_folder(tmp_path, escape):
    paint(tmp_path / "secret.png")
    fill(tmp_path / "images", 3)
    rows = [["cat/00.png", 0, "cat"], [escape, 1, "dog"]]
    split_file = written(tmp_path / "split.json", {"train": rows, "test": rows})
    message = refusal(tmp_path / "images", split_file=split_file)
    holds(message, escape, "leads out", tmp_path / "images")


def test_a_split_file_has_paths_from_its_folder_on(tmp_path, monkeypatch):
    fill(tmp_path, 1)
    rows = [[f"{tmp_path}/{name}/00.png", i, name] for i, name in enumerate(COLOURS)]
    split_file = written(tmp_path / "split.json", {"train": rows, "test": []})
    monkeypatch.chdir(tmp_path)
    for folder in (tmp_path, "."):
        message = refusal(folder, split_file=split_file)
        holds(message, split_file, f"{tmp_path}/cat/00.png", "cat/1.jpg")


def test_a_split_file_that_names_a_missing_image_is_refused_by_that_name(tmp_path):
    rows = [["cat/00.png", 0, "cat"], ["dog/99.png", 1, "dog"]]
    split_file = written(
        tmp_path / "split.json", {"train": rows, "test": [["cat/01.png", 0, "cat"]]}
    )
    message = refusal(fill(tmp_path, 3), split_file=split_file)
    holds(message, tmp_path / "dog/99.png", "missing")


@pytest.mark.parametrize(
    "names",
    [
        ("Train", "Test"),
        ("training", "testing"),
        ("TRAIN", "val", "TEST"),
        ("train", "valid", "test"),
        ("train", "Validation", "test"),
        ("Training", "dev", "Testing"),
    ],
)
def test_splits_have_their_usual_names_in_any_case(tmp_path, names):
    for count, name in enumerate(names, start=1):
        fill(tmp_path / name, count)
    task = image_folder.load_folder(tmp_path, SMALL)
    three = len(names) == 3
    expected = {"train": 3, "validation": 6, "test": 9} if three else {"train": 3, "test": 6}
    assert (task.class_names, sizes(task)) == (("cat", "dog", "owl"), expected)
    assert labels_are_right(task)


def test_two_folders_for_one_split_are_refused_by_both_names(tmp_path):
    for name in ("train", "val", "valid", "test"):
        fill(tmp_path / name, 2)
    holds(refusal(tmp_path), tmp_path, "val", "valid", "validation split", "keep one")


def test_strangers_beside_splits_are_refused_by_name(tmp_path):
    for name in ("train", "test", "extra", "unlabelled"):
        fill(tmp_path / name, 2)
    holds(refusal(tmp_path), tmp_path, "(train, test)", "extra, unlabelled", "elsewhere")


def test_a_class_that_is_called_like_a_split_is_no_split(tmp_path):
    for name in ("car", "train", "bus"):
        paint(tmp_path / name / "0.png")
    holds(refusal(tmp_path), "(train)", "bus, car", "classes", "rename", "class names")


@pytest.mark.parametrize(
    "names",
    [("train_set", "test_set"), ("seg_train", "seg_test"), ("TrainData", "ValData", "TestData")],
)
def test_folders_that_speak_of_splits_are_no_classes(tmp_path, names):
    for name in names:
        fill(tmp_path / name, 1)
    holds(refusal(tmp_path), tmp_path, ", ".join(sorted(names)), "call them train, val and test")


def test_classes_may_have_a_word_for_a_split_in_their_names(tmp_path):
    for name in ("test tube", "train station", "training shoe", "valley"):
        for number in range(3):
            paint(tmp_path / name / f"{number}.png")
    assert len(image_folder.load_folder(tmp_path, SMALL).class_names) == 4


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_class_without_an_image_in_a_split_is_refused_by_name(tmp_path, split):
    fill(tmp_path / "train", 2), fill(tmp_path / "test", 2)
    for image in (tmp_path / split / "dog").iterdir():
        image.rename(image.with_suffix(".xcf"))
    holds(refusal(tmp_path), tmp_path / split / "dog", "no images", "2 .xcf")


def test_hidden_folders_are_no_strangers(tmp_path):
    fill(tmp_path / "train", 2), fill(tmp_path / "test", 2)
    for name in ("__MACOSX", ".ipynb_checkpoints"):
        fill(tmp_path / name / "train", 1)
    task = image_folder.load_folder(tmp_path, SMALL)
    assert sizes(task) == {"train": 6, "test": 6}
    assert task.notes[0] == "left out: 6 hidden .png"


def test_splits_below_the_classes_are_refused_since_their_images_would_be_mixed(tmp_path):
    for name in COLOURS:
        paint(tmp_path / name / "train" / "0.png"), paint(tmp_path / name / "test" / "1.png")
    holds(refusal(tmp_path), tmp_path / "cat" / "test", "put splits above classes", "train/cat")


def test_splits_one_level_too_deep_are_refused_with_the_folder_to_give(tmp_path):
    fill(tmp_path / "images" / "train", 2), fill(tmp_path / "images" / "test", 2)
    holds(refusal(tmp_path), f"give {tmp_path / 'images'} itself")


@pytest.mark.parametrize(
    "again", ["cat/00.png", "./cat/00.png", "cat//00.png", "cat/../cat/00.png"]
)
@pytest.mark.parametrize("split", ["train", "test"])
def test_an_image_that_a_split_file_lists_twice_is_refused(tmp_path, again, split):
    rows = {"train": [[f"{name}/00.png", i, name] for i, name in enumerate(COLOURS)]}
    rows |= {"test": [["owl/01.png", 2, "owl"]]}
    rows[split].append([again, 0, "cat"])
    message = refusal(fill(tmp_path, 2), split_file=written(tmp_path / "split.json", rows))
    holds(
        message, tmp_path / "split.json", again, "twice" if again == "cat/00.png" else "same file"
    )


def test_a_link_to_an_image_of_another_split_is_that_image(tmp_path):
    os.symlink(fill(tmp_path, 2) / "cat" / "00.png", tmp_path / "cat" / "link.png")
    rows = {"train": [[f"{name}/00.png", i, name] for i, name in enumerate(COLOURS)]}
    rows |= {"test": [["cat/link.png", 0, "cat"]]}
    message = refusal(tmp_path, split_file=written(tmp_path / "split.json", rows))
    holds(message, "cat/link.png", "cat/00.png", "the same file")


def test_a_class_of_a_split_file_without_a_training_image_is_refused_by_name(tmp_path):
    rows = {"train": [["cat/00.png", 0, "cat"]], "test": [["owl/00.png", 1, "owl"]]}
    message = refusal(fill(tmp_path, 1), split_file=written(tmp_path / "split.json", rows))
    holds(message, tmp_path / "split.json", "the class owl", "no image in train")


def test_an_order_of_classes_is_not_for_split_files(tmp_path):
    rows = {"train": [["cat/00.png", 0, "cat"]], "test": [["owl/00.png", 1, "owl"]]}
    split_file = written(tmp_path / "split.json", rows)
    holds(refusal(fill(tmp_path, 1), split_file=split_file, class_order="text"), "leave it out")


@pytest.mark.parametrize(
    "names",
    [("images", "labels"), ("Images", "masks"), ("images", "annotations", "masks")],
)
@pytest.mark.parametrize("split", ["", "train"])
def test_images_beside_their_masks_are_no_two_classes_unless_it_is_said(tmp_path, names, split):
    paths = [tmp_path / split / name / f"{i}.png" for name in names for i in range(5)]
    for path in paths:
        paint(path)
    listed = " and ".join(sorted(names))
    holds(refusal(tmp_path), f"{tmp_path / split}: {listed} look like", "class names")
    if split:
        return
    given = written(tmp_path / "names.json", {name: name for name in names})
    task = image_folder.load_folder(tmp_path, SMALL, class_names=given)
    assert task.class_names == tuple(sorted(names))


@pytest.mark.parametrize("names", [("images", "cats"), ("labels", "masks"), ("image", "label")])
def test_other_folders_are_classes_whatever_they_are_called(tmp_path, names):
    for name in names:
        for i in range(5):
            paint(tmp_path / name / f"{i}.png")
    assert image_folder.load_folder(tmp_path, SMALL).class_names == tuple(sorted(names))
