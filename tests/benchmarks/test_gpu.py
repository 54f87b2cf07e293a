import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from benchmarks import __main__ as cli
from benchmarks import gpu, gpu_parts, gpu_speed
from tests.helpers.messages import holds

ROOT = Path(__file__).parents[2]
CPU = torch.device("cpu")
SMALL = {"clip_vit_b32": 4}  # -> images of a batch


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Takes few steps of one backbone, and leaves the machine as it was."""
    monkeypatch.setattr(gpu_parts, "CASES", SMALL)
    monkeypatch.setattr(gpu_parts, "STEPS", 3)
    monkeypatch.setattr(gpu_speed, "BATCH", SMALL)
    monkeypatch.setattr(gpu_speed, "usable", lambda device: ["fp32"])
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def test_a_device_that_computes_as_the_cpu_does_differs_by_nothing():
    found = gpu_parts.as_on_cpu(CPU, tiny=True)
    (row,) = found["rows"]
    assert row["difference"] == row["difference as runs are"] == 0 < row["update"]
    assert [goal["met"] for goal in found["goals"]] == [True]


def test_a_lower_precision_differs_by_a_little():
    found = gpu_parts.in_precision(CPU, True, "bf16")
    (row,) = found["rows"]
    assert 1e-5 < row["difference"] < 0.1 and found["goals"][0]["met"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch looks while it traces
def test_a_compiled_model_differs_by_nothing_but_rounding(monkeypatch):
    compile, compiled = torch.compile, []

    def eager(function):
        compiled.append(function)
        return compile(function, backend="eager")

    monkeypatch.setattr(torch, "compile", eager)
    found = gpu_parts.compiled(CPU, tiny=True)
    assert found["rows"][0]["difference"] < 1e-5 and len(compiled) == 1


def test_a_memory_for_a_third_of_the_images_halves_a_pass_twice():
    found = gpu_parts.little_memory(CPU, tiny=True)
    (row,) = found["rows"]
    assert (row["batch"], row["images of a pass"]) == (12, 3)
    assert row["difference"] < 1e-4 and all(goal["met"] for goal in found["goals"])


def test_tokens_with_dropout_go_on_from_a_checkpoint_to_the_bit(monkeypatch):
    found = gpu_parts.resumed(CPU, tiny=True)
    assert found["rows"] == [{"undisturbed twice": True, "stopped and resumed": True}]
    assert not torch.are_deterministic_algorithms_enabled()
    made = gpu_parts.material("clip_vit_b32", CPU, True, 8)
    drawn = [gpu_parts.dropped_tokens(made, None, 2)]
    monkeypatch.setattr(torch, "manual_seed", lambda seed: None)
    drawn.append(gpu_parts.dropped_tokens(made, None, 2))  # what is drawn does matter
    assert not torch.equal(drawn[0]["tokens"], drawn[1]["tokens"])


def test_a_speed_is_told_beside_that_of_products(monkeypatch):
    monkeypatch.setattr(gpu_speed, "product_rate", lambda device, precision, side: 1e12)
    (row,) = gpu_speed.speeds(CPU, tiny=True)["rows"]
    assert row["backbone"] == "clip_vit_b32" and row["images per second"] > 0
    assert row["share"] == pytest.approx(row["TFLOP/s"]) and row["TFLOP/s of products"] == 1
    # In the last of three layers only the class token asks.
    tokens, width = 8 * 17, 64
    layers = 2 * tokens * 12 * width**2 + (tokens * 2 + 8 * 10) * width**2
    forward = 8 * 16 * 3 * 16 * 16 * width + layers + 8 * (width * 32 + 32 * 3)
    flops = row["TFLOP/s"] * 1e12 * row["batch"] / row["images per second"]
    assert flops == pytest.approx(2 * 2 * forward, rel=0.2)  # attention comes on top


@pytest.mark.slow
def test_two_processes_find_what_one_finds():
    found = gpu_speed.shared(CPU, tiny=True)
    (row,) = found["rows"]
    assert (row["GPUs"], row["through"]) == (0, "gloo")
    assert row["difference"] < 1e-4 and found["goals"][0]["met"]


# The command


@pytest.fixture
def parts(monkeypatch):
    """Gives the command parts that end, hang, fail and find something wrong."""
    code = {
        "ends": 'print("fine"); sys.exit(0)',
        "hangs": 'print("waiting", flush=True); import time; time.sleep(60)',
        "fails": 'raise RuntimeError("no such kernel")',
    }
    chosen = {name: gpu.Part(name.title(), name, 1 if name == "hangs" else 20) for name in code}
    monkeypatch.setattr(gpu, "PARTS", chosen)
    monkeypatch.setattr(
        gpu, "part_command",
        lambda part, arguments, result: [sys.executable, "-c", "import sys;" + code[part.function]],
    )  # fmt: skip
    monkeypatch.setattr(gpu.report, "machine", lambda threads: MACHINE)


MACHINE = {"processor": "Abacus 3000", "processors": 8, "torch": "2.14", "date": "2026-11-22T10"}
ON_CPU = ["gpu", "--device", "cpu", "--tiny", "--out"]


def test_a_part_that_hangs_or_fails_takes_nothing_from_the_others(parts, tmp_path, capsys):
    started = time.monotonic()
    assert cli.main([*ON_CPU, str(tmp_path), "hangs", "fails", "ends"]) == 1
    assert time.monotonic() - started < 20
    lines = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    assert [line["part"] for line in lines] == ["hangs", "fails", "ends"]
    outcomes = [line["outcome"] for line in lines]
    assert outcomes == ["killed after its 1 s", "failed with code 1", "done"]
    assert lines[0]["log"] == ["waiting"]
    assert lines[1]["log"][-1] == "RuntimeError: no such kernel"
    text = (tmp_path / "gpu.md").read_text()
    for part in ("Abacus 3000", "no measurement", "## Hangs", "killed after its 1 s", "## Ends"):
        assert part in text
    assert capsys.readouterr().out == f"{tmp_path / 'gpu.md'}\n"
    assert cli.main([*ON_CPU, str(tmp_path), "ends"]) == 0  # earlier results stay
    assert len((tmp_path / "gpu.jsonl").read_text().splitlines()) == 4


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_stopped_ends_its_part_and_says_so_in_one_line(
    number, parts, tmp_path, monkeypatch, capsys
):
    started = []

    class Stopped(subprocess.Popen):
        def wait(self, timeout=None):
            if self not in started:
                started.append(self)
                signal.raise_signal(number)
            return super().wait(timeout)

    monkeypatch.setattr(subprocess, "Popen", Stopped)
    assert cli.main([*ON_CPU, str(tmp_path), "hangs"]) == 128 + number
    assert started[0].returncode == -signal.SIGKILL
    assert capsys.readouterr().err.splitlines()[1:] == [
        "benchmarks: stopped; what is written already stays"
    ]


def test_all_parts_together_have_a_limit(parts, tmp_path):
    assert cli.main([*ON_CPU, str(tmp_path), "--seconds", "0.5", "ends", "hangs"]) == 1
    text = (tmp_path / "gpu.jsonl").read_text()
    assert text.count("no time left") == 2


def test_the_limits_of_the_parts_fit_into_eight_minutes():
    assert sum(part.limit for part in gpu.PARTS.values()) <= gpu.TOTAL == 8 * 60


def test_a_goal_that_is_missed_is_said_and_ends_with_1():
    goal = gpu.report.goal("difference", 0.5, 0.1, at_most=True)
    result = {
        "outcome": "done",
        "seconds": 2.0,
        "goals": [goal],
        "rows": [{"a": 1234.5, "b": None}],
    }
    assert not gpu.right(result) and gpu.right(result | {"goals": []})
    assert gpu.outcome(result) == "done, 1 of its goals not met (2 s)"
    text = gpu.section("update", result)
    assert "- difference: at most 0.1, reached 0.5: **not met**" in text and "| 1,234 | - |" in text


def test_the_page_of_a_gpu_says_which_it_is(monkeypatch):
    about = SimpleNamespace(name="NVIDIA H200", total_memory=150e9, major=9, minor=0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: about)
    monkeypatch.setattr("vpbench.compute.device.check_device", torch.device)
    monkeypatch.setattr(torch.backends.cudnn, "version", lambda: 92400)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    facts = gpu.machine("cuda") | {"tiny": False}
    text = gpu.page(facts, {"resume": {"outcome": "done", "seconds": 3.0}})
    assert text.startswith(
        "NVIDIA H200 (150 GB, compute capability 9.0, 1 of them seen), CUDA 13.0, cuDNN 92400, "
        "TF32 in float32: convolutions, "
    )
    assert "no measurement" not in text and "## A resume\n\ndone (3 s).\n" in text


def test_a_part_that_this_device_has_not_is_left_out_with_the_reason(tmp_path):
    gpu.compute(str(tmp_path / "a"), "gpu_parts:in_precision", "cpu", "tiny", "fp16")
    found = json.loads((tmp_path / "a").read_text())
    holds(found["outcome"], "left out: ", "fp16", "cpu")
    assert gpu.right(found)


@pytest.mark.parametrize(
    ("arguments", "facts"),
    [
        (["abacus"], ("no part 'abacus'", "update", "speed")),
        (["--device", "abacus"], ("device 'abacus'", "not usable")),
        ([], ("no GPU here", "torch", "--device cpu --tiny")),
    ],
)
def test_a_mistake_is_one_line(arguments, facts, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert cli.main(["gpu", "--out", str(tmp_path / "a"), *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("benchmarks: ")
    holds(line, *facts)


@pytest.mark.parametrize("name", gpu.PARTS)
def test_every_part_is_there(name):
    if gpu.PARTS[name].function:
        module, function = gpu.PARTS[name].function.split(":")
        assert callable(getattr({"gpu_parts": gpu_parts, "gpu_speed": gpu_speed}[module], function))


@pytest.mark.slow
def test_the_tests_of_a_gpu_are_skipped_with_the_reason_where_there_is_none():
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "tests/gpu"]
    environment = os.environ | {"CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no GPU: torch" in done.stdout and " skipped in " in done.stdout
