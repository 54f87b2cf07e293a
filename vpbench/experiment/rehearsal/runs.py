"""Every shape of run and every measurement, two steps each, through the real rules."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vpbench.common.errors import RecordError
from vpbench.experiment.rehearsal.configuration import block_name
from vpbench.experiment.rehearsal.interruption import Interrupted, checkpoint_outcomes, interrupt
from vpbench.experiment.rehearsal.outcomes import FAILS, HOLDS, Outcome
from vpbench.experiment.rehearsal.shapes import Shape, cost
from vpbench.experiment.rehearsal.workflow import Machine, environment, first_error, snakemake
from vpbench.records import reading
from vpbench.spec.aliases import Spec
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import Grid, measurement_files


def rehearse_data(suite: Path, scratch: Path, machine: Machine, rehearsed: Grid) -> list[Outcome]:
    """Returns the outcome of each dataset: opened, and its caches made, by the rule `data`."""
    done = snakemake(suite, scratch, machine, "data")
    outcomes = []
    for task in rehearsed.config.get("facts", {}):
        made = sorted((scratch / "data" / "cache" / task).glob("*.prepared"))
        logs = sorted((suite / "results" / "logs" / "data" / task).glob("*.log"))
        reason = f"{len(made)} caches" if made else first_error(logs[-1] if logs else suite)
        outcomes.append(Outcome("datasets", task, HOLDS if made else FAILS, reason))
    if done.returncode and all(outcome.verdict == HOLDS for outcome in outcomes):
        outcomes.append(Outcome("datasets", "data", FAILS, last_words(done.stdout)))
    return outcomes


def rehearse_runs(
    suite: Path, scratch: Path, machine: Machine, rehearsed: Grid, shapes: list[Shape]
) -> list[Outcome]:
    """Returns the outcome of each shape, of each checkpoint, and of the measurements."""
    interrupted = interrupt_all(suite, scratch, machine, rehearsed, shapes)
    files = [*rehearsed.jobs]
    for name in measurements(rehearsed.config):
        files += measurement_files(rehearsed, name)
    done = snakemake(suite, scratch, machine, *files, options=("--keep-incomplete",))
    outcomes = [
        run_outcome(suite, spec_of(rehearsed, number), shape, done.stdout)
        for number, shape in enumerate(shapes)
    ]
    outcomes += checkpoint_outcomes(suite, scratch, machine, interrupted)
    return outcomes + measurement_outcomes(suite, rehearsed)


def spec_of(rehearsed: Grid, number: int) -> tuple[str, Spec]:
    """Returns (path of the record, spec) of the run of a shape."""
    ((path, spec),) = rehearsed.blocks[block_name(number)].items()
    return path, spec


def run_outcome(suite: Path, run: tuple[str, Spec], shape: Shape, said: str) -> Outcome:
    """Returns whether the record of a shape is there, with what it took, or the first error."""
    path, spec = run
    item = f"{shape.name} ({shape.specs} {'spec' if shape.specs == 1 else 'specs'})"
    try:
        record = reading.read(suite / path)
    except RecordError:
        return Outcome("runs", item, FAILS, first_error(log_of(suite, path)))
    if record["spec"] != spec:
        return Outcome("runs", item, FAILS, "its record is of another spec")
    took = record["measured"]
    weights = "random weights" if "origin" in record["backbone"] else "its own weights"
    reason = f"{took['seconds']:.0f} s, {took['peak_memory_mb'] / 1000:.1f} GB, {weights}"
    return Outcome("runs", item, HOLDS, reason)


def log_of(suite: Path, record: str) -> Path:
    """Returns the log of the job of a record."""
    return suite / "results" / "logs" / Path(record).relative_to("results/runs").with_suffix(".log")


def interrupt_all(
    suite: Path, scratch: Path, machine: Machine, rehearsed: Grid, shapes: list[Shape]
) -> list[Interrupted]:
    """Returns the runs that were begun and killed: one fine-tune of each backbone, and a prompt.

    The workflow finds their checkpoints and goes on from them.
    """
    specs = [spec_of(rehearsed, number)[1] for number, _ in enumerate(shapes)]
    tuned = {spec["backbone"]: spec for spec in specs if spec["method"] == "fine_tune"}
    prompts = [spec for spec in specs if spec["method"] == "visual_prompt"]
    prompts = [spec for spec in prompts if spec["settings"]["template"] != "none"]
    chosen = [*sorted(tuned.values(), key=cost), *sorted(prompts, key=cost)[:1]]
    if machine.profile:  # a cluster's jobs are not for this machine to kill
        return []
    given = environment(scratch, machine)
    with ThreadPoolExecutor(machine.jobs) as pool:
        return list(pool.map(lambda spec: interrupt(suite, spec, given), chosen))


def measurement_outcomes(suite: Path, rehearsed: Grid) -> list[Outcome]:
    """Returns the outcome of each measurement of the rehearsed prompts."""
    outcomes = []
    for name in measurements(rehearsed.config):
        for path in measurement_files(rehearsed, name):
            there = (suite / path).is_file()
            log = Path(path).relative_to("results/measurements").with_suffix("")
            log = suite / "results" / "logs" / f"{str(log).removesuffix('.manifest')}.log"
            reason = "two images" if there else first_error(log)
            outcomes.append(Outcome("measurements", name, HOLDS if there else FAILS, reason))
    return outcomes


def last_words(said: str) -> str:
    """Returns the last line that Snakemake has said about an error."""
    wrong = [line.strip() for line in said.splitlines() if "rror" in line]
    return wrong[-1] if wrong else "Snakemake has ended with an error"
