import json
import subprocess
import sys

import pytest
import torch

from tests.helpers.processes import free_port, run_as_member, start
from tests.helpers.tiny import ENGINE, spec
from vpbench.compute import distributed
from vpbench.data import load
from vpbench.experiment import run
from vpbench.models.backbone import load_backbone
from vpbench.records import reading

COUNT = 2
UNEVEN = {"batch_size": 23, "epochs": 2, "eval_epochs": 1, "lr": 5.0}  # of 24: 12 + 11, then 1 + 0
LARGE = {"train": 24, "validation": 12, "test": 150, "resolution": "backbone"}  # 3 batches: 2 + 1
SPECS = {
    "padding": spec(**UNEVEN),
    "random_patch": spec(template="random_patch", size=9, test_position="random", **UNEVEN),
    "passes": spec(**UNEVEN) | {"engine": ENGINE | {"micro_batch": 5}},
    "fine_tune": spec("fine_tune", **UNEVEN | {"lr": 1e-4}),
    "batch_norm": spec("fine_tune", "rn50_micro", head="new", epochs=1),
    "text_prompt": spec("text_prompt"),
    "linear_probe": spec("linear_probe"),
}
for one in SPECS.values():
    one["data"] = LARGE


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Returns a function: name of a spec -> what each of two processes that shared it had."""
    folder, port = tmp_path_factory.mktemp("shared"), free_port()
    members = [
        start(run_as_member, rank, COUNT, port, list(SPECS.values()), folder, log=folder / "log")
        for rank in range(COUNT)
    ]
    for member in members:
        member.join(120)
    assert [member.exitcode for member in members] == [0, 0], (folder / "log").read_text()
    numbers = {name: number for number, name in enumerate(SPECS)}

    def read(name):
        paths = [folder / f"{numbers[name]}.{rank}.pt" for rank in range(COUNT)]
        return [torch.load(path, weights_only=True) for path in paths]

    return read


def alone(one):
    """Returns (record, fit) of a spec run by this process."""
    backbone = load_backbone(one["backbone"])
    task = load.load_task(one["task"], one["data"], backbone.preprocessing)
    record, _, fit = run.run(one, task, backbone)
    return record, fit


@pytest.mark.parametrize("name", SPECS)
def test_all_processes_have_the_same_bits(name, shared):
    first, second = shared(name)
    assert torch.equal(first["logits"], second["logits"])
    assert first["history"] == second["history"]
    assert first["states"] and first["states"].keys() == second["states"].keys()
    for selection, state in first["states"].items():
        for key, value in (state or {}).items():
            assert torch.equal(value, second["states"][selection][key]), (selection, key)
    assert first["measured"]["processes"] == COUNT


@pytest.mark.parametrize("name", [name for name in SPECS if name != "batch_norm"])
def test_two_processes_find_what_one_finds_but_for_rounding(name, shared):
    found, (record, fit) = shared(name)[0], alone(SPECS[name])
    expected = fit.selection["last"].evaluations["test"].logits
    assert found["logits"].shape == expected.shape == (150, 10)
    torch.testing.assert_close(found["logits"], expected, atol=0.02, rtol=1e-3)
    assert len(found["history"]) == len(record["history"])
    for line, other in zip(found["history"], record["history"], strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4)
        assert line["train_accuracy"] == pytest.approx(other["train_accuracy"], abs=0.01)
    if name in ("padding", "random_patch", "passes"):
        for key, value in fit.selection["last"].state.items():
            torch.testing.assert_close(found["states"]["last"][key], value, atol=1e-4, rtol=1e-3)


def test_one_process_is_alone_and_needs_no_group():
    assert (distributed.processes(), distributed.rank()) == (1, 0)
    index = torch.arange(5)
    assert torch.equal(distributed.share(index), index)
    assert distributed.sum_numbers(1.5, 2) == (1.5, 2)
    assert distributed.merge({1: "a"}) == {1: "a"}


def test_the_command_line_starts_the_processes_and_one_of_them_writes(tmp_path):
    one, path = SPECS["random_patch"], tmp_path / "seed0.json"
    command = [sys.executable, "-m", "vpbench", "run", json.dumps(one), "--out", str(path)]
    command += ["--processes", "2", "--device", "cpu", "--threads", "2"]
    command += ["--checkpoints", str(tmp_path / "checkpoints")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("clip_micro prompt seed 0:   0%") == 1  # one progress bar
    record, (expected, _) = reading.read(path), alone(one)
    assert record["spec"] == one and record["measured"]["processes"] == 2
    for line, other in zip(record["history"], expected["history"], strict=True):
        assert line["loss"] == pytest.approx(other["loss"], rel=1e-4)
