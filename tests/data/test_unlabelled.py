"""Images without labels."""

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.folders import SMALL, paint
from tests.helpers.messages import complains, holds
from vpbench.common.errors import UserError
from vpbench.data import folder_files, stored_images
from vpbench.data.unlabelled import read_unlabelled


@pytest.fixture
def photos(tmp_path):
    """Returns a folder of four images, each in a red of its own, two of them further below."""
    names = ("b.png", "a.jpg", "train/c.png", "2024/may/d.png")
    for number, name in enumerate(names):
        paint(tmp_path / "photos" / name, (60 * number, 0, 0))
    return tmp_path / "photos"


def reds(images):
    return images[:, 4, 4, 0].tolist()


def test_a_folder_is_read_at_any_depth_in_the_order_of_its_names(photos, capsys):
    paint(photos / ".thumbnails" / "b.png")
    (photos / "notes.txt").write_text("...")
    names, images = read_unlabelled(photos, SMALL)
    below = ["2024/may/d.png", "a.jpg", "b.png", "train/c.png"]  # no split: nothing is labelled
    assert names == tuple(str(photos / name) for name in below)
    assert (images.dtype, images.shape) == (torch.uint8, (4, 8, 8, 3))
    assert reds(images) == pytest.approx([180, 60, 0, 120], abs=3)  # one is a JPEG
    assert f"{photos}: left out: 1 .txt, 1 hidden .png" in capsys.readouterr().err.splitlines()


def test_files_and_folders_are_read_in_the_order_in_which_they_are_given(photos):
    names, images = read_unlabelled([photos / "b.png", str(photos / "train")], SMALL)
    assert names == (str(photos / "b.png"), str(photos / "train" / "c.png"))
    assert reds(images) == [0, 120]
    assert read_unlabelled(str(photos / "b.png"), SMALL)[0] == names[:1]


def test_pictures_in_memory_are_called_by_their_number(photos):
    red = np.full((5, 5, 3), (200, 0, 0), np.uint8)
    one = Image.fromarray(red)
    batch = torch.from_numpy(np.stack([red, red // 2])).permute(0, 3, 1, 2)
    assert read_unlabelled(one, SMALL)[0] == ("image 0",)
    assert read_unlabelled(red, SMALL)[0] == ("image 0",)
    names, images = read_unlabelled(batch, SMALL)
    assert (names, reds(images)) == (("image 0", "image 1"), [200, 100])
    names, images = read_unlabelled((each for each in (one, photos / "b.png", red)), SMALL)
    assert names == ("image 0", str(photos / "b.png"), "image 2")
    assert reds(images) == [200, 0, 200]


def test_images_that_cannot_be_read_are_counted_in_one_line(photos):
    for number in range(5):
        (photos / f"x{number}.png").write_bytes(b"no image")
    with pytest.raises(UserError) as error:
        read_unlabelled(photos, SMALL)
    holds(str(error.value), photos / "x0.png", photos / "x2.png", "and 2 more like these")
    with complains(UserError, "image 1: its picture is float32 [3, 8, 8]"):
        read_unlabelled([Image.new("RGB", (8, 8)), torch.zeros(3, 8, 8)], SMALL)


@pytest.mark.parametrize("what", [7, None, b"a.png", {"a": 1}, [7]])
def test_what_is_no_image_is_refused(what):
    with complains(UserError, "expected", "a PIL image"):
        read_unlabelled(what, SMALL)


def test_a_path_without_a_file_and_a_folder_without_images_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(folder_files, "extensions", lambda: (".png",))
    with complains(UserError, tmp_path / "typo", "no such file or folder"):
        read_unlabelled(["typo", tmp_path / "typo"][1:], SMALL)
    with complains(UserError, "an empty path", "no such file or folder"):
        read_unlabelled("", SMALL)
    (tmp_path / "a.txt").write_text("...")
    with complains(UserError, tmp_path, "no images", "1 .txt", ".png"):
        read_unlabelled(tmp_path, SMALL)
    with complains(UserError, "no image in []"):
        read_unlabelled([], SMALL)


def test_more_images_than_memory_is_for_are_mapped(photos, tmp_path, monkeypatch):
    usual = read_unlabelled(photos, SMALL)[1]
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(stored_images, "IN_MEMORY", 0)
    assert torch.equal(read_unlabelled(photos, SMALL)[1], usual)
    assert list((tmp_path / "data" / "cache").iterdir()) == []
