"""What a configuration asks for: its runs, the jobs that do them, and their files; no torch here.

A run is described by its spec. A slice says which runs: of which blocks, tasks, backbones and so
on; a key that it lacks means all.
"""

import hashlib
import json
import math
import re
from functools import cache, partial
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

from vpbench import catalogue

RUN = "{scale}/{task}/{backbone}/{method}/{variant}/seed{seed}"
UNIT = "{scale}/{task}/{modality}.{block}"
RECORD = f"results/runs/{RUN}.json"
MANIFEST = f"results/runs/{UNIT}.manifest.json"
MEASURED = "results/measurements/{scale}/{measurement}/{task}.json"
ALL_MEASURED = "results/measurements/{scale}/{measurement}/all.manifest.json"
MOST = 100_000  # runs of a block
PAGES = ("results/claims.csv", "results/tables.tex", "results/report.html")
PAGE_AROUND = "results/methods.html"  # of the methods around the paper


class Grid(NamedTuple):
    """The runs of a configuration: `specs` by the path of their record, `jobs` by their file."""

    config: dict
    blocks: dict[str, dict]  # block of the grid -> path of the record -> spec
    specs: dict[str, dict]  # path of the record -> spec
    job_of: dict[str, str]  # path of the record -> file that its job makes
    jobs: dict[str, list]  # file that a job makes -> specs
    job_digests: dict[str, str]  # file that a job makes -> SHA-256 of its specs


def expand(config, where):
    """Returns the `Grid` of a configuration, which comes from the file(s) `where`.

    Raises ValueError, in one line, if something in it is not legal.
    """
    refuse(catalogue.complaint(config, catalogue.config_schema(), where))
    check_names(config, {"tasks": config["tasks"], "grid": []}, where)
    for name in config.get("folders", {}):
        if name in catalogue.TASKS:
            refuse(f"{where} at folders: {name!r} is a dataset's name; rename it")
    for variant, changes in variants(config).items():
        if variant == "default":
            refuse(f"{where} at variants: 'default' is the recipe itself; rename it")
        check_changes(changes, f"{where} at variants.{variant}", catalogue.SETTINGS)
    blocks = {}
    for name, block in config["grid"].items():
        check_names(config, block | {"grid": [name]}, f"{where} at grid.{name}")
        changes = block.get("settings", {})
        check_changes(changes, f"{where} at grid.{name}.settings", block["methods"])
        check_count(config, block, f"{where} at grid.{name}")
        runs = block_specs(config, name, block)
        check_settings(runs, f"{where} at grid.{name}")
        blocks[name] = {RECORD.format(**run): run for run in runs}
    for name, slice_ in config["analyses"].items():
        check_names(config, slice_, f"{where} at analyses.{name}")
    for name in config.get("around_the_paper", []):
        if name not in config["analyses"]:
            refuse(f"{where} at around_the_paper: {name!r} is not in analyses")
    for name, measurement in measurements(config).items():
        check_names(config, measurement["runs"], f"{where} at measurements.{name}.runs")
    check_conflicts(blocks, where)
    grid = assigned(config, blocks)
    for name in measurements(config):
        if not measurement_specs(grid, name):
            refuse(f"{where} at measurements.{name}.runs: the grid has no such run")
    return grid


def refuse(complaint):
    """Returns None if there is nothing to complain about, else raises ValueError with that line."""
    if complaint:
        raise ValueError(complaint)


def variants(config):
    """Returns the variants: name -> settings that differ from the recipe."""
    return config.get("variants", {})


def measurements(config):
    """Returns the measurements: name -> whose runs they read, and their settings."""
    return config.get("measurements", {})


def check_changes(changes, where, methods):
    """Returns None if each change is a setting of one of the methods."""
    legal = sorted(set().union(*(catalogue.SETTINGS[method] for method in methods)))
    unknown = sorted(set(changes) - set(legal))
    if unknown:
        refuse(f"{where}: unknown setting {unknown[0]!r}; the settings are: {', '.join(legal)}")


def check_names(config, slice_, where):
    """Returns None if the slice names only what the configuration has."""
    declared = {
        "backbones": config["backbones"],
        "methods": list(config["recipes"]),
        "variants": ["default", *variants(config)],
        "grid": list(config["grid"]),
        "tasks": [*catalogue.TASKS, *config.get("folders", {})],
    }
    for key, names in declared.items():
        for name in slice_.get(key, ["main"] if key == "grid" else []):
            if name not in names:
                own = {"methods": "recipes", "tasks": "the catalogue or folders"}.get(key, key)
                refuse(f"{where}.{key}: {name!r} is not in {own}: {', '.join(names)}")


def check_count(config, block, where):
    """Returns None if a block asks for no more runs than can be listed."""
    values = (
        *block.get("sweep", {}).values(),
        *(block.get("tasks", config["tasks"]), block.get("backbones", config["backbones"])),
        *(block["methods"], block["seeds"], block.get("variants", [None])),
    )
    count = math.prod(map(len, values))
    if count > MOST:
        refuse(f"{where}: it asks for {count:,} runs; at most {MOST:,} can be listed")


def check_settings(runs, where):
    """Returns None if every run of a block of the grid has legal settings and a method that its
    backbone can do."""
    if not runs:
        refuse(f"{where}: it asks for no run; check its tasks, backbones, modality and shift")
    # Tasks and seeds share their settings.
    for run in {(run["backbone"], run["method"], run["variant"]): run for run in runs}.values():
        schema = catalogue.settings_schema(run["method"], complete=True)
        whose = f"{where}, {run['method']} on {run['backbone']} ({run['variant']})"
        refuse(catalogue.complaint(run["settings"], schema, whose))
        misfit = catalogue.misfit(run["method"], run["backbone"])
        refuse(misfit and f"{where}: {misfit}")


def check_conflicts(blocks, where):
    """Returns None if no two blocks ask for different runs with the same record."""
    for (name, runs), (other, others) in combinations(blocks.items(), 2):
        for path, run in runs.items():
            if others.get(path, run) != run:
                refuse(
                    f"{where} at grid.{other}: {run['method']}, variant {run['variant']} "
                    f"of {run['task']} has other settings in block {name}; name the variants apart"
                )


def assigned(config, blocks):
    """Returns the `Grid` of blocks: a run that two of them ask for is in the job of the first."""
    specs, job_of, jobs = {}, {}, {}
    for block, runs in blocks.items():
        ordered = sorted(runs.items(), key=lambda item: catalogue_order(config, item[1]))
        new = {path: run for path, run in ordered if path not in specs}
        first = first_tasks(config, new.values())
        for path, run in new.items():
            specs[path], job_of[path] = run, job_file(config, block, run, first)
    for path, run in specs.items():
        jobs.setdefault(job_of[path], []).append(run)
    job_digests = {path: digest(each) for path, each in jobs.items()}  # many analyses read a job
    return Grid(config, blocks, specs, job_of, jobs, job_digests)


def catalogue_order(config, run):
    """Returns the place of a spec in the catalogue, so that the order of the grid is no matter."""
    places = [
        list(names).index(run[key])
        for key, names in (
            ("task", [*catalogue.TASKS, *config.get("folders", {})]),
            ("backbone", catalogue.BACKBONES),
            ("method", catalogue.METHODS),
        )
    ]
    return *places, run["variant"] != "default", run["variant"], run["seed"]


def first_tasks(config, runs):
    """Returns (modality, task) -> the first task of the job that does the task's `runs`.

    A job does `tasks_per_job` tasks of a modality, one after another, since a process that is
    started takes seconds to import its libraries.
    """
    first, count = {}, config.get("tasks_per_job", 1)
    for each in catalogue.MODALITIES:
        own = [run["task"] for run in runs if modality(run["backbone"]) == each]
        tasks = list(dict.fromkeys(own))
        for number, task in enumerate(tasks):
            first[each, task] = tasks[number - number % count]
    return first


def job_file(config, block, run, first):
    """Returns the file that the job of a spec makes: a manifest, which goes by the first of its
    tasks, or the record."""
    if config["granularity"] == "per_run":
        return RECORD.format(**run)
    reads = modality(run["backbone"])
    return MANIFEST.format(**run | {"task": first[reads, run["task"]]}, modality=reads, block=block)


def block_variants(config, name, block):
    """Returns the variants of a block of the grid: name -> settings that differ from the recipe.

    They are those it names, or every combination of its sweep, or the recipe itself, which goes by
    the name of the block if the block has settings or data of its own.
    """
    if "sweep" in block:
        keys = sorted(block["sweep"])  # names must not depend on the order in the file
        values = product(*(block["sweep"][key] for key in keys))
        combined = [dict(zip(keys, each)) for each in values]
        return {variant_name(name, changes): changes for changes in combined}
    if "variants" in block:
        return {variant: variants(config).get(variant, {}) for variant in block["variants"]}
    own = "settings" in block or "data" in block
    return {name if own else "default": {}}


def variant_name(name, values):
    """Returns the name of one combination of a sweep, e.g. padding_size_lr_0_1_size_7."""
    parts = [name, *(f"{key}_{value}" for key, value in values.items())]
    return re.sub("[^a-z0-9]+", "_", "_".join(parts).lower())


def block_specs(config, name, block):
    """Returns the specs of one block of the grid."""
    cells = product(
        block.get("tasks", config["tasks"]),
        block.get("backbones", config["backbones"]),
        block["methods"],
        block_variants(config, name, block).items(),
        block["seeds"],
    )
    return [
        {
            "scale": config["scale"],
            "task": task,
            "backbone": backbone,
            "method": method,
            "variant": variant,
            "seed": seed,
            "data": data_of(config, task, config["data"]) | block.get("data", {}),
            "engine": config["engine"],
            "settings": settings_of(config, method, backbone, block, changes),
        }
        | folder_of(config, task)
        for task, backbone, method, (variant, changes), seed in cells
        if modality(backbone) in catalogue.METHODS[method].modalities
        and inside(block, task, backbone, method)
    ]


def data_of(config, task, data):
    """Returns how many images of each split a task uses: `data`, and what differs for the task."""
    return data | config.get("task_data", {}).get(task, {})


def folder_of(config, task):
    """Returns what a spec says of a task that is a folder of images; of another one nothing."""
    folders = config.get("folders", {})
    return {"folder": folders[task]} if task in folders else {}


def settings_of(config, method, backbone, block, changes):
    """Returns the settings of a run: the recipe, what its backbone changes, then what the block
    changes of this method's settings, then its variant."""
    recipe = catalogue.merge_settings(config["recipes"], method, backbone)
    known = catalogue.SETTINGS[method]
    own = {key: value for key, value in block.get("settings", {}).items() if key in known}
    return recipe | own | changes


def modality(backbone):
    """Returns whether `backbone` reads pictures and text or pictures only."""
    return catalogue.BACKBONES[backbone].modality


def inside(slice_, task, backbone, method):
    """Returns whether a run belongs to a slice; a key that the slice lacks means all."""
    names = {"tasks": task, "backbones": backbone, "methods": method}
    shift = task in catalogue.TASKS and catalogue.TASKS[task].shift
    facts = {"modality": modality(backbone), "shift": shift}
    return all(name in slice_.get(key, [name]) for key, name in names.items()) and all(
        fact == slice_.get(key, fact) for key, fact in facts.items()
    )


def sliced(grid, slice_):
    """Returns the specs of all runs of a slice: of the blocks it names, or of `main`."""
    wanted = set().union(*(grid.blocks[name] for name in slice_.get("grid", ["main"])))
    belongs = cache(partial(inside, slice_))  # variants and seeds share a cell
    return [
        run
        for path, run in grid.specs.items()
        if path in wanted and belongs(run["task"], run["backbone"], run["method"])
    ]


def selection(grid, slice_):
    """Returns what `records.load` keeps of the files of a slice, which may hold other runs too."""
    runs = sliced(grid, slice_)
    keys = ("task", "backbone", "method", "variant")
    return {f"{key}s": sorted({run[key] for run in runs}) for key in keys}


def job_files(grid, slice_):
    """Returns the files that the jobs of a slice make."""
    paths = (RECORD.format(**run) for run in sliced(grid, slice_))
    return list(dict.fromkeys(grid.job_of[path] for path in paths))


def measurement_specs(grid, name):
    """Returns the specs of a measurement, one per task of its slice."""
    measurement = measurements(grid.config)[name]
    runs = sliced(grid, measurement["runs"])
    reads = catalogue.MEASUREMENTS[name].reads_prompts
    return [
        {
            "scale": grid.config["scale"],
            "measurement": name,
            "task": task,
            "data": data_of(grid.config, task, measurement["data"]),
            "settings": measurement["settings"],
            "runs": [run for run in runs if run["task"] == task] if reads else [],
        }
        | folder_of(grid.config, task)
        for task in dict.fromkeys(run["task"] for run in runs)
    ]


def measurement_files(grid, name):
    """Returns the files of a measurement, each with the specs of what is in it; or none."""
    if name not in measurements(grid.config):
        return {}
    wanted = measurement_specs(grid, name)
    if grid.config["granularity"] == "per_task":
        return {ALL_MEASURED.format(**wanted[0]): wanted}
    return {MEASURED.format(**spec): [spec] for spec in wanted}


def canonical(value):
    """Returns `value` as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(specs):
    """Returns the SHA-256 of a list of specs."""
    return hashlib.sha256(canonical(specs).encode()).hexdigest()


def digests(grid, name, slice_):
    """Returns, for each file that an analysis reads, the SHA-256 of the specs it must come from."""
    read = {path: grid.job_digests[path] for path in job_files(grid, slice_)}
    measured = measurement_files(grid, name).items()
    return read | {path: digest(specs) for path, specs in measured}


def rule_name(name):
    """Returns what the rule of an analysis is called: as the analysis, unless a target is."""
    return "methods_table" if name == "methods" else name


def products(name, results="results"):
    """Returns the files an analysis makes: a table* in three formats, another with a figure."""
    files = {"csv": f"{results}/{name}.csv"}
    if name.startswith("table"):
        return files | {"markdown": f"{results}/{name}.md", "latex": f"{results}/{name}.tex"}
    return files | {suffix: f"{results}/figures/{name}.{suffix}" for suffix in ("pdf", "png")}


def within(path, results):
    """Returns where a file of `results/` is if that folder is at `results`."""
    return Path(results, Path(path).relative_to("results")).as_posix()


def analysis_arguments(grid, name, results="results", out="results"):
    """Returns the arguments of analysis/`name`.py.

    It reads the records of the folder `results` and writes its products into the folder `out`.
    """

    def here(paths):
        return [within(path, results) for path in paths]

    slice_ = grid.config["analyses"][name]
    expected = digests(grid, name, slice_)
    expected = dict(zip(here(expected), expected.values(), strict=True))
    arguments = ["--runs", *here(job_files(grid, slice_))]
    arguments += ["--select", canonical(selection(grid, slice_))]
    arguments += ["--digests", canonical(expected)]
    if measured := measurement_files(grid, name):
        arguments += ["--measurements", *here(measured)]
    made = products(name, out)
    figures = ["--figures", str(Path(made["png"]).parent)] if "png" in made else []
    return [*arguments, "--out", made["csv"], *figures]


def claims_arguments(grid, results="results"):
    """Returns the arguments of analysis/claims.py, which reads and writes the folder `results`."""
    names = ["--names", *grid.config["analyses"]]
    out = ["--out", within("results/claims.csv", results)]
    return ["--results", str(results), *names, "--scale", grid.config["scale"], *out]


def document_arguments(grid, results="results"):
    """Returns the arguments of analysis/latex_document.py, for the tables in `results`."""
    made = (products(name, results) for name in grid.config["analyses"])
    tables = [files["latex"] for files in made if "latex" in files]
    return ["--tables", *tables, "--out", within("results/tables.tex", results)]
