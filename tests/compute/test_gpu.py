import os
import signal
import subprocess
import sys

import pytest
import torch

from tests.helpers.messages import complains, holds
from vpbench.cli.device import check_device, limit_threads
from vpbench.cli.main import main
from vpbench.compute import gpu

HOLD = "from vpbench.compute import gpu; print(*gpu.claim({count}, 0.05), flush=True); input()"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """Returns a function that gives the machine these GPUs; locks are in a folder of the test."""
    monkeypatch.setattr(gpu.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(gpu, "_locks", locks := [])
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    yield lambda ids: monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ids)
    for lock in locks:
        lock.close()


@pytest.fixture
def process():
    """Returns a function that starts a process which claims GPUs and holds them."""
    started = []

    def start(count=1):
        command = [sys.executable, "-c", HOLD.format(count=count)]
        pipe = subprocess.PIPE
        started.append(subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, text=True))
        return started[-1]

    yield start
    for each in started:
        each.kill()
        each.communicate()


def test_processes_get_gpus_of_their_own_and_a_killed_one_gives_its_back(machine, process):
    machine("4,7")
    first, second = process(), process()
    ids = [each.stdout.readline().strip() for each in (first, second)]
    assert sorted(ids) == ["4", "7"]
    third = process()
    holds(third.stderr.readline(), "vpbench: ", "waiting", "1 of 2 GPUs")
    second.send_signal(signal.SIGKILL)
    assert third.stdout.readline().strip() == ids[1]


def test_a_claimed_gpu_is_the_only_one_that_cuda_sees(machine):
    machine("GPU-1a,MIG-GPU-2/1/0")
    assert gpu.claim() == ["GPU-1a"] and os.environ["CUDA_VISIBLE_DEVICES"] == "GPU-1a"
    machine("GPU-1a,MIG-GPU-2/1/0")
    assert gpu.claim() == ["MIG-GPU-2/1/0"]


def test_several_gpus_are_claimed_together_or_not_at_all(machine, process):
    machine("0,1,2")
    assert gpu.claim(2) == ["0", "1"]
    machine("0,1,2")
    pair = process(2)  # only one is free
    holds(pair.stderr.readline(), "vpbench: ", "waiting", "2 of 3 GPUs")
    assert process(1).stdout.readline() == "2\n"  # the waiting one does not keep it


@pytest.mark.parametrize(("ids", "count"), [("", 1), ("3", 1), ("0,1", 2), ("", 2)])
def test_without_a_choice_nothing_is_claimed(ids, count, machine, tmp_path):
    machine(ids)
    assert ",".join(gpu.claim(count)) == ids == os.environ["CUDA_VISIBLE_DEVICES"]
    assert list(tmp_path.iterdir()) == []


def test_more_gpus_than_there_are_is_one_line(machine):
    machine("0,1")
    with complains(ValueError, "3 GPUs", "wanted", 2, "seen", "0, 1"):
        gpu.claim(3)


def test_the_gpus_of_the_machine_are_those_that_nvidia_smi_lists(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu.visible() == []
    tool = tmp_path / "nvidia-smi"
    lines = "GPU 0: A (UUID: GPU-1)\\n  MIG 1g.5gb Device 0: (UUID: MIG-2)\\nGPU 1: B\\n"
    tool.write_text(f"#!/bin/sh\nprintf '{lines}'\n")
    tool.chmod(0o755)
    assert gpu.visible() == ["0", "1"]


@pytest.mark.parametrize(
    ("arguments", "rank", "claimed"),
    [
        (("export", "x", "--backbone", "b", "--out", "o"), None, [1]),
        (("export", "x", "--backbone", "b", "--out", "o", "--device", "cuda"), None, [1]),
        (("export", "x", "--backbone", "b", "--out", "o", "--device", "cpu"), None, []),
        (("export", "x", "--backbone", "b", "--out", "o", "--device", "cuda:1"), None, []),
        (("run", "{}", "--out", "o", "--processes", "3"), None, [3]),
        (("run", "{}", "--out", "o", "--processes", "0"), None, [1]),
        (("run", "{}", "--out", "o", "--processes", "3"), "2", []),  # started by torchrun
        (("list",), None, []),
    ],
)
def test_a_command_that_computes_claims_its_gpus_first(
    arguments, rank, claimed, monkeypatch, capsys
):
    calls = []
    monkeypatch.setattr(gpu, "claim", calls.append)
    if rank:
        monkeypatch.setenv("LOCAL_RANK", rank)
    main(list(arguments))
    assert calls == claimed


def test_the_device_is_a_gpu_if_there_is_one_and_each_of_several_processes_has_its_own(
    monkeypatch,
):
    asked = []
    monkeypatch.setattr(torch, "zeros", lambda *shape, device: asked.append(device))
    for there in (False, True):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        check_device("auto")
    monkeypatch.setenv("LOCAL_RANK", "3")
    assert check_device("auto") == torch.device("cuda:3")
    assert check_device("cuda:1") == torch.device("cuda:1")
    assert asked == ["cpu", "cuda:0", "cuda:3", "cuda:1"]


def test_processes_that_share_a_run_share_its_threads(monkeypatch):
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.setenv(name, "1")
    used = []
    monkeypatch.setattr(torch, "set_num_threads", used.append)
    limit_threads(8)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    limit_threads(8)
    limit_threads(2)
    assert used == [8, 2, 1] and os.environ["OMP_NUM_THREADS"] == "1"
