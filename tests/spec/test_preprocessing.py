import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from vpbench.spec.preprocessing import (
    Preprocessing,
    preprocess,
    preprocessing_of,
    straight_to,
)


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
    assert preprocessing_of({"backbone": backbone, "settings": settings}).key == key


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
