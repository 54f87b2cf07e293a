import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from tests.helpers.messages import complains, holds
from vpbench.data import image_folder, load
from vpbench.spec.preprocessing import Preprocessing

SMALL, USUAL = Preprocessing(8, 8), Preprocessing(56, 56)

COLOURS = {"cat": (200, 0, 0), "dog": (0, 200, 0), "owl": (0, 0, 200)}


def paint(path, colour=(9, 9, 9), size=(8, 8)):
    """Returns `path` once it is a plain image."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)
    return path


def fill(folder, count=10):
    """Returns `folder` with `count` images of each class, each in its class's colour."""
    for name, colour in COLOURS.items():
        for number in range(count):
            shade = tuple(min(255, value + number) for value in colour)
            paint(folder / name / f"{number:02}.png", shade)
    return folder


def sizes(task):
    """Returns split -> number of images."""
    return {name: len(split) for name, split in task.splits.items()}


def labels_are_right(task):
    """Returns whether each image has the colour of its label and lies in that class's folder."""
    order = sorted(COLOURS)
    return all(
        split.images[i, 0, 0].argmax() == list(COLOURS).index(order[label]) and order[label] in name
        for split in task.splits.values()
        for i, (label, name) in enumerate(zip(split.labels.tolist(), split.ids, strict=True))
    )


def refusal(folder, **options):
    """Returns the one line with which `folder` is refused."""
    with pytest.raises(ValueError) as error:
        image_folder.load_folder(folder, SMALL, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def written(path, document):
    """Returns `path` once it holds the JSON `document`."""
    path.write_text(json.dumps(document))
    return path


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
    split_file = written(tmp_path / "split.json", {"train": rows, "val": rows[:1], "test": test})
    task = image_folder.load_folder(tmp_path / "images", SMALL, split_file=split_file)
    assert task.class_names == ("CAT", "DOG", "OWL")
    assert task.splits["test"].ids == ("owl/02.png",)
    assert task.splits["train"].labels.tolist() == [0, 1, 2]
    assert labels_are_right(task)


def test_a_class_file_names_the_sorted_folders(tmp_path):
    fill(tmp_path / "images", 3)
    (tmp_path / "names.txt").write_text("Felis catus\n\nCanis familiaris\nBubo bubo\n")
    task = image_folder.load_folder(tmp_path / "images", SMALL, class_names=tmp_path / "names.txt")
    assert task.class_names == ("Felis catus", "Canis familiaris", "Bubo bubo")


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
        image_folder, "IN_MEMORY", 6 * 8 * 8 * 3
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
    monkeypatch.setattr(image_folder, "IN_MEMORY", 0)
    with complains(ValueError, data, "18 images", "0.0 MB", "--data-dir"):
        image_folder.load_folder(folder, SMALL)


def test_a_folder_is_a_task_by_its_path(tmp_path):
    task = load.load_task(str(fill(tmp_path / "pets")), preprocessing=Preprocessing(16, 16))
    assert (task.name, task.display) == (str(tmp_path / "pets"), "pets")
    assert task.splits["train"].images.shape == (18, 16, 16, 3)


@pytest.mark.parametrize("size", [(56, 56), (71, 97), (97, 71), (300, 57), (20, 31), (5, 9)])
def test_an_image_is_resized_and_cropped_as_clip_does_it(tmp_path, size):
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    )
    image.save(tmp_path / "a.png")
    resize = transforms.Resize(56, transforms.InterpolationMode.BICUBIC)
    expected = transforms.CenterCrop(56)(resize(image))
    assert np.array_equal(image_folder.read_image(tmp_path / "a.png", USUAL), np.asarray(expected))


def test_the_middle_of_a_wide_image_is_kept(tmp_path):
    image = Image.new("RGB", (24, 8), (255, 0, 0))
    image.paste((0, 255, 0), (8, 0, 16, 8))
    image.save(tmp_path / "a.png")
    assert (image_folder.read_image(tmp_path / "a.png", SMALL) == (0, 255, 0)).all()


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("L", 77, (77, 77, 77)),
        ("1", 1, (255, 255, 255)),
        ("RGBA", (10, 20, 30, 128), (10, 20, 30)),
        ("LA", (77, 0), (77, 77, 77)),
        ("CMYK", (0, 255, 255, 0), (255, 0, 0)),
    ],
)
def test_other_kinds_of_images_are_read_as_rgb(tmp_path, mode, colour, expected):
    Image.new(mode, (8, 8), colour).save(tmp_path / "a.tif")
    assert (image_folder.read_image(tmp_path / "a.tif", SMALL) == expected).all()


@pytest.mark.parametrize("options", [{}, {"transparency": 1}, {"transparency": bytes((255, 0))}])
def test_a_palette_image_is_read_as_rgb_with_or_without_transparency(tmp_path, options):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", **options)
    assert (image_folder.read_image(tmp_path / "a.png", SMALL) == (10, 20, 30)).all()


def test_sixteen_bits_are_refused_since_they_would_be_read_as_white(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "a.png")
    with complains(ValueError, "a.png", "more than 8 bits", "channel", "convert"):
        image_folder.read_image(tmp_path / "a.png", SMALL)


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
    holds(refusal(tmp_path), tmp_path / "ant", "1 images", "at least 3")


@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\x89PNG\r\n\x1a\n"])
def test_a_file_that_is_no_image_is_refused_by_name(tmp_path, content):
    (fill(tmp_path) / "dog" / "04.png").write_bytes(content)
    holds(refusal(tmp_path), tmp_path / "dog/04.png", "cannot be read", "replace or remove")


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_a_truncated_image_is_refused_by_name(tmp_path, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{kind}"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with complains(ValueError, path, "cannot be read"):
        image_folder.read_image(path, USUAL)


def test_an_image_without_permission_is_refused_by_name(tmp_path, monkeypatch):
    def refuse(path, **_):
        raise PermissionError(13, "Permission denied", str(path))

    fill(tmp_path)
    monkeypatch.setattr(Image, "open", refuse)
    holds(refusal(tmp_path), ".png", "cannot be read", "Permission denied")


def test_an_image_that_claims_to_be_gigantic_is_refused(tmp_path, monkeypatch):
    paint(tmp_path / "a.png", size=(60, 60))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with complains(ValueError, "a.png", "cannot be read", "decompression bomb"):
        image_folder.read_image(tmp_path / "a.png", SMALL)


def test_splits_with_different_classes_are_refused_by_the_classes(tmp_path):
    fill(tmp_path / "train", 2), fill(tmp_path / "test", 2)
    paint(tmp_path / "test" / "yak" / "0.png")
    holds(refusal(tmp_path), tmp_path, "different classes", "yak")


def test_a_missing_split_is_refused(tmp_path):
    fill(tmp_path / "train", 2)
    holds(refusal(tmp_path), tmp_path, "test split", "no images")


@pytest.mark.parametrize("lines", ["cat\ndog\n", "cat\ndog\nowl\nyak\n", ""])
def test_a_class_list_of_another_length_is_refused_with_the_classes(tmp_path, lines):
    fill(tmp_path / "images", 3)
    (tmp_path / "names.txt").write_text(lines)
    message = refusal(tmp_path / "images", class_names=tmp_path / "names.txt")
    holds(message, "names.txt", f"{len(lines.split())} classes", 3, "cat, dog, owl")


def test_a_class_list_that_is_not_there_is_refused(tmp_path):
    message = refusal(fill(tmp_path, 3), class_names=tmp_path / "names.txt")
    holds(message, tmp_path / "names.txt", "class names", "not read", "No such file")


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


def test_a_split_file_that_names_a_missing_image_is_refused_by_that_name(tmp_path):
    rows = [["cat/00.png", 0, "cat"], ["dog/99.png", 1, "dog"]]
    split_file = written(tmp_path / "split.json", {"train": rows, "test": rows})
    message = refusal(fill(tmp_path, 3), split_file=split_file)
    holds(message, tmp_path / "dog/99.png", "missing")


def test_a_folder_of_a_configuration_goes_by_the_name_it_has_there(tmp_path):
    fill(tmp_path / "images")
    task = load.load_task("pets", None, SMALL, {"path": str(tmp_path / "images")})
    assert (task.name, task.display) == ("pets", "pets")
