import pytest
import torch

from tests.helpers.messages import complains
from tests.helpers.tiny import ENGINE, spec
from vpbench.compute import precision as module
from vpbench.compute.precision import fastest_precision, speed, usable
from vpbench.experiment import run

CPU = torch.device("cpu")


@pytest.fixture
def speeds(monkeypatch):
    """Returns the speeds that are measured instead of real ones, and counts the measurements."""
    found, asked = {"fp32": 10.0, "bf16": 20.0}, []
    monkeypatch.setattr(module, "usable", lambda device: list(found))
    monkeypatch.setattr(module, "speed", lambda _, name: asked.append(name) or found[name])
    return found, asked


def test_the_faster_precision_is_taken_and_measured_only_once(speeds, clip, tmp_path):
    found, asked = speeds
    assert fastest_precision(clip, tmp_path) == ("bf16", found)
    found["fp32"] = 30.0
    assert fastest_precision(clip, tmp_path)[0] == "bf16"
    assert asked == ["fp32", "bf16"]


def test_every_backbone_has_a_choice_of_its_own(speeds, clip, resnet, tmp_path):
    fastest_precision(clip, tmp_path)
    speeds[0]["fp32"] = 30.0
    assert fastest_precision(resnet, tmp_path)[0] == "fp32"


@pytest.mark.parametrize("text", ["{}", "[]", '{"fp64": 1.0}', '{"fp32": "fast"}', "{"])
def test_a_file_of_speeds_that_has_none_is_one_line(text, speeds, clip, tmp_path):
    fastest_precision(clip, tmp_path)
    (path,) = tmp_path.iterdir()
    path.write_text(text)
    with complains(ValueError, path):
        fastest_precision(clip, tmp_path)


def test_a_precision_that_is_only_imitated_is_not_tried(monkeypatch):
    seconds = {"fp32": 1.0, "bf16": 5.0}
    monkeypatch.setattr(module, "product_seconds", lambda engine, _: seconds[engine.precision])
    assert usable(CPU) == ["fp32"]
    seconds["bf16"] = 4.9  # steps will tell
    assert usable(CPU) == ["fp32", "bf16"]


def test_a_speed_is_measured_and_leaves_the_backbone_as_it_was(resnet, monkeypatch):
    monkeypatch.setattr(module, "SECONDS", 0.0)
    frozen = resnet.frozen
    assert speed(resnet, "fp32") > 0
    assert resnet.frozen is frozen and all(p.grad is None for p in resnet.parameters())


def test_a_run_whose_precision_is_the_machines_says_which_and_why(
    speeds, clip, task, tmp_path, monkeypatch
):
    monkeypatch.setenv("VPBENCH_DATA", str(tmp_path))
    wanted = spec("text_prompt") | {"engine": ENGINE | {"precision": "auto"}}
    record, _, fit = run.run(wanted, task, clip)
    assert record["spec"]["engine"]["precision"] == "auto"
    assert record["measured"]["precision"] == "bf16"
    assert record["measured"]["speeds"] == {"fp32": 10.0, "bf16": 20.0}
    plain = run.run(spec("text_prompt"), task, clip)
    assert plain[0]["measured"]["speeds"] is None
    logits, others = (each.selection["last"].evaluations["test"].logits for each in (fit, plain[2]))
    assert not torch.equal(logits, others)
