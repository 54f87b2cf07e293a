"""A dataset, a backbone and a method of one's own: one module and one description each."""

import importlib
import re

import numpy as np
import pytest
import torch

import vpbench as vp
from tests.helpers.checkout import ROOT
from tests.helpers.tiny import PROBE, SIZES, spec
from vpbench.experiment import run
from vpbench.records import reading
from vpbench.spec import methods
from vpbench.spec.backbones import BACKBONES, Backbone
from vpbench.spec.grid import expand
from vpbench.spec.methods import METHODS
from vpbench.spec.recipes import read_configs
from vpbench.spec.tasks import TASKS, Task

DATASET = '''
"""Blue dots: one class is a large dot, the other a small one."""

import numpy as np

CLASS_NAMES = ("large circle", "small circle")


def paint(rng, label, domain=0):
    """Returns a uint8 picture of a dot."""
    rows, columns = np.mgrid[:56, :56] - rng.integers(20, 36, 2)[:, None, None]
    picture = rng.integers(180, 256, (56, 56, 3), dtype=np.uint8)
    picture[np.hypot(rows, columns) < (16, 5)[label]] = (0, 0, 160)
    return picture
'''
BACKBONE = '''
"""A backbone of 28 pixels whose features are the mean colours of 4 x 4 fields."""

import torch
from torch import nn

from vpbench.models.backbone import VisionBackbone
from vpbench.spec.preprocessing import Preprocessing


class Fields(nn.Module):
    """Mean colours and a linear head, with the interface of a timm model."""

    num_classes = 12

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(48, 12)

    def forward_features(self, x):
        """Returns the mean colours."""
        return nn.functional.adaptive_avg_pool2d(x, 4)

    def forward_head(self, x, pre_logits=False):
        """Returns the colours in a row, or logits."""
        return x.flatten(1) if pre_logits else self.head(x.flatten(1))

    def forward(self, x):
        """Returns logits."""
        return self.forward_head(self.forward_features(x))


def load(name):
    """Returns the backbone."""
    torch.manual_seed(0)
    return VisionBackbone(
        name, Fields(), preprocessing=Preprocessing(56, 56), mean=(0.5,) * 3, std=(0.5,) * 3,
        weights_hash="0" * 64,
    )
'''
PAGE = (ROOT / "docs/extending.md").read_text()


def printed(language):
    """Returns the one code block of a language on the page about extending."""
    (block,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return block


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Returns a function that writes a module and makes it importable."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name, text):
        (tmp_path / f"{name}.py").write_text(text)
        return name

    return write


def record_of(one, folder):
    """Returns the record of a run."""
    (path,) = run.run_all([one], folder / "runs")
    return reading.read(path)


def test_a_dataset_is_one_module_and_one_line(module, tmp_path, monkeypatch):
    name = module("dots_twin", DATASET)
    entry = Task(name, "Dots twin", "svhn", "a {}", paper_validation=False)
    monkeypatch.setitem(TASKS, name, entry)
    record = record_of(spec("linear_probe", task=name), tmp_path)
    assert record["task"]["display"] == "Dots twin" and record["task"]["chance"] == 50
    assert record["task"]["sizes"] == SIZES
    assert record_of(spec("text_prompt", task=name), tmp_path)["spec"]["task"] == name


def test_a_backbone_is_one_module_and_one_line(module, tmp_path, monkeypatch):
    name = module("colour_fields", BACKBONE)
    entry = Backbone(name, "rn50", "vision", "mean colours", "nothing", "none")
    monkeypatch.setitem(BACKBONES, name, entry)
    record = record_of(spec("linear_probe", backbone=name), tmp_path)
    assert record["backbone"] == {
        "role": "rn50", "modality": "vision", "architecture": "mean colours",
        "parameters": 48 * 12 + 12,
    }  # fmt: skip
    assert record["trained_parameters"] == 49 * 10
    assert record["hashes"]["world"] is None
    record = record_of(spec(backbone=name, label_map="hard_coded"), tmp_path)
    assert record["trained_parameters"] == 4116


@pytest.fixture
def class_means(module, monkeypatch):
    """Returns the name of the method that the page describes, as one of the suite."""
    described = dict(vars(methods))
    exec(printed("py"), described)
    name = module("class_means", printed("python"))
    monkeypatch.setitem(METHODS, name, described["CLASS_MEANS"]._replace(module=name))
    return name


def test_the_page_prints_the_files_of_the_plugin():
    plugin = ROOT / "examples/plugin"
    package = plugin / "vpbench_vignette"
    assert printed("python") == (package / "class_means.py").read_text()
    assert printed("py") in (package / "descriptions.py").read_text()
    assert printed("toml") in (plugin / "pyproject.toml").read_text()


def test_a_method_is_one_module_and_one_line_with_its_settings(class_means, tmp_path):
    one = spec("text_prompt") | {"method": class_means, "settings": {"sharpness": 2.0}}
    record = record_of(one, tmp_path)
    assert record["trained_parameters"] == 640 and record["rule"] == "last"
    arrays = np.load(next(tmp_path.rglob("seed0.predictions.npz")))
    right = 100 * (arrays["prediction"] == arrays["label"]).mean()
    assert record["selection"]["last"]["test"]["accuracy"] == pytest.approx(right)
    with pytest.raises(ValueError, match="unknown key 'C'.* sharpness"):
        record_of(one | {"settings": PROBE}, tmp_path)


def test_a_model_of_the_method_of_the_page_is_exported(class_means, tmp_path):
    means = importlib.import_module(class_means)
    backbone = vp.load_backbone("rn50_micro")
    task = vp.load_task("eurosat_twin", {"train": 40, "validation": 20, "test": 20})
    model = vp.fit(means, backbone, task, sharpness=2)
    path, _ = model.export(tmp_path / "means.pt2")
    pixels = torch.rand(3, 3, 56, 56, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features = backbone.features(backbone.prepare((255 * pixels).permute(0, 2, 3, 1)))
        expected = -2 * torch.cdist(features, model.classifier.means)
        found = torch.export.load(path).module()(pixels)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_the_configuration_of_the_page_asks_for_the_method(class_means, tmp_path):
    file = tmp_path / "means.yaml"
    file.write_text(printed("yaml"))
    grid = expand(*read_configs([file]))
    asked = [run["settings"] for run in grid.specs.values() if run["method"] == class_means]
    assert asked == [{"sharpness": 2}] * 4
    assert len(grid.specs) == 6  # the text prompt is for the CLIP alone
