"""What the plan says, held against this machine, all commands and the rehearsed runs."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from vpbench.common.errors import RecordError
from vpbench.compute import gpu
from vpbench.experiment import readiness
from vpbench.experiment.rehearsal.outcomes import ABSENT, FAILS, HOLDS, UNTRIED, Outcome
from vpbench.experiment.rehearsal.workflow import (
    Machine,
    complaint,
    link_suite,
    snakemake,
    write_config,
)
from vpbench.records import reading
from vpbench.spec import job_limits, memory_costs
from vpbench.spec.aliases import Spec
from vpbench.spec.costs import hours_of
from vpbench.spec.grid import Grid

LONGEST_ARGUMENT, LONGEST_COMMAND = 32 * 2**10, 128 * 2**10  # bytes; Linux takes 4 times as many
COMMAND = "Shell command: "  # before each command of Snakemake's dry run


def compare(scratch: Path, machine: Machine, wanted: Grid, rehearsed: Grid) -> Iterator[Outcome]:
    """Yields what the plan of a grid promises, and whether that is so here."""
    yield from absent(wanted, machine)
    yield from unready(wanted)
    yield from memory(scratch / "suite", machine, rehearsed)
    yield times(wanted)
    yield commands(link_suite(scratch / "plan"), scratch, machine, wanted)


def absent(wanted: Grid, machine: Machine) -> Iterator[Outcome]:
    """Yields what is not on this machine: datasets, weights, references, packages, a GPU."""
    for part, lines in (
        ("datasets", readiness.missing_datasets(wanted)),
        ("weights", readiness.missing_weights(wanted)),
        ("packages", readiness.missing_packages(wanted)),
        ("references", readiness.missing_references(wanted)),
        ("disk", readiness.disk_problems(wanted)),
    ):
        for line in lines:
            item, _, how = line.partition(": ")
            yield Outcome(part, item, ABSENT, how)
        if not lines:
            yield Outcome(part, "all", HOLDS)
    if machine.device == "cpu" and not gpu.visible():
        how = "rehearsed on the CPU; start it on a machine with a GPU, without --device cpu"
        yield Outcome("device", "GPU", ABSENT, how)
    elif machine.device == "cpu":
        yield Outcome("device", "GPU", UNTRIED, "there is one, but --device cpu was said")
    else:
        yield Outcome("device", machine.device, HOLDS)


def unready(wanted: Grid) -> Iterator[Outcome]:
    """Yields what would fail although all that is absent were there; room on a disk is absent."""
    room = readiness.disk_problems(wanted)
    lines = [line for line in readiness.problems(wanted) if line not in room]
    for line in lines:
        yield Outcome("plan", line, FAILS)
    if not lines:
        yield Outcome("plan", "settings of all runs", HOLDS)


def memory(suite: Path, machine: Machine, rehearsed: Grid) -> Iterator[Outcome]:
    """Yields whether each rehearsed run took no more memory than a job asks for one like it."""
    on_gpu, found = machine.device != "cpu", []
    for path, spec in rehearsed.specs.items():
        try:
            took = reading.read(suite / path)["measured"]["peak_memory_mb"] * 2**20 / 1e9
        except RecordError:
            continue  # which is said of the run itself
        found.append((took, asked_for(spec, on_gpu), spec))
    for took, asked, spec in found:
        if took > asked:
            run = f"{spec['method']} of {spec['backbone']}, {spec['variant']}"
            yield Outcome("memory", run, FAILS, f"took {took:.1f} GB, {asked:.1f} are asked for")
    if found:
        took, asked, spec = max(found, key=lambda each: each[0] / each[1])
        run = f"the tightest of {len(found)}, {spec['method']} of {spec['backbone']}"
        reason = f"took {took:.1f} GB, {asked:.1f} are asked for"
        yield Outcome("memory", run, HOLDS if took <= asked else FAILS, reason)


def asked_for(spec: Spec, on_gpu: bool) -> float:
    """Returns the gigabytes that a job asks for: of the machine or, where it has one, its GPU."""
    if on_gpu:
        return memory_costs.SPARE * memory_costs.memory(spec).gpu
    return memory_costs.host_mb(spec, on_gpu=False) / 1000


def times(wanted: Grid) -> Outcome:
    """Returns whether the longest run ends within its time limit and its starts."""
    most = job_limits.max_runtime(wanted.config)
    hours = {path: hours_of(spec) or 0 for path, spec in wanted.specs.items()}
    longest = max(hours, key=lambda path: hours[path])
    starts = 1 + job_limits.retries(wanted.jobs.values(), most)
    spec = wanted.specs[longest]
    item = f"{spec['method']} of {spec['backbone']} on {spec['task']}"
    reason = f"{hours[longest]:.1f} h by the plan, {starts} starts of {most} minutes each"
    enough = starts * most / 60 >= hours[longest]
    return Outcome("time limits", item, HOLDS if enough else FAILS, reason)


def commands(folder: Path, scratch: Path, machine: Machine, wanted: Grid) -> Outcome:
    """Returns whether every command of every job is one that Linux takes."""
    write_config(folder, wanted.config)
    targets = ["all", "methods"] if "extensions" in wanted.config else ["all"]
    options = ("--dry-run", "--printshellcmds")
    done = snakemake(folder, scratch, machine, *targets, options=options)
    found = [
        line.partition(COMMAND)[2] for line in done.stdout.splitlines() if line.startswith(COMMAND)
    ]
    if done.returncode or not found:
        return Outcome("commands", "dry run", FAILS, complaint(done.stdout))
    longest = max(len(command.encode()) for command in found)
    argument = max(len(part.encode()) for command in found for part in split(command))
    reason = f"{len(found):,} jobs; longest command {longest:,} bytes, argument {argument:,}"
    fine = argument <= LONGEST_ARGUMENT and longest <= LONGEST_COMMAND
    return Outcome("commands", "of all jobs", HOLDS if fine else FAILS, reason)


def split(command: str) -> list[str]:
    """Returns the arguments of a command; one that no shell could read is one argument."""
    try:
        return shlex.split(command) or [command]
    except ValueError:
        return [command]
