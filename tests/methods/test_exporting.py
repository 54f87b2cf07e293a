"""Prompt and model as one file."""

import json
from importlib import import_module

import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from tests.helpers.small_classifier import NAMES, SIDE, settings_of, small_classifier
from tests.helpers.tiny import PADDING
from vpbench.common.errors import UserError
from vpbench.data.task import Task
from vpbench.methods import exporting
from vpbench.methods.exporting import export_onnx, export_program
from vpbench.methods.prompted_classifier import untrained
from vpbench.prompts.own import Own, OwnPrompt
from vpbench.spec.recipes import recipe_for


def noise(side, count=8):
    """Returns uint8 images other than those that exporting compares."""
    generator = torch.Generator().manual_seed(7)
    return torch.randint(256, (count, side, side, 3), generator=generator, dtype=torch.uint8)


def computed(path, images):
    """Returns the logits of a file in onnxruntime, or in torch."""
    pixels = images.permute(0, 3, 1, 2).float() / 255
    if path.suffix == ".pt2":
        return torch.export.load(path).module()(pixels)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"pixels": pixels.numpy()})[0])


def agree(path, classifier, side):
    """Raises AssertionError unless a file gives the logits of a classifier, of 8, 5 and 1 image."""
    images = noise(side)
    with torch.no_grad():
        expected = classifier(images)
    allowed = 1e-4 * float(expected.max() - expected.min())
    assert allowed > 0
    for count in (8, 5, 1):
        found = computed(path, images[:count])
        assert found.shape == (count, expected.shape[1])
        assert float((found - expected[:count]).abs().max()) <= allowed


def test_onnx_of_an_ensemble_is_one_file_that_says_what_it_takes(tmp_path):
    classifier = small_classifier(ensemble_size=2, prompt_space="pixel")
    path = export_onnx(classifier, settings_of(), NAMES, tmp_path / "new" / "mine.onnx")
    assert path == tmp_path / "new" / "mine.onnx"
    assert list(path.parent.iterdir()) == [path]
    agree(path, classifier, SIDE)
    model = onnx.load(path)
    assert [(each.domain, each.version) for each in model.opset_import if not each.domain] == [
        ("", exporting.OPSET)
    ]
    (pixels,), (logits,) = model.graph.input, model.graph.output
    assert [each.dim_param or each.dim_value for each in pixels.type.tensor_type.shape.dim] == [
        "batch", 3, SIDE, SIDE,
    ]  # fmt: skip
    assert (pixels.name, logits.name) == ("pixels", "logits")
    facts = {each.key: json.loads(each.value) for each in model.metadata_props}
    assert facts["class_names"] == list(NAMES)
    assert (facts["resize"], facts["crop"], facts["interpolation"]) == (10, SIDE, "bilinear")


def test_a_program_of_torch_says_the_same(tmp_path):
    classifier = small_classifier()
    path = export_program(classifier, settings_of(), NAMES, tmp_path / "mine")
    assert path == tmp_path / "mine.pt2"
    agree(path, classifier, SIDE)
    extra = {"facts.json": ""}
    torch.export.load(path, extra_files=extra)
    assert json.loads(extra["facts.json"])["backbone"] == "sums"


def test_of_a_recipe_that_shrinks_images_the_file_takes_the_small_ones(tmp_path):
    changes = {"image_side": 6, "prompt_space": "pixel"}
    classifier = small_classifier(**changes)
    path = export_program(classifier, settings_of(**changes), NAMES, tmp_path / "mine")
    agree(path, classifier, 6)


def test_a_random_patch_is_exported_where_its_place_is_fixed_at_test_time(tmp_path):
    changes = {"template": "random_patch", "size": 3}
    classifier = small_classifier(**changes)
    agree(
        export_program(classifier, settings_of(**changes), NAMES, tmp_path / "mine"),
        classifier,
        SIDE,
    )
    classifier = small_classifier(**changes, test_position="random")
    for export in (export_onnx, export_program):
        with pytest.raises(UserError, match="RandomPatch draws its place again at test time"):
            export(classifier, settings_of(**changes), NAMES, tmp_path / "random")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.pt2"]


class Rain(nn.Module):
    """A prompt of one's own that is another each time."""

    def forward(self, x):
        return x + torch.rand(())


class Trembling(nn.Module):
    """A prompt of one's own that looks at what it is given."""

    def forward(self, x):
        return x if float(x.sum()) > 0 else x + 1


@pytest.mark.parametrize(
    ("module", "reason"),
    [(Rain(), r"\(Rain\) says another thing"), (Trembling(), r"\(Trembling\) cannot be exported")],
)
def test_prompts_of_ones_own_that_no_file_can_hold_are_refused_by_name(tmp_path, module, reason):
    classifier = small_classifier(Own(OwnPrompt(module, SIDE), None))
    with pytest.raises(UserError, match=reason):
        export_program(classifier, settings_of(), NAMES, tmp_path / "mine")


def test_a_file_with_other_logits_is_not_written(tmp_path, monkeypatch):
    classifier = small_classifier()
    answers = exporting.answers
    monkeypatch.setattr(exporting, "answers", lambda *given: answers(*given) * 1.001)
    for export in (export_onnx, export_program):
        with pytest.raises(UserError, match="not written, its logits differ by"):
            export(classifier, settings_of(), NAMES, tmp_path / "mine")
    assert not list(tmp_path.iterdir())


def test_the_classifier_stays_as_it_is(tmp_path):
    classifier = small_classifier()
    weight = classifier.backbone.model.layer.weight
    before = weight.data_ptr()
    export_program(classifier, settings_of(), NAMES, tmp_path / "mine")
    assert classifier.backbone.model.layer.weight is weight and weight.data_ptr() == before
    assert all(each.requires_grad for each in classifier.prompt.parameters())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "changes"),
    [("clip", {}), ("resnet", {"label_map": "hard_coded", "ensemble_size": 2})],
)
def test_onnx_of_the_micro_backbones_gives_their_logits(backbone, changes, request, tmp_path):
    backbone, settings = request.getfixturevalue(backbone), PADDING | changes
    task = Task("places", "places", ("forest", "river", "lake"), "This is a photo of a {}", {})
    generator = torch.Generator().manual_seed(1)
    classifier = untrained(backbone, task, settings, 0, generator).eval()
    path = export_onnx(classifier, settings, task.class_names, tmp_path / "mine")
    assert list(tmp_path.iterdir()) == [path]
    agree(path, classifier, backbone.image_size)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["linear_probe", "fine_tune", "coop", "vpt"])
def test_other_methods_go_the_same_way(method, clip, tmp_path):
    task = Task("places", "places", ("forest", "river", "lake"), "This is a photo of a {}", {})
    settings = recipe_for(method, clip.name, clip.modality, clip.image_size).settings
    learner = import_module(f"vpbench.methods.{method}").learner(clip, task, settings, 0).eval()
    path = export_program(learner, settings, task.class_names, tmp_path / "mine")
    agree(path, learner, clip.image_size)
