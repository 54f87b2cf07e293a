"""A prompt as plain tensors, used as docs/using-a-prompt.md says."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors import safe_open

from tests.helpers.small_classifier import MEAN, NAMES, SIDE, STD, settings_of, small_classifier
from tests.helpers.tiny import PADDING
from vpbench.common.errors import UserError
from vpbench.data.task import Task
from vpbench.methods.plain_prompt import export_plain
from vpbench.methods.prompted_classifier import untrained
from vpbench.spec.preprocessing import read_image

PAGE = (Path(__file__).parents[2] / "docs/using-a-prompt.md").read_text()
# Metadata -> the change that the page's table tells, as (what stands there, what comes instead)
CHANGES = {
    ("prompt_space", "pixel"): (
        '(T.to_tensor(image) - mean) / std + tensors["prompt"]',
        '(T.to_tensor(image) + tensors["prompt"] - mean) / std',
    ),
    ("operation", "multiply"): ('+ tensors["prompt"]', '* (1 + tensors["prompt"])'),
    ("unit_features", False): (
        "torch.nn.functional.normalize(model(x), dim=-1)",
        "model(x)",
    ),
}
CHOSEN = '(outputs @ tensors["weights"]).mean(0)', 'outputs[:, tensors["numbers"]].mean(0)'


def read(path):
    """Returns (metadata, tensors) of a plain file."""
    with safe_open(path, "pt") as file:
        facts = {key: json.loads(text) for key, text in file.metadata().items()}
        return facts, {key: file.get_tensor(key) for key in file.keys()}


def photograph(folder):
    """Returns the path of a picture that must be resized and cropped."""
    noise = np.random.default_rng(3).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(noise).resize((120, 90)).save(folder / "photo.png")
    return folder / "photo.png"


def by_the_page(path, photo, model):
    """Returns the logits [K] that the page's lines give, changed as its table says."""
    (code,) = re.findall(r"^```py\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    assert "vpbench" not in code
    facts, tensors = read(path)
    for (key, value), (old, new) in CHANGES.items():
        assert old in code and f"{key}: {json.dumps(value).strip(chr(34))}" in PAGE
        code = code.replace(old, new) if facts.get(key) == value else code
    assert CHOSEN[0] in code and CHOSEN[1] in PAGE
    code = code.replace(*CHOSEN) if "numbers" in tensors else code
    names = {"photo": photo, "model": model}
    with torch.no_grad():
        exec(code.replace('"my_prompt.plain.safetensors"', repr(str(path))), names)
    assert facts["class_names"][int(names["logits"].argmax())] in NAMES
    return names["logits"]


def by_the_classifier(classifier, photo):
    """Returns the logits [K] that the classifier gives to the same picture."""
    image = torch.from_numpy(read_image(photo, classifier.backbone.preprocessing).copy())
    with torch.no_grad():
        return classifier(image[None])[0]


@pytest.mark.parametrize(
    "changes",
    [{}, {"ensemble_size": 3}, {"prompt_space": "pixel"}, {"operation": "multiply"}],
    ids=str,
)
def test_the_lines_of_the_page_give_the_logits_without_vpbench(changes, tmp_path, capsys):
    classifier = small_classifier(**changes)
    path = export_plain(classifier, settings_of(**changes), NAMES, tmp_path / "mine")
    assert path == tmp_path / "mine.plain.safetensors"
    photo = photograph(tmp_path)
    found = by_the_page(path, photo, classifier.backbone.model)
    expected = by_the_classifier(classifier, photo)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert capsys.readouterr().out.strip() == NAMES[int(expected.argmax())]


def test_they_do_so_for_a_clip_and_its_texts(clip, tmp_path):
    task = Task("places", "places", ("forest", "river", "lake"), "This is a photo of a {}", {})
    classifier = untrained(clip, task, PADDING, 0, torch.Generator().manual_seed(1)).eval()
    path = export_plain(classifier, PADDING, NAMES, tmp_path / "mine")
    photo = photograph(tmp_path)
    found = by_the_page(path, photo, clip.model.visual)
    torch.testing.assert_close(found, by_the_classifier(classifier, photo), atol=1e-4, rtol=1e-4)


def test_the_metadata_say_what_happens_to_an_image(tmp_path):
    path = export_plain(small_classifier(), settings_of(), NAMES, tmp_path / "mine")
    facts, tensors = read(path)
    assert (facts["resize"], facts["crop"], facts["interpolation"]) == (10, SIDE, "bilinear")
    assert facts["mean"] == pytest.approx(MEAN) and facts["std"] == pytest.approx(STD)
    assert (facts["prompt_space"], facts["operation"]) == ("normalized", "add")
    assert tensors["numbers"].tolist() == [0, 1, 2]
    assert tensors["prompt"].shape == (1, 3, SIDE, SIDE)
    assert not tensors["prompt"][..., 2:-2, 2:-2].any() and tensors["prompt"][..., :2, :].all()


@pytest.mark.parametrize("name", ["bayesian", "linear"])
def test_a_linear_label_map_is_a_layer(name, tmp_path):
    changes = {"label_map": name, "map_lr": 0.1 if name == "linear" else None}
    classifier = small_classifier(**changes)
    _, tensors = read(export_plain(classifier, settings_of(**changes), NAMES, tmp_path / "mine"))
    outputs = torch.arange(10.0).reshape(2, 5)
    classifier.label_map.source = lambda x: outputs
    expected = classifier.label_map(torch.zeros(2))
    found = outputs @ tensors["weights"] + tensors.get("bias", torch.zeros(3))
    torch.testing.assert_close(found, expected)


def test_the_middle_of_a_shrunk_image_is_where_the_metadata_say(tmp_path):
    changes = {"image_side": 6, "prompt_space": "pixel"}
    path = export_plain(small_classifier(**changes), settings_of(**changes), NAMES, tmp_path / "a")
    facts, _ = read(path)
    assert (facts["resize"], facts["crop"], facts["image_size"]) == (6, 6, SIDE)
    assert facts["interpolation"] == "bicubic"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"template": "conditional", "size": 2}, "Conditional.*not one picture for all images"),
        ({"template": "random_patch", "test_position": "random"}, "RandomPatch draws its place"),
    ],
)
def test_a_prompt_that_is_not_one_picture_is_refused_by_name(changes, reason, tmp_path):
    classifier = small_classifier(**changes)
    with pytest.raises(UserError, match=reason):
        export_plain(classifier, settings_of(**changes), NAMES, tmp_path / "mine")
    assert not list(tmp_path.iterdir())
