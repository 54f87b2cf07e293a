"""What a GPU must do; torch, timm, open_clip_torch and pytest are enough: `pytest tests/gpu`."""

import os

import pytest
import torch

from benchmarks import gpu_parts, gpu_speed
from vpbench.cli.device import announce_device
from vpbench.compute.device import check_device, sees_gpu, without_gpu
from vpbench.compute.engine import check_precision
from vpbench.data.batches import batches, place
from vpbench.data.task import Split, Task

CUDA = torch.device("cuda:0")
HERE = sees_gpu()
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.filterwarnings("default"),  # other versions of torch and timm have other ones
    pytest.mark.skipif(not HERE, reason="" if HERE else f"no GPU: {without_gpu()}"),
]
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # before the first product


def met(found):
    """Asserts that what a part found is right, and returns its rows."""
    missed = [goal for goal in found["goals"] if not goal["met"]]
    assert not missed
    return found["rows"]


def test_auto_is_the_gpu_and_the_log_says_its_name(capsys):
    assert check_device("auto") == CUDA
    assert announce_device("auto", [{"kind": "paper"}]) == CUDA
    line = capsys.readouterr().err
    assert line.startswith(f"device: cuda:0 ({torch.cuda.get_device_name(CUDA)}), GPU ")


def test_float32_updates_a_prompt_as_the_cpu_does():
    rows = met(gpu_parts.as_on_cpu(CUDA, tiny=True))
    assert all(row["update"] > 1e-3 for row in rows)


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_a_lower_precision_comes_close(precision):
    if precision == "bf16" and not torch.cuda.is_bf16_supported(including_emulation=False):
        pytest.skip("this GPU has no bf16")
    check_precision(precision, CUDA)
    for row in met(gpu_parts.in_precision(CUDA, True, precision)):
        assert row["difference"] > 0
        assert precision == "bf16" or row["scale of the loss"] >= 1


def test_too_little_memory_halves_the_images_of_a_pass_and_changes_no_number():
    (row,) = met(gpu_parts.little_memory(CUDA, tiny=False))  # a tiny one needs next to none
    assert 1 <= row["images of a pass"] < row["batch"]


def test_a_training_that_draws_on_the_gpu_goes_on_from_its_checkpoint_to_the_bit():
    (row,) = met(gpu_parts.resumed(CUDA, tiny=True))
    assert row == {"undisturbed twice": True, "stopped and resumed": True}


def test_images_that_stay_outside_come_to_the_gpu_as_they_are():
    images = torch.arange(4 * 12, dtype=torch.uint8).view(4, 2, 2, 3)
    came = list(batches(images, [torch.tensor([2, 0]), slice(1, 4)], CUDA))
    assert [each.device for each in came] == [CUDA, CUDA]
    assert torch.equal(came[0].cpu(), images[[2, 0]]) and torch.equal(came[1].cpu(), images[1:4])
    split = Split(images, torch.zeros(4, dtype=torch.int64), tuple("abcd"))
    task = Task("few", "Few", ("a", "b"), "a {}", {"train": split})
    assert place(task, CUDA).splits["train"].images.device == CUDA


def test_two_processes_find_what_one_finds():
    (row,) = met(gpu_speed.shared(CUDA, tiny=True))
    assert row["through"] == ("nccl" if torch.cuda.device_count() > 1 else "gloo")


def test_a_compiled_model_gives_the_same_numbers(monkeypatch):
    monkeypatch.setattr(gpu_parts, "CASES", {"clip_vit_b32": 4})  # a compiler takes its time
    met(gpu_parts.compiled(CUDA, tiny=True))
