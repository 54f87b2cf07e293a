import hashlib
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.messages import complains
from tests.helpers.tiny import MICRO
from vpbench.lab import micro_backbones
from vpbench.models.backbone import load_backbone
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import Preprocessing

VISION = [name for name in MICRO if BACKBONES[name].modality == "vision"]


@pytest.fixture(scope="module")
def images(task):
    """Returns a few uint8 images."""
    return task.splits["test"].images[:8]


def pixels(backbone, images):
    """Returns images in the units of `backbone`."""
    return backbone.normalize(backbone.scale_pixels(images))


def test_an_unknown_backbone_is_refused_with_the_nearest_ones_and_how_others_are_named():
    with complains(ValueError, "unknown backbone", "'vit'", "clip_vit_b32", "timm:", "open_clip:"):
        load_backbone("vit")
    with complains(ValueError, "Linear(", "no name of a backbone", "wrap"):
        load_backbone(torch.nn.Linear(2, 2))


@pytest.mark.parametrize("name", MICRO)
def test_a_backbone_is_frozen_and_in_evaluation_mode(name):
    backbone = load_backbone(name)
    assert not any(parameter.requires_grad for parameter in backbone.parameters())
    assert not any(module.training for module in backbone.model.modules())


@pytest.mark.parametrize("name", MICRO)
def test_a_backbone_knows_the_sha256_of_its_weight_file_and_its_modality(name):
    backbone = load_backbone(name)
    file = micro_backbones.WEIGHTS / f"{name}.safetensors"
    assert backbone.weights_hash == hashlib.sha256(file.read_bytes()).hexdigest()
    assert backbone.modality == BACKBONES[name].modality and backbone.address == name
    assert backbone.token_towers == BACKBONES[name].token_towers
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", VISION)
def test_features_are_what_the_head_of_the_classifier_reads(name, images):
    backbone = load_backbone(name)
    x = pixels(backbone, images)
    features, head = backbone.features(x), backbone.model.get_classifier()
    if isinstance(head, torch.nn.Conv2d):
        logits = head(features.reshape(len(x), -1, 1, 1)).flatten(1)
    else:
        logits = head(features)
    torch.testing.assert_close(logits, backbone.logits(x), atol=1e-4, rtol=1e-4)
    assert logits.shape == (8, backbone.model.num_classes)


@pytest.mark.parametrize("name", VISION)
def test_the_source_logits_differ_between_classes_and_images(name, images):
    backbone = load_backbone(name)
    logits = backbone.logits(pixels(backbone, images))
    assert logits.std(0).min() > 0 and logits.std(1).min() > 0


@pytest.mark.parametrize("name", MICRO)
def test_an_image_has_the_same_features_whatever_is_beside_it(name, images):
    backbone = load_backbone(name)
    x = pixels(backbone, images)
    alone = torch.cat([backbone.features(one[None]) for one in x])
    torch.testing.assert_close(alone, backbone.features(x), atol=1e-4, rtol=1e-4)


def test_the_micro_clip_has_the_tokens_of_vit_b_32_at_224(clip):
    assert clip.image_size == 56 and clip.model.visual.positional_embedding.shape[0] == 7 * 7 + 1


def test_text_features_have_unit_length_and_no_gradient(clip):
    features = clip.text_features(["a photo of a cat", "a photo of a dog"])
    torch.testing.assert_close(features.norm(dim=1), torch.ones(2))
    assert not features.requires_grad


def test_the_temperature_is_at_most_a_hundred(clip):
    assert 1 < clip.logit_scale <= 100.001
    hot = load_backbone("clip_micro")
    hot.model.logit_scale.fill_(9)
    assert hot.logit_scale.item() == pytest.approx(100)


def test_bytes_become_shares_and_then_units_of_the_model():
    backbone = load_backbone("bit_m_micro")  # mean and standard deviation 0.5
    images = torch.tensor([0, 51, 255], dtype=torch.uint8).expand(1, 56, 56, 3)
    shares = backbone.scale_pixels(images)[..., :1, :1]
    torch.testing.assert_close(shares.flatten(), torch.tensor([0.0, 0.2, 1.0]))
    torch.testing.assert_close(
        backbone.normalize(shares).flatten(), torch.tensor([-1.0, -0.6, 1.0])
    )


def test_clip_is_normalised_with_the_constants_of_openai(clip):
    grey = clip.normalize(torch.zeros(1, 3, 1, 1)).flatten()
    expected = [-0.48145466 / 0.26862954, -0.4578275 / 0.26130258, -0.40821073 / 0.27577711]
    torch.testing.assert_close(grey, torch.tensor(expected))


@pytest.fixture
def weights(tmp_path):
    """Returns a copy of the folder of weights."""
    return shutil.copytree(micro_backbones.WEIGHTS, tmp_path / "weights")


def test_a_copy_of_the_weights_is_the_same_backbone(weights, clip, images):
    other = micro_backbones.load("clip_micro", weights)
    x = pixels(clip, images)
    assert torch.equal(other.features(x), clip.features(x))


@pytest.mark.parametrize("name", MICRO)
def test_weights_with_a_flipped_bit_are_refused_by_name(weights, name):
    path = weights / f"{name}.safetensors"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with complains(ValueError, path, "SHA-256", "restore both", "repository"):
        micro_backbones.load(name, weights)


@pytest.mark.parametrize("ending", [".safetensors", ".json"])
def test_missing_weights_or_a_missing_card_are_refused_by_name(weights, ending):
    (weights / f"rn50_micro{ending}").unlink()
    with complains(ValueError, f"rn50_micro{ending}", "missing", "restore it", "repository"):
        micro_backbones.load("rn50_micro", weights)


def test_images_of_another_size_are_resized_on_the_device(clip):
    # Far from 0 and 255, where Pillow would cut what overshoots after each of its two passes.
    small = torch.randint(90, 166, (2, 28, 28, 3), dtype=torch.uint8)
    small[1] = 51
    pixels = clip.scale_pixels(small)
    assert pixels.shape == (2, 3, 56, 56) and 0 <= pixels.min() and pixels.max() <= 1
    assert torch.allclose(pixels[1], torch.full((3, 56, 56), 0.2))
    theirs = Image.fromarray(small[0].numpy()).resize((56, 56), Image.Resampling.BICUBIC)
    theirs = torch.from_numpy(np.array(theirs)).permute(2, 0, 1) / 255  # in whole numbers
    assert torch.allclose(pixels[0], theirs, atol=2 / 255)  # each of its passes rounds


def test_a_resize_above_the_crop_cuts_the_centre_on_the_device_too(clip, monkeypatch):
    monkeypatch.setattr(clip, "preprocessing", Preprocessing(64, 56, "bilinear"))
    ramp = torch.arange(32, dtype=torch.uint8).mul(8).view(1, 1, 32, 1).expand(1, 32, 32, 3)
    pixels = clip.scale_pixels(ramp)
    assert pixels.shape == (1, 3, 56, 56)
    # Of 64 columns, twice the 32, four are cut at each side: the first kept one is at 2.25 - 0.5.
    assert pixels[0, 0, 0, 0].item() == pytest.approx((2.25 - 0.5) * 8 / 255)


def test_images_of_the_right_size_are_left_alone(clip):
    images = torch.randint(0, 256, (2, 56, 56, 3), dtype=torch.uint8)
    assert torch.equal(clip.scale_pixels(images), images.permute(0, 3, 1, 2) / 255)


def test_a_backbone_stays_in_evaluation_mode_also_as_a_part_of_what_is_trained(resnet):
    x = torch.rand(2, 3, 56, 56)
    before = resnet.logits(x)
    torch.nn.ModuleList([resnet]).train()
    assert not any(module.training for module in resnet.modules())
    assert torch.equal(resnet.logits(x), before)
