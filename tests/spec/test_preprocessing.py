import numpy as np
import pytest
from PIL import Image
from torchvision import transforms
from torchvision.transforms import InterpolationMode

from vpbench.spec.preprocessing import Preprocessing, preprocess


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


def test_equal_transforms_have_equal_keys_and_others_do_not():
    assert Preprocessing(256, 224, "bilinear").key == "resize256_bilinear_crop224"
    assert Preprocessing(None, 224).key == "squash_bicubic_crop224"
    different = {Preprocessing(224, 224), Preprocessing(256, 224), Preprocessing(None, 224)}
    assert len({one.key for one in different}) == 3
