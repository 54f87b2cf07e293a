"""The GPU of this machine, part by part: `python -m benchmarks gpu`.

Each part is a process with a time limit of its own, and its result is written as it ends, so that
a part that hangs or fails takes nothing from the others. Needed are torch, timm, open_clip_torch
and, for the tests, pytest.
"""

import argparse
import importlib
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import report
from vpbench.common import atomic_files
from vpbench.common.errors import UserError

ROOT = Path(__file__).parents[1]
OUT = "results/gpu"
TOTAL = 480  # seconds of all parts together
LAST_LINES = 12  # shown of what a part that failed has printed


class Part(NamedTuple):
    """A part: its function as module:name(device, tiny, *arguments), and its limit in seconds."""

    title: str
    function: str
    limit: int
    arguments: tuple[str, ...] = ()


PARTS = {  # the tests first, what may take long last
    "tests": Part("Tests: `pytest -m gpu`", "", 100),
    "update": Part("Float32 against the CPU", "gpu_parts:as_on_cpu", 55),
    "bf16": Part("bf16 against float32", "gpu_parts:in_precision", 35, ("bf16",)),
    "fp16": Part("fp16, its loss scaled, against float32", "gpu_parts:in_precision", 35, ("fp16",)),
    "memory": Part("Too little memory", "gpu_parts:little_memory", 30),
    "resume": Part("A resume", "gpu_parts:resumed", 30),
    "speed": Part("Images per second", "gpu_speed:speeds", 85),
    "processes": Part("One process and two", "gpu_speed:shared", 50),
    "compile": Part("torch.compile against float32", "gpu_parts:compiled", 55),
}


def parser() -> argparse.ArgumentParser:
    """Returns the argument parser."""
    main = argparse.ArgumentParser("benchmarks gpu", description="Try the GPU of this machine.")
    main.add_argument("parts", nargs="*", metavar="PART", help=f"of {', '.join(PARTS)}; else all")
    main.add_argument("--device", default="cuda", help="cpu: to see that the parts work")
    main.add_argument("--tiny", action="store_true", help="tiny models: no measurement")
    main.add_argument("--seconds", type=float, default=TOTAL, help="limit of all parts together")
    main.add_argument("--out", default=OUT, metavar="FOLDER")
    return main


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0 if every part was done and right, else 1; 2 for a mistake."""
    arguments = parser().parse_args(argv)
    unknown = [name for name in arguments.parts if name not in PARTS]
    if unknown:
        raise UserError(f"no part {unknown[0]!r}; choose of: {', '.join(PARTS)}")
    chosen = {name: PARTS[name] for name in arguments.parts or PARTS}
    folder, started = Path(arguments.out), time.monotonic()
    folder.mkdir(parents=True, exist_ok=True)
    facts = machine(arguments.device) | {"tiny": arguments.tiny}
    done: dict[str, Any] = {}
    for name, part in chosen.items():
        left = arguments.seconds - (time.monotonic() - started)
        print(f"{name} ...", file=sys.stderr, flush=True)
        done[name] = carried_out(name, part, arguments, min(part.limit, left))
        line = {"part": name, "machine": facts} | done[name]
        with open(folder / "gpu.jsonl", "a") as file:
            file.write(json.dumps(line) + "\n")
        atomic_files.write_bytes(folder / "gpu.md", page(facts, done).encode())
        print(f"{name}: {outcome(done[name])}", file=sys.stderr, flush=True)
    print(folder / "gpu.md")
    return 0 if all(right(result) for result in done.values()) else 1


def machine(device: str) -> dict[str, Any]:
    """Returns the facts of this machine that a result depends on, its GPU among them.

    Raises UserError if torch cannot use the device.
    """
    import torch

    from vpbench.compute.device import check_device, without_gpu

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise UserError(f"no GPU here, {without_gpu()}; --device cpu --tiny tries the parts")
    facts = report.machine(torch.get_num_threads()) | {"device": str(check_device(device))}
    if device.startswith("cuda"):
        about = torch.cuda.get_device_properties(device)
        facts |= {
            "gpu": about.name,
            "gpus": torch.cuda.device_count(),
            "memory_gb": about.total_memory / 1e9,
            "capability": f"{about.major}.{about.minor}",
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "tf32": {
                "convolutions": torch.backends.cudnn.allow_tf32,
                "products": torch.backends.cuda.matmul.allow_tf32,
            },
        }
    return facts


def carried_out(name: str, part: Part, arguments: Any, limit: float) -> dict[str, Any]:
    """Returns the result of a part in a process of its own, which is killed after `limit` s."""
    if limit < 1:
        return {"outcome": "no time left", "seconds": 0.0}
    log, started = Path(arguments.out, f"{name}.log"), time.monotonic()
    with tempfile.TemporaryDirectory() as folder, open(log, "w") as file:
        result = Path(folder, "result.json")
        command = part_command(part, arguments, result)
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=file, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        try:
            code: int | None = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # with the processes that it has started
                process.wait()
        found = json.loads(result.read_text()) if result.exists() else {}
    told = {"outcome": "done", "seconds": time.monotonic() - started} | found
    if code is None:
        return told | {"outcome": f"killed after its {limit:.0f} s", "log": last_lines(log)}
    if code:
        return told | {"outcome": f"failed with code {code}", "log": last_lines(log)}
    return told | ({} if part.function else {"log": last_lines(log)[-1:]})


def part_command(part: Part, arguments: Any, result: Path) -> list[str]:
    """Returns the command of a part, which writes what it found to the file `result`."""
    if not part.function:
        return [sys.executable, "-m", "pytest", "-v", "-rs", "tests/gpu"]
    code = "import sys; from benchmarks import gpu; gpu.compute(*sys.argv[1:5], *sys.argv[5:])"
    tiny = "tiny" if arguments.tiny else ""
    return [
        *(sys.executable, "-c", code, str(result), part.function, arguments.device, tiny),
        *part.arguments,
    ]


def compute(result: str, function: str, device: str, tiny: str, *arguments: str) -> None:
    """Writes what a part has found, or why this device leaves it out, to the file `result`."""
    from vpbench.compute.device import check_device

    module, name = function.split(":")
    part = getattr(importlib.import_module(f"benchmarks.{module}"), name)
    try:
        found = part(check_device(device), bool(tiny), *arguments)
    except UserError as error:
        found = {"outcome": f"left out: {error}"}
    Path(result).write_text(json.dumps(found))


def last_lines(log: Path) -> list[str]:
    """Returns the last lines that a part has printed."""
    lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
    return lines[-LAST_LINES:]


def right(result: dict[str, Any]) -> bool:
    """Returns whether a part was done, or has no place here, and what it found is right."""
    done = result["outcome"] == "done" or result["outcome"].startswith("left out")
    return done and all(goal["met"] for goal in result.get("goals", []))


def outcome(result: dict[str, Any]) -> str:
    """Returns what became of a part, in a few words."""
    missed = sum(not goal["met"] for goal in result.get("goals", []))
    wrong = f", {missed} of its goals not met" if missed else ""
    return f"{result['outcome']}{wrong} ({result['seconds']:.0f} s)"


def page(facts: dict[str, Any], done: dict[str, Any]) -> str:
    """Returns the results as Markdown, ready for docs/gpu.md."""
    name = facts.get("gpu", facts["processor"])
    note = " **Tiny models, to see that the parts work: no measurement.**"
    if "gpu" in facts:
        name += (
            f" ({facts['memory_gb']:.0f} GB, compute capability {facts['capability']}, "
            f"{facts['gpus']} of them seen), CUDA {facts['cuda']}, cuDNN {facts['cudnn']}, "
            f"TF32 in float32: {', '.join(key for key, on in facts['tf32'].items() if on) or 'no'}"
        )
    head = (
        f"{name}, {facts['processors']} processors, torch {facts['torch']}, "
        f"Python {platform.python_version()}, {facts['date'][:10]}.{note if facts['tiny'] else ''}"
    )
    return "\n\n".join([head, *(section(part, result) for part, result in done.items())]) + "\n"


def section(name: str, result: dict[str, Any]) -> str:
    """Returns the result of a part as Markdown."""
    texts = [f"## {PARTS[name].title}", f"{outcome(result)}."]
    if result.get("goals"):
        texts.append(report.goals(result["goals"]))
    if result.get("rows"):
        rows = [[shown(value) for value in row.values()] for row in result["rows"]]
        texts.append(report.table(list(result["rows"][0]), rows))
    if result.get("log"):
        texts.append("\n".join(["```text", *result["log"], "```"]))
    return "\n\n".join(texts)


def shown(value: Any) -> str:
    """Returns a value of a table."""
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return "-" if value is None else str(value)
