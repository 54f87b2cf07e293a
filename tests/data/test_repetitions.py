"""Images that are there more than once."""

import time

import numpy as np
import pytest
from PIL import Image

from tests.helpers.folders import SMALL
from vpbench.data.image_folder import load_folder
from vpbench.data.repetitions import Prints, difference_hash, repetition_notes

NEAR = "images of {} equal or nearly equal to one of {}, by their 64-bit difference hash: {}"


def fields(rows):
    """Returns a picture of 90 x 80 pixels whose 8 x 9 fields have these grey values."""
    grey = np.kron(np.array(rows, np.uint8), np.ones((10, 10), np.uint8))
    return Image.fromarray(grey).convert("RGB")


def test_the_64_bits_say_where_a_picture_grows_lighter_to_the_right():
    dark_left = [[0, 50, 50, 50, 50, 50, 50, 50, 50]] * 8
    assert difference_hash(fields(dark_left)) == int("10000000" * 8, 2)
    rows = [[0, 9, 0, 9, 0, 9, 0, 9, 0], *[[9] * 9] * 6, [0] * 8 + [9]]
    assert difference_hash(fields(rows)) == int("10101010" + "0" * 48 + "00000001", 2)


def test_one_plain_colour_of_any_size_has_no_bit():
    for size in ((1, 1), (7, 5), (97, 83), (1201, 803)):
        assert difference_hash(Image.new("RGB", size, (200, 17, 3))) == 0


def test_copies_of_other_sizes_and_qualities_have_the_same_bits(tmp_path):
    picture = fields(np.random.default_rng(1).permutation(72).reshape(8, 9) * 3)
    picture = picture.resize((1800, 1600))
    picture.resize((360, 320)).save(tmp_path / "a.jpg", quality=60)
    copies = [
        Image.open(tmp_path / "a.jpg").convert("RGB"),
        picture.resize((450, 400)),
        picture.convert("L").convert("RGB"),
    ]
    assert {difference_hash(copy) for copy in copies} == {difference_hash(picture)}
    assert difference_hash(picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)) != difference_hash(
        picture
    )


def test_what_is_the_same_is_counted_apart_from_what_only_looks_the_same():
    prints = {
        "train": Prints([0, 1, 1], ["a", "b", "c"], [5, 6, 7]),
        "validation": Prints([0], ["x"], [8]),
        "test": Prints([0, 0, 1, 1, 1], ["a", "b", "d", "e", "f"], [5, 6, 7, 7, 8]),
    }
    assert repetition_notes(prints) == [
        "images in train and in test, byte for byte: 2",  # a and b
        "images in two classes, byte for byte: 1",  # b
        NEAR.format("test", "train", 2),
        NEAR.format("test", "validation", 1),
    ]


@pytest.mark.parametrize("look", [0, 2**64 - 1])
def test_plain_colours_and_gradients_are_not_of_one_look(look):
    prints = {"train": Prints([0], ["a"], [look]), "test": Prints([0], ["b"], [look])}
    assert repetition_notes(prints) == []


def test_one_split_alone_repeats_nothing():
    assert repetition_notes({"test": Prints([0, 0], ["a", "a"], [5, 5])}) == []


def test_smaller_copies_in_the_test_folder_are_counted_and_said(tmp_path, capsys):
    for number in range(6):
        shades = np.random.default_rng(number).permutation(72).reshape(8, 9) * 3
        for split, shrink in (("train", 1), ("test", 2)):
            path = tmp_path / split / ("cat", "dog")[number % 2] / f"{split}{number}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            picture = fields(shades if number < 4 or split == "train" else 255 - shades)
            picture.reduce(shrink).save(path)
    task = load_folder(tmp_path, SMALL)
    note = NEAR.format("test", "train", 4)
    assert task.notes == (note,)
    assert f"{tmp_path}: {note}" in capsys.readouterr().err.splitlines()


def test_a_hundred_thousand_images_are_compared_in_seconds():
    random = np.random.default_rng(0)
    looks = random.integers(1, 2**63, 100_000).tolist()
    names = [f"{look:012x}"[:12] for look in looks]
    labels = (np.arange(100_000) % 100).tolist()
    prints = {"train": Prints(labels, names, looks), "test": Prints(labels, names, looks)}
    start = time.perf_counter()
    assert repetition_notes(prints)[0] == "images in train and in test, byte for byte: 100,000"
    assert time.perf_counter() - start < 5
