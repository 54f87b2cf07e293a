"""What a configuration asks for: its runs, the jobs that do them, and their files; no torch here.

A run is described by its spec. A slice says which runs: of which blocks, tasks, backbones and so
on; a key that it lacks means all.
"""

from collections.abc import Iterable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

from vpbench.common.hashing import digest
from vpbench.common.messages import instead
from vpbench.spec import schema_check
from vpbench.spec.aliases import Config, Slice, Spec
from vpbench.spec.analyses import ANALYSES
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import (
    at_length,
    block_specs,
    data_of,
    facts_of,
    folder_of,
    inside,
    measurements,
    modality,
    variants,
)
from vpbench.spec.config_schema import config_schema
from vpbench.spec.fingerprints import reference_of, with_fingerprint
from vpbench.spec.grid_checks import (
    check_changes,
    check_conflicts,
    check_count,
    check_kind,
    check_names,
    check_prompts,
    check_settings,
    check_task_recipes,
    check_test_start,
    refuse,
)
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.methods import METHODS
from vpbench.spec.modalities import MODALITIES
from vpbench.spec.restriction import left_out
from vpbench.spec.result_files import ALL_MEASURED, MANIFEST, MEASURED, RECORD
from vpbench.spec.tasks import TASKS


class Grid(NamedTuple):
    """The runs of a configuration: `specs` by the path of their record, `jobs` by their file."""

    config: dict
    blocks: dict[str, dict]  # block of the grid -> path of the record -> spec
    specs: dict[str, dict]  # path of the record -> spec
    job_of: dict[str, str]  # path of the record -> file that its job makes
    jobs: dict[str, list]  # file that a job makes -> specs
    job_digests: dict[str, str]  # file that a job makes -> SHA-256 of its specs
    left_out: tuple[str, ...] = ()  # what has no run left, and is in none of these, in words


def expand(config: Config, where: str) -> Grid:
    """Returns the `Grid` of a configuration, which comes from the file(s) `where`.

    Raises UserError, in one line, if something in it is not legal.
    """
    schema_check.check(config, config_schema(), where)
    check_names(config, {"tasks": config["tasks"], "grid": []}, where)
    for name in config.get("folders", {}):
        if name in TASKS:
            refuse(f"{where} at folders: {name!r} is a dataset's name; rename it")
    if "folders" in config:
        config = config | {"folders": folders_as_they_are(config, where)}
    for variant, changes in variants(config).items():
        if variant == "default":
            refuse(f"{where} at variants: 'default' is the recipe itself; rename it")
        check_changes(changes, f"{where} at variants.{variant}", METHODS)
    check_task_recipes(config, where)
    blocks = {name: block_runs(config, name, f"{where} at grid.{name}") for name in config["grid"]}
    for name, slice_ in config["analyses"].items():
        if name not in ANALYSES:
            refuse(f"{where} at analyses: {name!r} is none; {instead(name, ANALYSES)}")
        check_names(config, slice_, f"{where} at analyses.{name}")
    for name in config.get("extensions", []):
        if name not in config["analyses"]:
            refuse(f"{where} at extensions: {name!r} is not in analyses")
    for name, measurement in measurements(config).items():
        check_names(config, measurement["runs"], f"{where} at measurements.{name}.runs")
    check_conflicts(blocks, where)
    grid = assigned(config, blocks)
    check_kind(config, [run["task"] for run in grid.specs.values()], where)
    grid = without_empty(grid, where)
    for name in measurements(grid.config):
        for spec in measurement_specs(grid, name, photographs=False):
            check_test_start(spec["task"], spec["data"], f"{where} at measurements.{name}.data")
        if MEASUREMENTS[name].reads_prompts:
            runs = sliced(grid, measurements(config)[name]["runs"])
            check_prompts(runs, f"{where} at measurements.{name}.runs")
    return grid


def without_empty(grid: Grid, where: str) -> Grid:
    """Returns a grid without the analyses and measurements that its tasks and backbones leave no
    run of; blocks without a run stay.

    Raises UserError, in one line, for those that have none whatever the tasks and backbones are.
    """
    config = grid.config
    slices = {f"grid.{name}": {"grid": [name]} for name in grid.blocks}
    slices |= {f"analyses.{name}": slice_ for name, slice_ in config["analyses"].items()}
    slices |= {
        f"measurements.{name}.runs": each["runs"] for name, each in measurements(config).items()
    }
    lines, empty = [], set()
    for place, slice_ in slices.items():
        if next(runs_of(grid, slice_), None) is None:
            reason = left_out(config, slice_)
            if reason is None:
                refuse(f"{where} at {place}: the grid has no such run; leave it out")
            lines.append(f"{where} at {place}: left out, it has no run with {reason}")
            empty.add(place)
    if not grid.specs:
        refuse(f"{where}: its tasks and backbones leave no run at all; check them")
    kept = {
        name: slice_
        for name, slice_ in config["analyses"].items()
        if f"analyses.{name}" not in empty
    }
    config = config | {"analyses": kept}
    extensions = [name for name in config.pop("extensions", []) if name in kept]
    if extensions:
        config["extensions"] = extensions
    if "measurements" in config:
        config["measurements"] = {
            name: each
            for name, each in config["measurements"].items()
            if f"measurements.{name}.runs" not in empty
        }
    return grid._replace(config=config, left_out=tuple(lines))


def block_runs(config: Config, name: str, where: str) -> dict[str, Spec]:
    """Returns the runs of a block by the paths of their records.

    Raises UserError, in one line that begins with `where`, if something in it is not legal.
    """
    block = config["grid"][name]
    check_names(config, block | {"grid": [name]}, where)
    check_changes(block.get("settings", {}), f"{where}.settings", block["methods"])
    check_count(config, block, where)
    runs = block_specs(config, name, block)
    if not runs and left_out(config, {"grid": [name]}):
        return {}
    check_settings(runs, where, config.get("task_recipes", {}))
    for run in runs:
        check_test_start(run["task"], run["data"], where)
    if "length" in block:
        runs = [at_length(run, block["length"], where) for run in runs]
    return {RECORD.format(**run): run for run in runs}


def folders_as_they_are(config: Config, where: str) -> dict[str, Any]:
    """Returns the folders of images, those that runs are on with their fingerprints."""
    tasks = set(config["tasks"]).union(*(each.get("tasks", []) for each in config["grid"].values()))
    return {
        name: with_fingerprint(folder, f"{where} at folders.{name}") if name in tasks else folder
        for name, folder in config["folders"].items()
    }


def assigned(config: Config, blocks: dict[str, dict[str, Spec]]) -> Grid:
    """Returns the `Grid` of blocks: a run that two of them ask for is in the job of the first."""
    specs: dict[str, Spec] = {}
    job_of: dict[str, str] = {}
    jobs: dict[str, list[Spec]] = {}
    for block, runs in blocks.items():
        ordered = sorted(runs.items(), key=lambda item: canonical_order(config, item[1]))
        new = {path: run for path, run in ordered if path not in specs}
        first = first_tasks(config, new.values())
        for path, run in new.items():
            specs[path], job_of[path] = run, job_file(config, block, run, first)
    for path, run in specs.items():
        jobs.setdefault(job_of[path], []).append(run)
    job_digests = {path: digest(each) for path, each in jobs.items()}  # many analyses read a job
    return Grid(config, blocks, specs, job_of, jobs, job_digests)


def canonical_order(config: Config, run: Spec) -> tuple[Any, ...]:
    """Returns where a spec comes among all there are, whatever the order of the grid."""
    places = [
        list(names).index(run[key])
        for key, names in (
            ("task", [*TASKS, *config.get("folders", {})]),
            ("backbone", BACKBONES),
            ("method", METHODS),
        )
    ]
    return *places, run["variant"] != "default", run["variant"], run["seed"]


def first_tasks(config: Config, runs: Iterable[Spec]) -> dict[tuple[str, str], str]:
    """Returns (modality, task) -> the first task of the job that does the task's `runs`.

    A job does `tasks_per_job` tasks of a modality, one after another, since a process that is
    started takes seconds to import its libraries.
    """
    first, count = {}, config.get("tasks_per_job", 1)
    for each in MODALITIES:
        tasks = list(
            dict.fromkeys(run["task"] for run in runs if modality(run["backbone"]) == each)
        )
        for number, task in enumerate(tasks):
            first[each, task] = tasks[number - number % count]
    return first


def job_file(config: Config, block: str, run: Spec, first: dict[tuple[str, str], str]) -> str:
    """Returns the file that the job of a spec makes: a manifest, which goes by the first of its
    tasks, or the record."""
    if config["granularity"] == "per_run":
        return RECORD.format(**run)
    reads = modality(run["backbone"])
    return MANIFEST.format(**run | {"task": first[reads, run["task"]]}, modality=reads, block=block)


def sliced(grid: Grid, slice_: Slice) -> list[Spec]:
    """Returns the specs of all runs of a slice: of the blocks it names, or of `main`."""
    return list(runs_of(grid, slice_))


def runs_of(grid: Grid, slice_: Slice) -> Iterator[Spec]:
    """Yields the specs of all runs of a slice."""
    wanted = set().union(*(grid.blocks[name] for name in slice_.get("grid", ["main"])))
    belongs = cache(partial(inside, slice_))  # variants and seeds share a cell
    for path, run in grid.specs.items():
        if path in wanted and belongs(run["task"], run["backbone"], run["method"]):
            yield run


def selection(grid: Grid, slice_: Slice) -> dict[str, list[str]]:
    """Returns what `records.reading.load` keeps of a slice's files; they may hold other runs."""
    runs = sliced(grid, slice_)
    keys = ("task", "backbone", "method", "variant")
    return {f"{key}s": sorted({run[key] for run in runs}) for key in keys}


def job_files(grid: Grid, slice_: Slice) -> list[str]:
    """Returns the files that the jobs of a slice make."""
    paths = (RECORD.format(**run) for run in sliced(grid, slice_))
    return list(dict.fromkeys(grid.job_of[path] for path in paths))


def measurement_specs(grid: Grid, name: str, photographs: bool = True) -> list[Spec]:
    """Returns the specs of a measurement, one per task of its slice.

    Without `photographs` they lack the fingerprint of those that it compares with: it takes a look
    at each, too long where it decides nothing.
    """
    measurement = measurements(grid.config)[name]
    reference = reference_of(measurement) if photographs else {}
    runs = sliced(grid, measurement["runs"])
    reads = MEASUREMENTS[name].reads_prompts
    return [
        {
            "scale": grid.config["scale"],
            "kind": grid.config["kind"],
            "measurement": name,
            "task": task,
            "data": data_of(grid.config, task, measurement["data"]),
            "settings": measurement["settings"],
            "runs": [run for run in runs if run["task"] == task] if reads else [],
        }
        | folder_of(grid.config, task)
        | facts_of(grid.config, task)
        | reference
        for task in dict.fromkeys(run["task"] for run in runs)
    ]


def reads_reference(grid: Grid, name: str) -> bool:
    """Returns whether a measurement compares with photographs, which a job looks at for all."""
    settings = measurements(grid.config)[name]["settings"]
    return grid.config["granularity"] == "per_run" and settings.get("reference") is not None


def measurement_paths(grid: Grid, name: str) -> list[str]:
    """Returns the files of a measurement; or none."""
    return list(measurement_files(grid, name, photographs=False))


def measurement_files(grid: Grid, name: str, photographs: bool = True) -> dict[str, list[Spec]]:
    """Returns the files of a measurement, each with the specs of what is in it; or none.

    See measurement_specs for `photographs`.
    """
    if name not in measurements(grid.config):
        return {}
    wanted = measurement_specs(grid, name, photographs)
    if grid.config["granularity"] == "per_task":
        return {ALL_MEASURED.format(**wanted[0]): wanted}
    return {MEASURED.format(**spec): [spec] for spec in wanted}
