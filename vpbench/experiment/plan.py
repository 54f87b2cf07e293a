"""The plan of a configuration: jobs, hours, disk and memory, and what is missing; nothing runs.

GPU-hours come from costs: measured where this machine has a GPU, else from stated FLOPs. Small
backbones, which could not fill a GPU, are for the cores of this machine, and measured on one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from vpbench.common.paths import known_device, use
from vpbench.compute import gpu
from vpbench.experiment import plan_cores, readiness, throughput
from vpbench.experiment.plan_space import number, report_space
from vpbench.spec import costs, job_limits
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import Grid, expand, measurement_paths, reads_reference
from vpbench.spec.methods import METHODS
from vpbench.spec.products import PAGES, rule_name

GPUS = (1, 8, 64)  # how long it takes on so many
STAGES = (  # rules
    ("run", "features", "regression", "run_task"),
    ("reference_photographs", "measure", "measure_all"),
)
Spec = dict[str, Any]  # of a run
Speeds = dict[str, float | None]  # backbone -> passes per second
Hours = dict[str, float | None]  # path of the record -> hours of a GPU, or of a core


def jobs(wanted: Grid) -> dict[str, int]:
    """Returns rule -> number of jobs of a `Grid`, as `snakemake --dry-run ... all` counts them."""
    per_task = wanted.config["granularity"] == "per_task"
    probes = sum(METHODS[spec["method"]].on_features for spec in wanted.specs.values())
    measured = sum(len(measurement_paths(wanted, name)) for name in measurements(wanted.config))
    if per_task:
        counts = {"run_task": len(wanted.jobs)}
    else:
        counts = {"run": len(wanted.jobs) - probes, "features": probes, "regression": probes}
        counts = {rule: count for rule, count in counts.items() if count}
    counts |= {"measure_all" if per_task else "measure": measured} if measured else {}
    references = sum(reads_reference(wanted, name) for name in measurements(wanted.config))
    counts |= {"reference_photographs": references} if references else {}
    counts |= dict.fromkeys(map(rule_name, wanted.config["analyses"]), 1)
    return counts | {Path(page).stem: 1 for page in PAGES} | {"all": 1}


def hours(wanted: Grid, per_second: Speeds) -> Hours:
    """Returns path of the record -> hours of each run on the backbones of `per_second`.

    It maps a backbone to its passes per second, or to None: they cannot be told.
    """
    spent = {}
    for path, spec in wanted.specs.items():
        if spec["backbone"] not in per_second:
            continue
        passes, speed = costs.passes_of(spec), per_second[spec["backbone"]]
        spent[path] = passes / speed / costs.HOUR if passes is not None and speed else None
    return spent


def backbones(wanted: Grid, small: bool) -> list[str]:
    """Returns the backbones of all runs that are for a GPU, or those that are `small`."""
    names = {spec["backbone"] for spec in wanted.specs.values()}
    return sorted(name for name in names if (BACKBONES[name].hub is None) == small)


def speeds(wanted: Grid, stated: bool) -> tuple[Speeds, str]:
    """Returns (backbone -> passes per second of a GPU, what they were taken from, in words).

    They are measured if this machine has a GPU, unless `stated` asks for those of an A100.
    """
    specs, names = wanted.specs.values(), backbones(wanted, small=False)
    precision = next(iter(specs))["engine"]["precision"]  # that of all
    if not stated and gpu.visible():
        import torch

        if torch.cuda.is_available():
            device = torch.device("cuda")
            fast = "bf16" if precision == "auto" else precision
            what = f"measured on this machine's {torch.cuda.get_device_name(device)}"
            return {name: throughput.measured(name, fast, device) for name in names}, what
    what = "an A100, from stated FLOPs and shares of its peak (vpbench/spec/costs.py), not measured"
    return {name: costs.stated(name, precision) for name in names}, what


def table(rows: list[list[str]]) -> list[str]:
    """Returns rows of texts as aligned lines, the first column to the left."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if number else cell.ljust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def total(values: Iterable[float | None]) -> float | None:
    """Returns the sum of hours, None if none of them is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def by(wanted: Grid, spent: Hours, unit: str, group: Callable[[str, Spec], str]) -> list[str]:
    """Returns the lines of a table of the runs in `spent`: a row per group, hours in a `unit`.

    `group` maps (path of the record, spec) to the name of a row, which counts its methods.
    """
    groups: dict[str, list[str]] = {}
    for path in spent:
        groups.setdefault(group(path, wanted.specs[path]), []).append(path)
    methods = [m for m in METHODS if m in wanted.config["recipes"]]
    rows = [["", *(METHODS[m].display for m in methods), unit]]
    for name, paths in groups.items():
        counts = Counter(wanted.specs[path]["method"] for path in paths)
        cells = [str(counts[method] or "-") for method in methods]
        rows.append([name, *cells, number(total(spent[path] for path in paths))])
    return table(rows)


def block_of(wanted: Grid) -> dict[str, str]:
    """Returns path of the record -> the first block of the grid that asks for it."""
    blocks: dict[str, str] = {}
    for name, runs in wanted.blocks.items():
        for path in runs:
            blocks.setdefault(path, name)
    return blocks


def report_jobs(wanted: Grid, where: str) -> list[str]:
    """Returns the lines about jobs."""
    counts = jobs(wanted)
    training, measuring = (sum(counts.get(rule, 0) for rule in rules) for rules in STAGES)
    others = sum(counts.values()) - training - measuring
    return [
        f"{where}: {len(wanted.specs)} runs at {wanted.config['scale']} scale",
        f"jobs: {training} of training, {measuring} of measuring, {others} of tables, figures "
        f"and pages; {sum(counts.values())} in all, as `snakemake --dry-run` counts them",
        *wanted.left_out,
    ]


def tables(wanted: Grid, spent: Hours, unit: str, what: str) -> list[str]:
    """Returns the lines of hours in a `unit` by method, task and block; `what` says whence."""
    blocks, lines = block_of(wanted), [f"{unit}: {what}"]
    lines += by(wanted, spent, unit, lambda path, spec: METHODS[spec["method"]].display)
    lines += ["", *by(wanted, spent, unit, lambda path, spec: spec["task"])]
    lines += ["", *by(wanted, spent, unit, lambda path, spec: blocks[path])]
    unknown = sum(value is None for value in spent.values())
    if unknown:
        lines.append(
            f"not known for {unknown} runs: their backbone cannot be built here, or the number of "
            "their images is not a fact of the suite"
        )
    return lines


def longest_run(wanted: Grid, known: dict[str, float]) -> str:
    """Returns the line about the run that takes longest."""
    longest = max(known, key=known.__getitem__)
    spec = wanted.specs[longest]
    return (
        f"longest run: {number(known[longest])} hours, {spec['method']} of {spec['task']} on "
        f"{spec['backbone']}; what reads it waits for it"
    )


def report_cores(wanted: Grid, spent: Hours, painted: float) -> list[str]:
    """Returns the lines about the hours of cores, of which `painted` are for the twins' images."""
    what = (
        "measured on one core of this machine, steps of a prompt with each backbone; other methods "
        "by how often an image goes there and back (vpbench/spec/costs.py)"
    )
    lines = tables(wanted, spent, "core-hours", what)
    known = {path: value for path, value in spent.items() if value is not None}
    if not known:
        return lines
    everything, count = sum(known.values()) + painted, plan_cores.cores()
    least = max(everything / count, max(known.values()))
    return [
        *lines,
        "",
        f"all runs: {number(everything)} core-hours, {number(painted)} of them to paint the twins; "
        f"on {count} cores, as here, at best {number(least)} hours",
        longest_run(wanted, known),
        "not counted: measurements, tables and figures, to start each process (seconds), and the "
        "logistic regressions of LP (seconds to minutes)",
    ]


def report_hours(wanted: Grid, spent: Hours, what: str) -> list[str]:
    """Returns the lines about GPU-hours."""
    lines = tables(wanted, spent, "GPU-hours", what)
    known = {path: value for path, value in spent.items() if value is not None}
    if not known:
        return lines
    everything, longest = sum(known.values()), max(known.values())
    most = job_limits.max_runtime(wanted.config)
    days = ", ".join(f"{count}: {number(max(everything / count, longest) / 24)}" for count in GPUS)
    lines += [
        "",
        f"all runs: {number(everything)} GPU-hours; days at best on as many GPUs: {days}",
        longest_run(wanted, known),
        f"on a cluster: jobs of at most {most} minutes (max_runtime), each started again up to "
        f"{job_limits.retries(wanted.jobs.values(), most)} times",
        "each further seed of a block costs its GPU-hours again",
        "not counted: measurements, and the logistic regressions of LP (minutes of CPU, for "
        "iWildCam and SUN397 up to hours)",
    ]
    return lines


def report_missing(wanted: Grid) -> list[str]:
    """Returns the lines about what has to be there before a GPU-hour is spent, or be mended."""
    lines = []
    for what, found in (
        ("missing", readiness.absent(wanted)),
        ("would fail", readiness.problems(wanted)),
    ):
        head = f"{what}, {len(found)} in all:" if found else f"{what}: nothing"
        lines += [head, *(f"  {line}" for line in found)]
    return lines


def sections(config: dict[str, Any], where: str, stated: bool = False) -> Iterator[list[str]]:
    """Yields the parts of the plan as lists of lines, those that take longer to find out last."""
    wanted = expand(config, where)
    use(config.get("data_dir"), config.get("weights_dir"), config.get("device"))
    known_device()
    yield report_jobs(wanted, where)
    if backbones(wanted, small=False):
        per_second, what = speeds(wanted, stated)
        yield report_hours(wanted, hours(wanted, per_second), what)
    small = backbones(wanted, small=True)
    if small:
        spent = hours(wanted, plan_cores.speeds(small))
        yield report_cores(wanted, spent, plan_cores.painting(wanted))
    yield report_space(wanted)
    yield report_missing(wanted)
