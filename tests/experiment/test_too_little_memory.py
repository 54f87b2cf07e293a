"""Losses that are no numbers, and memory that is too small, give one line."""

import re
import sys

import numpy as np
import pytest
import torch

from tests.helpers.command_runs import (
    BOTH,
    files,
    one_line,
    run,
)
from tests.helpers.processes import command_in_little_memory, start
from tests.helpers.tiny import spec
from vpbench.cli.main import main
from vpbench.common import messages
from vpbench.data import load as load_module
from vpbench.training import trainer


def test_a_loss_that_is_not_a_number_leaves_nothing_in_the_way_of_a_smaller_rate(
    tmp_path, monkeypatch, complains, undisturbed
):
    monkeypatch.chdir(tmp_path)
    line = complains(run(spec(lr=1e30, warm_up=0.0)))
    assert re.search(r"loss is (nan|inf) after \d of 6 steps; choose a smaller lr", line)
    assert not any(path.startswith("seed0") for path in files("."))
    assert main(run(spec(lr=1.0, warm_up=0.0))) == 0
    found = {path: found for path, found in files(".").items() if not path.endswith(".aside")}
    assert found == undisturbed(run(spec(lr=1.0, warm_up=0.0)))


def exhausted(*_, **__):
    """Raises what torch raises when the memory of a GPU is too small."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.\nMore about it")


def impossible(*_, **__):
    """Returns a tensor that no machine has memory for."""
    return torch.empty(1 << 50)


@pytest.mark.parametrize("lack", [exhausted, impossible])
def test_memory_that_is_too_small_for_one_image_is_one_line(
    lack, tmp_path, monkeypatch, complains, undisturbed
):
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as context:
        context.setattr(trainer.F, "cross_entropy", lack)
        line = complains(run(BOTH[1]))
    assert line.startswith("the memory of the device is too small for one image at a time (")
    assert files(".") == {}
    assert main(run(BOTH[1])) == 0
    assert files(".") == undisturbed(run(BOTH[1]))


@pytest.mark.parametrize("lack", [exhausted, impossible, lambda *_: np.empty(1 << 50)])
def test_memory_that_is_too_small_anywhere_else_is_one_line(lack, monkeypatch, tmp_path, complains):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(load_module, "load_task", lack)
    line = complains(run(BOTH[1]))
    assert line.startswith("the memory is too small (") and "choose fewer images" in line
    assert files(".") == {}


def test_other_mistakes_of_torch_are_not_taken_for_too_little_memory():
    assert not messages.out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is Linux's")
def test_a_process_that_really_gets_no_more_memory_ends_with_one_line(tmp_path):
    arguments = run(spec(batch_size=24), tmp_path)
    process = start(command_in_little_memory, 8, arguments, log=tmp_path / "log")
    process.join()
    assert process.exitcode == 2
    assert "memory" in one_line((tmp_path / "log").read_text())
    assert not (tmp_path / "seed0.json").exists()
    process = start(command_in_little_memory, 4096, arguments, log=tmp_path / "log")
    process.join()
    assert process.exitcode == 0
