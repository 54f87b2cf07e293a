from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.helpers.folders import SMALL, fill, paint, refusal, sizes
from tests.helpers.messages import complains, holds
from vpbench.common.errors import UserError
from vpbench.data import image_folder, load, stored_images
from vpbench.spec.preprocessing import Preprocessing


def test_the_text_prompt_can_be_given(tmp_path):
    assert image_folder.load_folder(fill(tmp_path, 3), SMALL, template="a {}").template == "a {}"


def test_a_cap_keeps_every_class_and_its_first_choice(tmp_path):
    fill(tmp_path)
    few, more = (
        image_folder.load_folder(
            tmp_path, SMALL, data={"train": count, "validation": 3, "test": 100}
        )
        for count in (3, 7)
    )
    assert few.splits["train"].labels.tolist() == [0, 1, 2]
    assert set(few.splits["train"].ids) < set(more.splits["train"].ids)
    assert sizes(more) == {"train": 7, "validation": 3, "test": 6}


MAPS = Path("/proc/self/maps")


@pytest.mark.skipif(not MAPS.exists(), reason="Linux says which files are mapped")
def test_more_images_than_memory_is_for_are_mapped_from_a_file_without_a_name(
    tmp_path, monkeypatch
):
    folder, data = fill(tmp_path / "pictures"), tmp_path / "data"
    monkeypatch.setenv("VPBENCH_DATA", str(data))
    usual = image_folder.load_folder(folder, SMALL)
    assert not data.exists() and on_disk(usual) == []
    monkeypatch.setattr(
        stored_images, "IN_MEMORY", 6 * 8 * 8 * 3
    )  # 6 of validation, but 18 of train
    mapped = image_folder.load_folder(folder, SMALL)
    assert on_disk(mapped) == ["train"]
    assert list((data / "cache").iterdir()) == []
    assert mapped.data_hash == usual.data_hash
    part = mapped.splits["train"].images[3:9]
    assert torch.equal(part, usual.splits["train"].images[3:9])


def on_disk(task):
    """Returns the splits whose images are mapped from a file that has no name any more."""
    lines = [line.split() for line in MAPS.read_text().splitlines() if line.endswith("(deleted)")]
    ends = [[int(end, 16) for end in line[0].split("-")] for line in lines]
    starts = {name: split.images.data_ptr() for name, split in task.splits.items()}
    return [name for name, start in starts.items() if any(a <= start < b for a, b in ends)]


def test_a_disk_without_room_for_the_images_is_named(tmp_path, monkeypatch):
    folder, data = fill(tmp_path / "pictures"), tmp_path / "data"
    data.write_text("no folder")
    monkeypatch.setenv("VPBENCH_DATA", str(data))
    monkeypatch.setattr(stored_images, "IN_MEMORY", 0)
    with complains(ValueError, data, "18 images", "0.0 MB", "--data-dir"):
        image_folder.load_folder(folder, SMALL)


def test_a_folder_is_a_task_by_its_path(tmp_path):
    task = load.load_task(str(fill(tmp_path / "pets")), preprocessing=Preprocessing(16, 16))
    assert (task.name, task.display) == (str(tmp_path / "pets"), "pets")
    assert task.splits["train"].images.shape == (18, 16, 16, 3)


@pytest.mark.parametrize("key", ["class_names", "split_file"])
@pytest.mark.parametrize("given", [["cat", "dog", "owl"], {"cat": "Cat"}])
def test_names_and_splits_in_place_of_their_files_are_refused(tmp_path, key, given):
    holds(refusal(fill(tmp_path), **{key: given}), key, "cat", "expected the path of a file")


def test_a_backbone_in_place_of_its_preprocessing_is_refused(tmp_path, resnet):
    with complains(UserError, "preprocessing", "as in backbone.preprocessing"):
        image_folder.load_folder(fill(tmp_path), resnet)


def test_an_empty_path_is_not_the_folder_where_one_is(tmp_path, monkeypatch):
    monkeypatch.chdir(fill(tmp_path))
    holds(refusal(""), "''", "expected the path of a folder")


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path):
    holds(refusal(tmp_path / "nowhere"), tmp_path / "nowhere", "not a folder")
    holds(refusal(tmp_path), tmp_path, "empty", "expected", "sub-folder", "per class")
    (tmp_path / ".cache").mkdir()
    holds(refusal(tmp_path), tmp_path, "empty")


def test_one_class_is_refused(tmp_path):
    for number in range(3):
        paint(tmp_path / "cat" / f"{number}.png")
    holds(refusal(tmp_path), tmp_path, "1 class", "at least two", "sub-folders")


def test_a_class_without_images_or_with_too_few_is_refused_by_name(tmp_path):
    fill(tmp_path)
    (tmp_path / "ant").mkdir()
    (tmp_path / "ant" / "notes.txt").write_text("no image")
    holds(refusal(tmp_path), tmp_path / "ant", "no images", "expected", ".png")
    paint(tmp_path / "ant" / "0.png")
    holds(refusal(tmp_path), tmp_path / "ant", "this class: 1;", "at least 3")


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_refused_by_name(tmp_path, content):
    (fill(tmp_path) / "dog" / "04.png").write_bytes(content)
    holds(refusal(tmp_path), tmp_path / "dog/04.png", "cannot be read", "replace or remove")


def test_an_image_without_permission_is_refused_by_name(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    fill(tmp_path)
    monkeypatch.setattr(Image, "open", refuse)
    holds(refusal(tmp_path), ".png", "cannot be read", "Permission denied")


def test_a_folder_of_a_configuration_goes_by_the_name_it_has_there(tmp_path):
    fill(tmp_path / "images")
    task = load.load_task("pets", None, SMALL, {"path": str(tmp_path / "images")})
    assert (task.name, task.display) == ("pets", "pets")


def test_of_images_that_cannot_be_read_three_are_named_and_all_are_counted(tmp_path):
    fill(tmp_path, 5)
    for number in range(5):
        (tmp_path / "dog" / f"0{number}.png").write_text(f"no image {number}")
    message = refusal(tmp_path)
    holds(message, "dog/00.png", "replace or remove", "2 more")
    assert message.count("cannot be read") == 3


def test_a_file_is_not_a_folder(tmp_path):
    holds(refusal(paint(tmp_path / "a.png")), tmp_path / "a.png", "a file", "unpack")


@pytest.mark.parametrize("name", [None, 7, ["a"]])
def test_what_is_no_path_is_refused(name):
    with complains(ValueError, name if name != ["a"] else "['a']", "expected", "folder"):
        load.load_task(name)
    holds(refusal(name), "expected", "path", "folder of images")


def test_a_path_may_be_a_path(tmp_path):
    task = load.load_task(fill(tmp_path, 3))
    assert task.name == str(tmp_path)


def test_the_same_bytes_in_two_splits_or_two_classes_are_counted(tmp_path, capsys):
    for split in ("train", "test"):
        fill(tmp_path / split, 2)
        for name in ("cat", "dog", "owl"):
            for number in range(2):
                shade = (number, len(name), 50 * len(split) + "cdo".index(name[0]))
                paint(tmp_path / split / name / f"0{number}.png", shade)
    twin = (tmp_path / "train" / "cat" / "00.png").read_bytes()
    (tmp_path / "test" / "cat" / "new.png").write_bytes(twin)
    (tmp_path / "test" / "owl" / "new.png").write_bytes(twin)
    task = image_folder.load_folder(tmp_path, SMALL)
    assert task.notes == (
        "images in train and in test, byte for byte: 1",
        "images in two classes, byte for byte: 1",
    )
    assert capsys.readouterr().err.splitlines()[-2:] == [f"{tmp_path}: {n}" for n in task.notes]


def test_classes_that_a_cap_leaves_without_an_image_are_named(tmp_path):
    caps = {"train": 2, "validation": 6, "test": 6}
    task = image_folder.load_folder(fill(tmp_path), SMALL, data=caps)
    (absent,) = {0, 1, 2} - set(task.splits["train"].labels.tolist())
    assert task.notes == (f"classes without an image in train: {task.class_names[absent]}",)


def test_a_plain_folder_has_no_notes(tmp_path):
    assert image_folder.load_folder(fill(tmp_path), SMALL).notes == ()
