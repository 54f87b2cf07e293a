import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from tests.helpers.folders import SMALL, fill
from vpbench.data import image_folder, photographs
from vpbench.data.datasets.image_files import list_images
from vpbench.data.photographs import FIRST, ON_WHITE, TURNED, read_photograph
from vpbench.spec.preprocessing import Preprocessing

TURNS = {  # orientation -> where the first pixel of the file belongs, of 3 x 2 pixels
    1: (0, 0), 2: (2, 0), 3: (2, 1), 4: (0, 1), 5: (0, 0), 6: (1, 0), 7: (1, 2), 8: (0, 2),
}  # fmt: skip
RED, WHITE = (255, 0, 0), (255, 255, 255)


def tagged(path, orientation):
    """Returns `path` once it is an image of 3 x 2 pixels, the first red, with a tag."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image, tags = Image.new("RGB", (3, 2)), Image.Exif()
    image.putpixel((0, 0), RED)
    tags[274] = orientation
    image.save(path, exif=tags, **({"lossless": True} if path.suffix == ".webp" else {}))
    return path


@pytest.mark.parametrize("kind", ["png", "tif", "webp"])
@pytest.mark.parametrize("orientation", TURNS)
def test_a_photograph_is_turned_by_its_orientation_tag(tmp_path, orientation, kind):
    image, done = read_photograph(tagged(tmp_path / f"a.{kind}", orientation))
    assert image.size == ((2, 3) if orientation > 4 else (3, 2))
    assert image.getpixel(TURNS[orientation]) == RED
    assert np.asarray(image).sum() == 255  # and all others are black
    assert done == ([TURNED] if orientation > 1 else [])


def test_what_was_turned_is_counted_in_the_notes_and_the_pixels_are_upright(tmp_path):
    fill(tmp_path, 5)
    for number in range(5):
        halves = Image.new("RGB", (16, 8))
        halves.paste(RED, (0, 0, 8, 8))
        tags = Image.Exif()
        tags[274] = 6
        halves.save(tmp_path / "cat" / f"{number:02}.png", exif=tags)
    task = image_folder.load_folder(tmp_path, Preprocessing(None, 8))
    assert "images turned upright by their orientation tag: 5" in task.notes
    train = task.splits["train"]
    (first, *_) = train.images[train.labels == 0]
    assert first[0, 4].tolist() == list(RED) and first[7, 4].tolist() == [0, 0, 0]


def test_the_datasets_of_the_paper_stay_as_published(tmp_path):
    tagged(tmp_path / "a.png", 6)
    Image.new("RGBA", (4, 4), (10, 20, 30, 0)).save(tmp_path / "b.png")
    listing = list_images("dtd", tmp_path, {"train": [("a.png", 0), ("b.png", 1)]})["train"]
    assert listing.read(0).size == (3, 2)
    assert listing.read(1).getpixel((0, 0)) == (10, 20, 30)


@pytest.mark.parametrize(
    ("mode", "colour", "expected"),
    [
        ("RGBA", (10, 20, 30, 0), WHITE),
        ("RGBA", (10, 20, 30, 51), (206, 208, 210)),  # 255 + (10 - 255) * 0.2, and so on
        ("LA", (77, 0), WHITE),
        ("LA", (55, 51), (215, 215, 215)),
    ],
)
def test_what_is_transparent_is_put_on_white(tmp_path, mode, colour, expected):
    Image.new(mode, (4, 4), colour).save(tmp_path / "a.png")
    image, done = read_photograph(tmp_path / "a.png")
    assert done == [ON_WHITE] and image.mode == "RGB" and image.getpixel((0, 0)) == expected


@pytest.mark.parametrize("transparency", [1, bytes((255, 0))])
def test_a_palette_with_a_transparent_colour_is_put_on_white(tmp_path, transparency):
    image = Image.new("P", (2, 1), 1)
    image.putpalette([1, 2, 3, 10, 20, 30])
    image.putpixel((0, 0), 0)
    image.save(tmp_path / "a.png", transparency=transparency)
    seen, done = read_photograph(tmp_path / "a.png")
    assert done == [ON_WHITE]
    assert (seen.getpixel((0, 0)), seen.getpixel((1, 0))) == ((1, 2, 3), WHITE)


def test_an_opaque_image_with_an_alpha_channel_is_no_transparent_one(tmp_path):
    Image.new("RGBA", (4, 4), (10, 20, 30, 255)).save(tmp_path / "a.png")
    assert read_photograph(tmp_path / "a.png").done == []


def test_transparent_images_are_counted_in_the_notes(tmp_path, capsys):
    fill(tmp_path, 5)
    for number in range(5):
        Image.new("RGBA", (8, 8), (number, 0, 0, 0)).save(tmp_path / "cat" / f"{number:02}.png")
    task = image_folder.load_folder(tmp_path, SMALL)
    (note,) = task.notes
    assert note == "images with transparency, put on white: 5"
    assert f"{tmp_path}: {note}" in capsys.readouterr().err.splitlines()
    train = task.splits["train"]
    assert (train.images[train.labels == 0] == 255).all()


@pytest.mark.parametrize("kind", ["gif", "tif", "webp", "png"])
def test_of_several_frames_the_first_is_read_and_that_is_said(tmp_path, kind):
    first, second = Image.new("RGB", (8, 8), RED), Image.new("RGB", (8, 8), WHITE)
    exact = {"lossless": True} if kind == "webp" else {}
    first.save(tmp_path / f"a.{kind}", save_all=True, append_images=[second], **exact)
    first.save(tmp_path / f"b.{kind}", **exact)
    image, done = read_photograph(tmp_path / f"a.{kind}")
    assert done == [FIRST] and image.getpixel((4, 4)) == RED
    assert read_photograph(tmp_path / f"b.{kind}").done == []


def test_the_second_views_of_a_phone_are_not_spoken_of(tmp_path):
    views = Image.new("RGB", (8, 8), RED), Image.new("RGB", (4, 4), WHITE)
    views[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[views[1]], quality=100)
    image, done = read_photograph(tmp_path / "a.jpg")
    assert done == [] and image.size == (8, 8)
    assert abs(image.getpixel((4, 4))[0] - 255) < 4


def test_cmyk_and_sixteen_bits_a_channel_are_read_as_eight(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    red = np.asarray(read_photograph(tmp_path / "a.jpg").image).astype(int)
    assert (abs(red - RED) <= 3).all()
    deep = bytes.fromhex("8000 4000 ffff".replace(" ", "")) * 4
    (tmp_path / "b.ppm").write_bytes(b"P6 2 2 65535\n" + deep)
    image = read_photograph(tmp_path / "b.ppm").image
    assert image.getpixel((0, 0)) == (128, 64, 255)


def test_a_broken_tag_leaves_the_picture_as_it_is(tmp_path):
    image = Image.new("RGB", (8, 8), RED)
    image.save(tmp_path / "a.png", exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert read_photograph(tmp_path / "a.png").image.getpixel((0, 0)) == RED


@pytest.fixture
def heif(monkeypatch):
    """Lets a reader of HEIF be installed, which reads PNGs."""
    module = ModuleType("pillow_heif")
    module.__spec__ = type("Spec", (), {"name": "pillow_heif"})()

    def register():
        from PIL import PngImagePlugin

        def accept(start):
            return start.startswith(b"\x89PNG")

        Image.register_open("HEIF", PngImagePlugin.PngImageFile, accept)

    module.register_heif_opener = register
    monkeypatch.setitem(sys.modules, "pillow_heif", module)
    photographs.reads_heif.cache_clear()
    yield
    Image.OPEN.pop("HEIF", None)
    photographs.reads_heif.cache_clear()


def test_photographs_of_phones_are_read_where_the_package_is_installed(heif, tmp_path):
    fill(tmp_path, 5)
    for path in (tmp_path / "dog").iterdir():
        path.rename(path.with_suffix(".HEIC"))
    task = image_folder.load_folder(tmp_path, SMALL)
    assert task.notes == () and {len(split) for split in task.splits.values()} == {9, 3}
    assert sum(name.endswith(".HEIC") for name in task.splits["train"].ids) == 3


def test_a_real_photograph_of_a_phone_is_read_and_turned_once(tmp_path):
    heif = pytest.importorskip("pillow_heif", exc_type=ImportError)
    photographs.reads_heif.cache_clear()
    halves, tags = Image.new("RGB", (64, 32)), Image.Exif()
    halves.paste(RED, (0, 0, 32, 32))
    tags[274] = 6
    heif.from_pillow(halves).save(tmp_path / "a.heic", exif=tags.tobytes(), quality=100)
    image, done = read_photograph(tmp_path / "a.heic")
    assert done == [TURNED] and image.size == (32, 64)
    assert image.getpixel((16, 4))[0] > 240 and image.getpixel((16, 60))[0] < 15
