import os
import signal
import subprocess
import sys

import pytest
import torch

from tests.helpers.messages import complains, holds
from vpbench.cli.device import limit_threads
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


LISTING = """\
GPU 0: NVIDIA A100-SXM4-40GB (UUID: GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77)
  MIG 3g.20gb     Device  0: (UUID: MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f)
  MIG 3g.20gb     Device  1: (UUID: MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb)
GPU 1: NVIDIA A100-SXM4-40GB (UUID: GPU-2b0d1f0f-0ba1-4e2b-8d61-74a31c2d45f5)
GPU 2: NVIDIA A100-SXM4-40GB (UUID: GPU-8a2c60a1-3c7f-4d4b-9f1e-61c9c0a7f0e2)
"""
SLICES = [
    "MIG-c6d4f1ef-42e4-5de3-91c7-45d71c87eb3f", "MIG-cba663e8-9bed-5b25-b243-5985ef7c9beb",
]  # fmt: skip
WHOLE = [
    "GPU-2b0d1f0f-0ba1-4e2b-8d61-74a31c2d45f5", "GPU-8a2c60a1-3c7f-4d4b-9f1e-61c9c0a7f0e2",
]  # fmt: skip


@pytest.fixture
def smi(tmp_path, monkeypatch):
    """Returns a function that gives the machine an nvidia-smi which lists this."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    tool = tmp_path / "bin" / "nvidia-smi"

    def install(listing):
        tool.parent.mkdir(exist_ok=True)
        tool.write_text(f"#!/bin/sh\nprintf '%s' '{listing}'\n")
        tool.chmod(0o755)

    return install


def test_the_gpus_of_the_machine_are_those_that_nvidia_smi_lists(smi):
    assert gpu.visible() == []
    smi("".join(line for line in LISTING.splitlines(True) if "MIG" not in line))
    assert gpu.visible() == ["0", "1", "2"]
    smi("")
    assert gpu.visible() == []


def test_slices_of_a_gpu_count_each_and_the_gpu_that_is_cut_does_not(smi):
    smi(LISTING)
    assert gpu.visible() == [*SLICES, *WHOLE]
    smi("\n".join(LISTING.splitlines()[:3]))
    assert gpu.visible() == SLICES


def test_a_slice_is_claimed_like_a_gpu_and_only_whole_gpus_together(smi, process, monkeypatch):
    smi(LISTING)
    assert gpu.claim() == SLICES[:1]
    assert os.environ["CUDA_VISIBLE_DEVICES"] == SLICES[0]
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    assert process().stdout.readline().split() == SLICES[1:]
    assert gpu.claim(2) == WHOLE and os.environ["CUDA_VISIBLE_DEVICES"] == ",".join(WHOLE)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES")
    with complains(ValueError, "3 GPUs", "wanted", "2 can be seen", *WHOLE, "2 slices (MIG)"):
        gpu.claim(3)


@pytest.mark.parametrize(
    ("given", "seen"),
    [
        ("-1", []), ("NoDevFiles", []), ("2,-1,3", ["2"]), (" 1, 3", ["1", "3"]),
        (",".join(SLICES), SLICES),
    ],
)  # fmt: skip
def test_what_cuda_is_told_is_read_as_cuda_reads_it(given, seen, machine):
    machine(given)
    assert gpu.visible() == seen


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
