"""What a record says of parts that a package brings, and what verify makes of it."""

import sys
from types import ModuleType, SimpleNamespace

import pytest
import torch

from tests.helpers.tiny import spec
from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.experiment import run
from vpbench.experiment.outside_parts import outside_parts
from vpbench.models.state_hash import tensors_hash
from vpbench.prompts import label_maps, pixel
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import METHODS
from vpbench.spec.prompt_forms import PROMPT_FORMS, PromptForm
from vpbench.verify.outside import check_outside

THEIRS = [SimpleNamespace(dist=SimpleNamespace(name="theirs", version="2.0"))]
PATCH = {"template": "fixed_patch", "size": 5, "label_map": "learned_classifier", "map_lr": 0.1}


@pytest.fixture
def theirs(monkeypatch):
    """Takes a form, a label map and a method as those of a package."""
    for catalogue, name in (
        (PROMPT_FORMS, "fixed_patch"),
        (LABEL_MAPS, "learned_classifier"),
        (METHODS, "linear_probe"),
    ):
        monkeypatch.setitem(catalogue.points, name, THEIRS)


def test_a_part_has_its_name_package_file_and_the_state_it_starts_from(theirs, clip, task):
    template, label_map = outside_parts(spec(**PATCH), task, clip)
    start = torch.randn(1, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert template == {
        "part": "template", "distribution": "theirs", "version": "2.0",
        "name": "vpbench.prompts.pixel.FixedPatch", "file_sha256": sha256(pixel.__file__),
        "state_sha256": tensors_hash({"patch": start}),
    }  # fmt: skip
    assert label_map["name"] == "vpbench.prompts.label_maps.learned_classifier"
    assert label_map["file_sha256"] == sha256(label_maps.__file__)
    assert len(label_map["state_sha256"]) == 64
    other = outside_parts(spec(**PATCH, seed=1) | {"seed": 1}, task, clip)
    assert other[0]["state_sha256"] != template["state_sha256"]
    assert other[1] == label_map  # it starts from the texts, whatever the seed is


def test_a_method_starts_from_its_seed_and_leaves_chance_as_it_was(theirs, clip, task):
    torch.manual_seed(7)
    (first,) = outside_parts(spec("linear_probe"), task, clip)
    assert torch.rand(1) == torch.rand(1, generator=torch.Generator().manual_seed(7))
    assert first == outside_parts(spec("linear_probe"), task, clip)[0]
    assert (first["part"], first["name"]) == ("method", "vpbench.methods.linear_probe")


def test_a_backbone_starts_from_its_weights_and_what_is_ours_is_not_named(monkeypatch, clip, task):
    assert outside_parts(spec(), task, clip) == []
    monkeypatch.setitem(BACKBONES.points, "clip_micro", THEIRS)
    (backbone,) = outside_parts(spec(), task, clip)
    assert backbone["state_sha256"] == tensors_hash(clip.model.state_dict())


def test_a_part_without_source_is_refused_before_anything_is_trained(monkeypatch, clip, task):
    typed = ModuleType("typed")
    exec("class Rings: pass", vars(typed))
    monkeypatch.setitem(sys.modules, "typed", typed)
    monkeypatch.setitem(PROMPT_FORMS, "fixed_patch", PromptForm("typed:Rings"))
    monkeypatch.setitem(PROMPT_FORMS.points, "fixed_patch", THEIRS)
    words = "template fixed_patch of theirs 2.0: typed.Rings has no source file, and a record"
    with pytest.raises(UserError, match=words):
        run.run(spec(template="fixed_patch", size=5), task, clip)


def test_verify_compares_the_parts_of_a_record_with_what_is_installed(theirs, tmp_path):
    (path,) = run.run_all([spec("linear_probe")], tmp_path)
    record = reading.read(path) | {"file": "seed0.json"}
    check_outside(record)
    (part,) = record["outside"]
    for outside, words in (
        ([], "outside lacks method linear_probe of theirs 2.0"),
        ([part, part | {"part": "template"}], "outside: 'template' is the suite's own here"),
        ([part | {"file_sha256": "0" * 64}], "file_sha256 of method linear_probe is '0000.*theirs"),
        ([part | {"name": "other"}], "name of method linear_probe is 'other', here 'vpbench.meth"),
    ):
        with pytest.raises(UserError, match=f"^seed0.json: .*{words}"):
            check_outside(record | {"outside": outside})
