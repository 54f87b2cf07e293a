"""Runs that are killed as a cluster kills them, and what they have kept."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from vpbench.experiment.rehearsal.outcomes import FAILS, HOLDS, UNTRIED, Outcome
from vpbench.experiment.rehearsal.workflow import first_error
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES

PATIENCE = 600  # seconds for a run to begin its training, and to write its checkpoint
DELAYS = (0, 0.1, 0.3)  # seconds between its begin and the signal, try by try
STARTED = "0%|"  # of the bar that a training draws when it begins
LARGEST = 3.2  # times the weights that a checkpoint may take
NOT_USED = ": not used, "  # in what a run says of a checkpoint that is not its own
FOLDER = "interrupted"  # of the logs and of the record of a run that was not to end


class Interrupted(NamedTuple):
    """A run that was killed: its spec, the bytes of its checkpoint (None: none), its exit code."""

    spec: Spec
    kept: int | None
    code: int
    log: Path


def interrupt(suite: Path, spec: Spec, environment: dict[str, str]) -> Interrupted:
    """Returns what became of a run that was begun, and ended by SIGTERM in its first step.

    It is begun again if the signal came before the training was ready for it.
    """
    name = f"{spec['backbone']}_{spec['method']}"
    out = suite / FOLDER / f"{name}.json"
    out.parent.mkdir(exist_ok=True)
    log = out.with_suffix(".log")
    kept = record_path(spec, suite / "results" / "checkpoints").with_suffix(".pt")
    for delay in DELAYS:
        with open(log, "wb") as file:
            process = subprocess.Popen(
                command(spec, out), cwd=suite, env=environment, stdout=file, stderr=file
            )
            code = end_in_training(process, log, delay)
        if kept.is_file() or code == 0:
            break
    return Interrupted(spec, kept.stat().st_size if kept.is_file() else None, code, log)


def end_in_training(process: "subprocess.Popen[bytes]", log: Path, delay: float) -> int:
    """Returns the exit code of a process that is ended `delay` seconds after its training began."""
    until = time.monotonic() + PATIENCE
    while process.poll() is None and STARTED not in log.read_text(errors="replace"):
        if time.monotonic() > until:
            break
        time.sleep(0.02)
    time.sleep(delay)
    process.send_signal(signal.SIGTERM)
    try:
        return process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def command(spec: Spec, out: Path, threads: int = 1) -> list[str]:
    """Returns the command of a run, as its rule gives it."""
    given = [json.dumps(spec), "--out", str(out), "--threads", str(threads)]
    kept = ["--checkpoints", "results/checkpoints"]
    return [sys.executable, "-m", "vpbench", "run", *given, *kept]


def checkpoint_outcomes(suite: Path, interrupted: list[Interrupted]) -> list[Outcome]:
    """Returns whether each run that was killed has kept its state, and has gone on from it."""
    if not interrupted:
        reason = "jobs of a profile are not killed from here; without one this machine's are"
        return [Outcome("checkpoints", "a kill and a resume", UNTRIED, reason)]
    return [checkpoint_outcome(suite, one) for one in interrupted]


def complaint_of_checkpoint(suite: Path, record: Path) -> str | None:
    """Returns what the log of the run that should have gone on says against its checkpoint."""
    log = record.relative_to(suite / "results" / "runs").with_suffix(".log")
    path = suite / "results" / "logs" / log
    said = path.read_text(errors="replace").splitlines() if path.is_file() else []
    return next((line for line in said if NOT_USED in line), None)


def same_result(suite: Path, one: Interrupted, environment: dict[str, str]) -> Outcome:
    """Returns whether a run that was killed and went on has the result of one that was not."""
    item = f"{one.spec['method']} of {one.spec['backbone']}, killed, beside one that was not"
    path = record_path(one.spec, suite / "results" / "runs")
    out = suite / FOLDER / "whole.json"
    given = [json.dumps(one.spec), "--out", str(out), "--checkpoints", f"{FOLDER}/checkpoints"]
    line = [sys.executable, "-m", "vpbench", "run", *given, "--threads", "1"]
    done = subprocess.run(line, cwd=suite, env=environment, capture_output=True, text=True)
    if done.returncode or not path.is_file():
        said = done.stderr.strip().splitlines() or ["there is no record"]
        return Outcome("checkpoints", item, FAILS, said[-1])
    whole, gone_on = reading.read(out), reading.read(path)
    equal = all(whole[key] == gone_on[key] for key in ("history", "selection"))
    reason = "the same losses and metrics" if equal else "other losses or metrics"
    return Outcome("checkpoints", item, HOLDS if equal else FAILS, reason)


def checkpoint_outcome(suite: Path, one: Interrupted) -> Outcome:
    """Returns the outcome of one of them."""
    item = f"{one.spec['method']} of {one.spec['backbone']}, killed in its first step"
    if one.kept is None and one.code == 0:
        return Outcome("checkpoints", item, UNTRIED, "it ended before it could be killed")
    if one.kept is None:
        reason = f"it has kept no checkpoint; {first_error(one.log)}"
        return Outcome("checkpoints", item, FAILS, reason)
    path = record_path(one.spec, suite / "results" / "runs")
    if not reading.holds(path, one.spec):
        return Outcome("checkpoints", item, FAILS, "it did not go on to its end")
    started_anew = complaint_of_checkpoint(suite, path)
    if started_anew:
        return Outcome("checkpoints", item, FAILS, started_anew)
    parameters = BACKBONES[one.spec["backbone"]].parameters or 0
    share = one.kept / (4 * parameters) if parameters else 0
    size = f"{one.kept / 1e9:.2f} GB, {share:.1f} times its weights"
    if one.spec["method"] == "fine_tune" and share > LARGEST:
        reason = f"its checkpoint takes {size}; {LARGEST} times are allowed"
        return Outcome("checkpoints", item, FAILS, reason)
    return Outcome("checkpoints", item, HOLDS, f"{size}; it went on to its end")
