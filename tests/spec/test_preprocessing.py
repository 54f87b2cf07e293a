import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from tests.helpers.messages import complains
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import (
    Preprocessing,
    preprocess,
    preprocessing_of,
    read_image,
    straight_to,
)

SMALL, USUAL = Preprocessing(8, 8), Preprocessing(56, 56)


def noise(width, height):
    """Returns a picture of noise."""
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("size", [(32, 32), (61, 47), (47, 62), (301, 200)])
@pytest.mark.parametrize("interpolation", ["bicubic", "bilinear"])
@pytest.mark.parametrize("resize", [32, 37])
def test_an_image_is_resized_and_cropped_as_torchvision_does(size, interpolation, resize):
    theirs = transforms.Compose(
        [
            transforms.Resize(resize, InterpolationMode(interpolation)),
            transforms.CenterCrop(32),
        ]
    )
    image = noise(*size)
    ours = preprocess(image, Preprocessing(resize, 32, interpolation))
    assert np.array_equal(ours, np.asarray(theirs(image)))


def test_without_a_resize_an_image_is_squashed():
    halves = Image.new("RGB", (8, 4), (0, 0, 0))
    halves.paste((255, 255, 255), (4, 0, 8, 4))
    squashed = preprocess(halves, Preprocessing(None, 4, "bilinear"))
    assert squashed.shape == (4, 4, 3)
    assert (squashed[:, 0] == 0).all() and (squashed[:, 3] == 255).all()  # both ends are kept


@pytest.mark.parametrize(
    ("backbone", "settings", "key"),
    [
        ("rn50", {}, "resize256_bilinear_crop224"),
        ("rn50", {"image_side": None}, "resize256_bilinear_crop224"),
        ("rn50", {"image_side": 164}, "resize164_bicubic_crop164"),
        ("clip_vit_b32", {"image_side": 164}, "resize164_bicubic_crop164"),
    ],
)
def test_the_images_of_a_recipe_that_shrinks_them_go_straight_to_their_side(
    backbone, settings, key
):
    spec = {"backbone": backbone, "settings": settings, "data": {"resolution": "backbone"}}
    assert preprocessing_of(spec).key == key
    kept = preprocessing_of(spec | {"data": {"resolution": "native"}})
    assert kept == Preprocessing(*BACKBONES[backbone].preprocessing)


def test_straight_to_a_side_is_evp_s_transform_and_not_that_of_two_resizes():
    theirs = transforms.Compose(
        [transforms.Resize(164, InterpolationMode.BICUBIC), transforms.CenterCrop(164)]
    )
    image = noise(500, 375)
    ours = preprocess(image, straight_to(164))
    assert np.array_equal(ours, np.asarray(theirs(image)))
    twice = Image.fromarray(preprocess(image, Preprocessing(224, 224)))
    assert not np.array_equal(ours, np.asarray(theirs(twice)))


def test_equal_transforms_have_equal_keys_and_others_do_not():
    assert Preprocessing(256, 224, "bilinear").key == "resize256_bilinear_crop224"
    assert Preprocessing(None, 224).key == "squash_bicubic_crop224"
    different = {Preprocessing(224, 224), Preprocessing(256, 224), Preprocessing(None, 224)}
    assert len({one.key for one in different}) == 3


@pytest.mark.parametrize("size", [(56, 56), (71, 97), (97, 71), (300, 57), (20, 31), (5, 9)])
def test_an_image_is_resized_and_cropped_as_clip_does_it(tmp_path, size):
    image = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    )
    image.save(tmp_path / "a.png")
    resize = transforms.Resize(56, transforms.InterpolationMode.BICUBIC)
    expected = transforms.CenterCrop(56)(resize(image))
    assert np.array_equal(read_image(tmp_path / "a.png", USUAL), np.asarray(expected))


def test_the_middle_of_a_wide_image_is_kept(tmp_path):
    image = Image.new("RGB", (24, 8), (255, 0, 0))
    image.paste((0, 255, 0), (8, 0, 16, 8))
    image.save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png", SMALL) == (0, 255, 0)).all()


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
    assert (read_image(tmp_path / "a.tif", SMALL) == expected).all()


@pytest.mark.parametrize("options", [{}, {"transparency": 1}, {"transparency": bytes((255, 0))}])
def test_a_palette_image_is_read_as_rgb_with_or_without_transparency(tmp_path, options):
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.save(tmp_path / "a.png", **options)
    assert (read_image(tmp_path / "a.png", SMALL) == (10, 20, 30)).all()


def test_sixteen_bits_are_refused_since_they_would_be_read_as_white(tmp_path):
    Image.fromarray(np.full((8, 8), 40_000, np.uint16)).save(tmp_path / "a.png")
    with complains(ValueError, "a.png", "more than 8 bits", "channel", "convert"):
        read_image(tmp_path / "a.png", SMALL)


@pytest.mark.parametrize("kind", ["png", "jpg", "gif", "bmp", "webp", "tif"])
def test_a_truncated_image_is_refused_by_name(tmp_path, kind):
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / f"a.{kind}"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with complains(ValueError, path, "cannot be read"):
        read_image(path, USUAL)


def test_an_image_that_claims_to_be_gigantic_is_refused(tmp_path, monkeypatch):
    Image.new("RGB", (60, 60)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with complains(ValueError, "a.png", "cannot be read", "decompression bomb"):
        read_image(tmp_path / "a.png", SMALL)
