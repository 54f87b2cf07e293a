"""The plan of a configuration: jobs, GPU-hours, disk and memory, and what is missing; nothing runs.

GPU-hours come from costs: measured where this machine has a GPU, else from stated FLOPs.
"""

import shutil
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from vpbench.common.hashing import canonical
from vpbench.common.paths import data_dir, use
from vpbench.compute import gpu
from vpbench.data import cache
from vpbench.experiment import throughput
from vpbench.spec import costs
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import measurements
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.grid import Grid, expand, measurement_files, measurement_specs
from vpbench.spec.methods import METHODS
from vpbench.spec.preprocessing import Preprocessing, preprocessing_of
from vpbench.spec.products import PAGES, rule_name

GPUS = (1, 8, 64)  # how long it takes on so many
HOUR = 3600
Spec = dict[str, Any]  # of a run
Speeds = dict[str, float | None]  # backbone -> passes per second
Hours = dict[str, float | None]  # path of the record -> GPU-hours


def jobs(wanted: Grid) -> dict[str, int]:
    """Returns rule -> number of jobs of a `Grid`, as `snakemake --dry-run ... all` counts them."""
    per_task = wanted.config["granularity"] == "per_task"
    measured = sum(len(measurement_files(wanted, name)) for name in measurements(wanted.config))
    counts = {"run_task" if per_task else "run": len(wanted.jobs)}
    counts |= {"measure_all" if per_task else "measure": measured} if measured else {}
    counts |= dict.fromkeys(map(rule_name, wanted.config["analyses"]), 1)
    return counts | {Path(page).stem: 1 for page in PAGES} | {"all": 1}


def hours(wanted: Grid, per_second: Speeds) -> Hours:
    """Returns path of the record -> GPU-hours of the run, None where they cannot be told.

    `per_second` maps a backbone to its passes per second, or to None.
    """
    spent = {}
    for path, spec in wanted.specs.items():
        passes, speed = costs.passes_of(spec), per_second[spec["backbone"]]
        spent[path] = passes / speed / HOUR if passes is not None and speed else None
    return spent


def speeds(wanted: Grid, stated: bool) -> tuple[Speeds, str]:
    """Returns (backbone -> passes per second, what they were taken from, in words).

    They are measured if this machine has a GPU, unless `stated` asks for those of an A100.
    """
    specs = wanted.specs.values()
    names = sorted({spec["backbone"] for spec in specs})
    precision = next(iter(specs))["engine"]["precision"]  # that of all
    if not stated and gpu.visible():
        import torch

        if torch.cuda.is_available():
            device = torch.device("cuda")
            real = [name for name in names if BACKBONES[name].hub]
            fast = "bf16" if precision == "auto" else precision
            measured = {name: throughput.measured(name, fast, device) for name in real}
            what = f"measured on this machine's {torch.cuda.get_device_name(device)}"
            return dict.fromkeys(names) | measured, what
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


def number(value: float | None) -> str:
    """Returns hours or gigabytes for people: 0.04, 3.2, 1,234."""
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def total(values: Iterable[float | None]) -> float | None:
    """Returns the sum of hours, None if none of them is known."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def by(wanted: Grid, spent: Hours, group: Callable[[str, Spec], str]) -> list[str]:
    """Returns the lines of a table: a row per group, runs of each method and hours of all.

    `group` maps (path of the record, spec) to the name of a row.
    """
    groups: dict[str, list[str]] = {}
    for path, spec in wanted.specs.items():
        groups.setdefault(group(path, spec), []).append(path)
    methods = [m for m in METHODS if m in wanted.config["recipes"]]
    rows = [["", *(METHODS[m].display for m in methods), "GPU-hours"]]
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
    unit = "run_task" if "run_task" in counts else "run"
    measuring = counts.get("measure", counts.get("measure_all", 0))
    others = sum(counts.values()) - counts[unit] - measuring
    return [
        f"{where}: {len(wanted.specs)} runs at {wanted.config['scale']} scale",
        f"jobs: {counts[unit]} of training, {measuring} of measuring, {others} of tables, figures "
        f"and pages; {sum(counts.values())} in all, as `snakemake --dry-run` counts them",
    ]


def report_hours(wanted: Grid, spent: Hours, what: str) -> list[str]:
    """Returns the lines about GPU-hours."""
    blocks, lines = block_of(wanted), [f"GPU-hours: {what}"]
    lines += by(wanted, spent, lambda path, spec: METHODS[spec["method"]].display)
    lines += ["", *by(wanted, spent, lambda path, spec: spec["task"])]
    lines += ["", *by(wanted, spent, lambda path, spec: blocks[path])]
    known = {path: value for path, value in spent.items() if value is not None}
    if len(known) < len(spent):
        lines.append(
            f"not known for {len(spent) - len(known)} runs: their backbone is for CPUs, or the "
            "number of their images is not a fact of the suite"
        )
    if not known:
        return lines
    longest = max(known, key=known.__getitem__)
    spec, everything = wanted.specs[longest], sum(known.values())
    days = ", ".join(
        f"{count}: {number(max(everything / count, known[longest]) / 24)}" for count in GPUS
    )
    lines += [
        "",
        f"all runs: {number(everything)} GPU-hours; days at best on as many GPUs: {days}",
        f"longest run: {number(known[longest])} hours, {spec['method']} of {spec['task']} on "
        f"{spec['backbone']}; what reads it waits for it",
        "each further seed of a block costs its GPU-hours again",
        "not counted: measurements, and the logistic regressions of LP (minutes of CPU, for "
        "iWildCam and SUN397 up to hours)",
    ]
    return lines


def cached_parts(wanted: Grid) -> dict[Path, cache.Part]:
    """Returns path -> `Part` of every cache that runs and measurements of real datasets read."""
    specs = [(spec, preprocessing_of(spec)) for spec in wanted.specs.values()]
    for name in measurements(wanted.config):
        for spec in measurement_specs(wanted, name):
            specs += [
                (spec, Preprocessing(*BACKBONES[run["backbone"]].preprocessing))
                for run in spec["runs"]
            ]
    by_path: dict[Path, cache.Part] = {}
    seen = set()
    for spec, transform in specs:
        key = spec["task"], transform, canonical(spec["data"])
        if spec["task"] in FACTS and key not in seen:
            seen.add(key)
            parts = cache.parts(spec["task"], spec["data"], transform)
            by_path |= {part.path: part for part in parts}
    return by_path


def report_space(wanted: Grid) -> list[str]:
    """Returns the lines about disk and memory."""
    tasks = list(dict.fromkeys(spec["task"] for spec in wanted.specs.values()))
    parts = cached_parts(wanted)
    if not parts:
        return ["disk: next to nothing, no dataset is read from disk"]
    downloads = sum(FACTS[task].gigabytes for task in tasks if task in FACTS)
    caches: dict[Path, float] = defaultdict(float)
    for path, part in parts.items():
        caches[path.parent] += part.bytes / 1e9
    weights = {
        BACKBONES[spec["backbone"]].hub: BACKBONES[spec["backbone"]].parameters or 0
        for spec in wanted.specs.values()
        if BACKBONES[spec["backbone"]].hub
    }
    largest = max(caches, key=caches.__getitem__)
    files = sum(weights.values()) * 4 / 1e9
    return [
        f"disk: datasets {number(downloads)} GB, caches {number(sum(caches.values()))} GB in "
        f"{len(caches)} folders (one per dataset and transform), weights {number(files)} GB; "
        f"{number(free_space(data_dir()))} GB are free at {data_dir()}",
        f"memory: a run maps the pixels of its dataset from the cache, {number(caches[largest])} "
        f"GB for {largest.parent.name}; they are on the GPU if its free memory is twice that",
    ]


def free_space(folder: Path) -> float:
    """Returns the gigabytes that are free where `folder` is or will be."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9


def report_missing(wanted: Grid) -> list[str]:
    """Returns the lines about what has to be there before a GPU-hour is spent."""
    missing = [*missing_datasets(wanted), *missing_weights(wanted), *missing_references(wanted)]
    if not missing:
        return ["missing: nothing"]
    return [f"missing, {len(missing)} in all:", *(f"  {line}" for line in missing)]


def missing_datasets(wanted: Grid) -> list[str]:
    """Returns a line per dataset that is not there as it should be."""
    from vpbench.data import status

    tasks = dict.fromkeys(spec["task"] for spec in wanted.specs.values())
    rows = [status.dataset_status(task) for task in tasks if task in FACTS]
    return [
        f"{row['dataset']} ({row['state']}): {row['to_do']}"
        for row in rows
        if row["state"] != "present"
    ]


def missing_weights(wanted: Grid) -> list[str]:
    """Returns a line per weight file that is not on this machine."""
    from vpbench.models import weight_files

    lines = {}
    for name in dict.fromkeys(spec["backbone"] for spec in wanted.specs.values()):
        hub = BACKBONES[name].hub
        if hub and hub not in lines and weight_files.find_here(name) is None:
            repository, file = weight_files.on_hub(name)
            lines[hub] = (
                f"weights of {name}: the first run fetches them; without a network put {file} of "
                f"https://huggingface.co/{repository} at {weight_files.local_names(name)[0]}"
            )
    return list(lines.values())


def missing_references(wanted: Grid) -> list[str]:
    """Returns a line per network or folder of photographs that a measurement lacks."""
    asked = measurements(wanted.config).get("dataset_properties")
    if asked is None:
        return []
    from vpbench.experiment.measurements import dataset_properties

    settings, lines = asked["settings"], []
    for network in (settings["extractor"], settings["diversity"]):
        try:
            dataset_properties.weights_file(network, settings["weights"])
        except ValueError as error:
            lines.append(f"dataset_properties: {error}")
    reference = settings["reference"]
    if reference is not None and not Path(reference).is_dir():
        lines.append(
            f"dataset_properties: no folder {reference}; give one with at least "
            f"{settings['reference_images']:,} photographs as `reference`"
        )
    return lines


def sections(config: dict[str, Any], where: str, stated: bool = False) -> Iterator[list[str]]:
    """Yields the parts of the plan as lists of lines, those that take longer to find out last."""
    wanted = expand(config, where)
    use(config.get("data_dir"), config.get("weights_dir"))
    yield report_jobs(wanted, where)
    per_second, what = speeds(wanted, stated)
    yield report_hours(wanted, hours(wanted, per_second), what)
    yield report_space(wanted)
    yield report_missing(wanted)
