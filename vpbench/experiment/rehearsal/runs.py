"""Every shape of run and every measurement, two steps each, through the real rules."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from vpbench.common.errors import RecordError
from vpbench.experiment import readiness
from vpbench.experiment.rehearsal.configuration import block_name
from vpbench.experiment.rehearsal.interruption import (
    Interrupted,
    checkpoint_outcomes,
    interrupt,
    same_result,
)
from vpbench.experiment.rehearsal.outcomes import ABSENT, FAILS, HOLDS, Outcome
from vpbench.experiment.rehearsal.shapes import Shape, cost
from vpbench.experiment.rehearsal.workflow import (
    Machine,
    complaint,
    environment,
    first_error,
    memory,
    snakemake,
)
from vpbench.records import reading
from vpbench.spec import memory_costs
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
        outcomes.append(Outcome("datasets", "data", FAILS, complaint(done.stdout)))
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
    packages = readiness.missing_packages(rehearsed)
    outcomes = []
    for number, shape in enumerate(shapes):
        path, spec = spec_of(rehearsed, number)
        found = run_outcome(suite / path, spec, shape)
        if found.verdict == FAILS and not found.reason:
            lacking = [line for line in packages if line.split()[0] in spec.values()]
            said = failure(suite, rehearsed.job_of[path], done.stdout)
            found = found._replace(reason=(lacking or [said])[0])
            found = found._replace(verdict=ABSENT if lacking else FAILS)
        outcomes.append(found)
    outcomes += checkpoint_outcomes(suite, interrupted)
    prompts = [one for one in interrupted if one.spec["method"] == "visual_prompt"]
    outcomes += [same_result(suite, one, environment(scratch, machine)) for one in prompts]
    return outcomes + measurement_outcomes(suite, rehearsed, done.stdout)


def spec_of(rehearsed: Grid, number: int) -> tuple[str, Spec]:
    """Returns (path of the record, spec) of the run of a shape."""
    ((path, spec),) = rehearsed.blocks[block_name(number)].items()
    return path, spec


def run_outcome(path: Path, spec: Spec, shape: Shape) -> Outcome:
    """Returns whether the record of a shape is there, with what it took; why not, is not known."""
    item = f"{shape.name} ({shape.specs} {'spec' if shape.specs == 1 else 'specs'})"
    try:
        record = reading.read(path)
    except RecordError as error:
        return Outcome("runs", item, FAILS, str(error) if path.exists() else "")
    if record["spec"] != spec:
        return Outcome("runs", item, FAILS, "its record is of another spec")
    took = record["measured"]
    weights = "random weights" if "origin" in record["backbone"] else "its own weights"
    reason = f"{took['seconds']:.0f} s, {took['peak_memory_mb'] / 1000:.1f} GB, {weights}"
    return Outcome("runs", item, HOLDS, reason)


def failure(suite: Path, job: str, said: str) -> str:
    """Returns why the job of a file has failed: by its log, else by what Snakemake has `said`."""
    stem = Path(job).relative_to("results").relative_to(Path(job).parts[1])
    name = stem.name.removesuffix(".json").removesuffix(".manifest")
    folder = suite / "results" / "logs" / stem.parent
    logs = [folder / f"{name}{part}.log" for part in ("", ".features", ".reference")]
    # Of a whole measurement
    logs += [folder.with_name(f"{folder.name}{part}.log") for part in ("", ".reference")]
    there = [log for log in logs if log.is_file()]
    return first_error(there[0]) if there else complaint(said)


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
    given, share = environment(scratch, machine), memory() / machine.jobs
    on_gpu = machine.device != "cpu"
    fits = [1000 * memory_costs.memory(spec, on_gpu).host <= share for spec in chosen]
    small = [spec for spec, room in zip(chosen, fits, strict=True) if room]
    with ThreadPoolExecutor(machine.jobs) as pool:
        begun = list(pool.map(lambda spec: interrupt(suite, spec, given), small))
    large = [spec for spec, room in zip(chosen, fits, strict=True) if not room]
    return begun + [interrupt(suite, spec, given) for spec in large]


def measurement_outcomes(suite: Path, rehearsed: Grid, said: str) -> list[Outcome]:
    """Returns the outcome of each measurement of the rehearsed prompts."""
    outcomes = []
    absent = [*readiness.missing_packages(rehearsed), *readiness.missing_references(rehearsed)]
    for name in measurements(rehearsed.config):
        for path in measurement_files(rehearsed, name):
            found = Outcome("measurements", name, HOLDS, "two images")
            if not (suite / path).is_file():
                found = found._replace(verdict=FAILS, reason=failure(suite, path, said))
                if absent and name == "dataset_properties":
                    found = found._replace(verdict=ABSENT, reason=absent[0])
            outcomes.append(found)
    return outcomes
