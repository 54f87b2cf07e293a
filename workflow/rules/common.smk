# What the configuration means: is it legal, which runs does it ask for, which files do they make.
import ast
import hashlib
import json
import os
import re
import sys
from itertools import combinations, product
from pathlib import Path

from snakemake.utils import available_cpu_count

from vpbench import catalogue

RUN = "{scale}/{task}/{backbone}/{method}/{variant}/seed{seed}"
UNIT = "{scale}/{task}/{modality}.{block}"
RECORD = f"results/runs/{RUN}.json"
MANIFEST = f"results/runs/{UNIT}.manifest.json"
MEASURED = "results/measurements/{scale}/{measurement}/{task}.json"
ALL_MEASURED = "results/measurements/{scale}/{measurement}/all.manifest.json"


def library(script):
    """Returns the files of this repository that a script imports, directly or through others.

    Their contents are tracked: an edit makes exactly the tables and figures again that use it.
    """
    found, waiting = set(), [script]
    while waiting:
        for node in ast.walk(ast.parse(Path(waiting.pop()).read_text())):
            if isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
                paths = [f"{name.replace('.', '/')}.py" for name in names]
                new = {path for path in paths if Path(path).is_file()} - found
                found |= new
                waiting += new
    return sorted(found)


def files(folder, pattern):
    """Returns the files of a folder of this repository, sorted."""
    return sorted(path.as_posix() for path in Path(folder).glob(pattern))


PUBLISHED = files("analysis/published", "*.csv")


def configuration():
    """Returns the names of the configuration files in use."""
    return ", ".join(os.path.relpath(path) for path in workflow.configfiles)


def refuse(complaint):
    """Returns None if there is nothing to complain about, else ends Snakemake with that line."""
    if complaint:
        sys.exit(complaint)


def check_configuration():
    """Returns None if the configuration is legal, else ends Snakemake with one line."""
    refuse(catalogue.complaint(config, catalogue.config_schema(), configuration()))
    check_names({"tasks": config["tasks"]}, configuration())
    for name in config.get("folders", {}):
        if name in catalogue.TASKS:
            refuse(f"{configuration()} at folders: {name!r} is a dataset's name; rename it")
    for variant, changes in variants().items():
        if variant == "default":
            refuse(f"{configuration()} at variants: 'default' is the recipe itself; rename it")
        check_changes(changes, f"variants.{variant}", catalogue.SETTINGS)
    for name, block in config["grid"].items():
        where = f"{configuration()} at grid.{name}"
        check_names(block | {"grid": [name]}, where)
        check_changes(block.get("settings", {}), f"grid.{name}.settings", block["methods"])
        check_settings(name, block, where)
    for name, slice_ in config["analyses"].items():
        check_names(slice_, f"{configuration()} at analyses.{name}")
    for name, measurement in measurements().items():
        check_names(measurement["runs"], f"{configuration()} at measurements.{name}.runs")


def check_measurements():
    """Returns None if each measurement has a run to measure."""
    for name in measurements():
        if not measurement_specs(name):
            refuse(f"{configuration()} at measurements.{name}.runs: the grid has no such run")


def variants():
    """Returns the variants: name -> settings that differ from the recipe."""
    return config.get("variants", {})


def measurements():
    """Returns the measurements: name -> whose runs they read, and their settings."""
    return config.get("measurements", {})


def check_changes(changes, where, methods):
    """Returns None if each change is a setting of one of the methods."""
    legal = sorted(set().union(*(catalogue.SETTINGS[method] for method in methods)))
    unknown = sorted(set(changes) - set(legal))
    if unknown:
        refuse(
            f"{configuration()} at {where}: unknown setting {unknown[0]!r}; "
            f"the settings are: {', '.join(legal)}"
        )


def check_names(slice_, where):
    """Returns None if the slice names only what the configuration has."""
    declared = {
        "backbones": config["backbones"],
        "methods": list(config["recipes"]),
        "variants": ["default", *variants()],
        "grid": list(config["grid"]),
        "tasks": [*catalogue.TASKS, *config.get("folders", {})],
    }
    for key, names in declared.items():
        for name in slice_.get(key, ["main"] if key == "grid" else []):
            if name not in names:
                own = {"methods": "recipes", "tasks": "the catalogue or folders"}.get(key, key)
                refuse(f"{where}.{key}: {name!r} is not in {own}: {', '.join(names)}")


def check_settings(name, block, where):
    """Returns None if the merged settings of every run of a block of the grid are legal."""
    runs = block_specs(name, block)
    if not runs:
        refuse(f"{where}: it asks for no run; check its tasks, backbones, modality and shift")
    # Tasks and seeds share their settings.
    for run in {(run["backbone"], run["method"], run["variant"]): run for run in runs}.values():
        schema = catalogue.settings_schema(run["method"], complete=True)
        whose = f"{where}, {run['method']} on {run['backbone']} ({run['variant']})"
        refuse(catalogue.complaint(run["settings"], schema, whose))


def block_variants(name, block):
    """Returns the variants of a block of the grid: name -> settings that differ from the recipe.

    They are those it names, or every combination of its sweep, or the recipe itself, which goes by
    the name of the block if the block has settings of its own.
    """
    if "sweep" in block:
        keys = sorted(block["sweep"])  # names must not depend on the order in the file
        values = product(*(block["sweep"][key] for key in keys))
        combined = [dict(zip(keys, each)) for each in values]
        return {variant_name(name, changes): changes for changes in combined}
    if "variants" in block:
        return {variant: variants().get(variant, {}) for variant in block["variants"]}
    return {name if "settings" in block else "default": {}}


def variant_name(name, values):
    """Returns the name of one combination of a sweep, e.g. padding_size_lr_0_1_size_7."""
    parts = [name, *(f"{key}_{value}" for key, value in values.items())]
    return re.sub("[^a-z0-9]+", "_", "_".join(parts).lower())


def block_specs(name, block):
    """Returns the specs of one block of the grid."""
    cells = product(
        block.get("tasks", config["tasks"]),
        block.get("backbones", config["backbones"]),
        block["methods"],
        block_variants(name, block).items(),
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
            "data": data_of(task, config["data"]),
            "engine": config["engine"],
            "settings": settings_of(method, backbone, block, changes),
        }
        | folder_of(task)
        for task, backbone, method, (variant, changes), seed in cells
        if modality(backbone) in catalogue.METHODS[method].modalities
        and inside(block, task, backbone, method)
    ]


def data_of(task, data):
    """Returns how many images of each split a task uses: `data`, and what differs for the task."""
    return data | config.get("task_data", {}).get(task, {})


def folder_of(task):
    """Returns what a spec says of a task that is a folder of images; of another one nothing."""
    folders = config.get("folders", {})
    return {"folder": folders[task]} if task in folders else {}


def settings_of(method, backbone, block, changes):
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


def catalogue_order(run):
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


def blocks():
    """Returns the blocks of the grid: name -> path of the record -> spec."""
    found = {
        name: {RECORD.format(**run): run for run in block_specs(name, block)}
        for name, block in config["grid"].items()
    }
    for (name, runs), (other, others) in combinations(found.items(), 2):
        for path, run in runs.items():
            if others.get(path, run) != run:
                refuse(
                    f"{configuration()} at grid.{other}: {run['method']}, variant {run['variant']} "
                    f"of {run['task']} has other settings in block {name}; name the variants apart"
                )
    return found


def specs(slice_):
    """Returns the specs of all runs of a slice: of the blocks it names, or of `main`."""
    wanted = set().union(*(BLOCKS[name] for name in slice_.get("grid", ["main"])))
    return [
        run
        for path, run in SPECS.items()
        if path in wanted and inside(slice_, run["task"], run["backbone"], run["method"])
    ]


def selection(slice_):
    """Returns what `records.load` keeps of the files of a slice, which may hold other runs too."""
    runs = specs(slice_)
    keys = ("task", "backbone", "method", "variant")
    return {f"{key}s": sorted({run[key] for run in runs}) for key in keys}


def unit(block, run):
    """Returns the file that the job of a spec makes: the manifest of its task, or its record."""
    path = MANIFEST if config["granularity"] == "per_task" else RECORD
    return path.format(**run, modality=modality(run["backbone"]), block=block)


def units(slice_):
    """Returns the files that the jobs of a slice make."""
    return list(dict.fromkeys(UNIT_OF[RECORD.format(**run)] for run in specs(slice_)))


def measurement_specs(name):
    """Returns the specs of a measurement, one per task of its slice."""
    measurement = measurements()[name]
    runs = specs(measurement["runs"])
    reads = catalogue.MEASUREMENTS[name].reads_prompts
    return [
        {
            "scale": config["scale"],
            "measurement": name,
            "task": task,
            "data": data_of(task, measurement["data"]),
            "settings": measurement["settings"],
            "runs": [run for run in runs if run["task"] == task] if reads else [],
        }
        | folder_of(task)
        for task in dict.fromkeys(run["task"] for run in runs)
    ]


def measurement_files(name):
    """Returns the files of a measurement, each with the specs of what is in it; or none."""
    if name not in measurements():
        return {}
    wanted = measurement_specs(name)
    if config["granularity"] == "per_task":
        return {ALL_MEASURED.format(**wanted[0]): wanted}
    return {MEASURED.format(**spec): [spec] for spec in wanted}


def measured_specs(wildcards):
    """Returns the specs of a measuring job: its only parameter."""
    path = ALL_MEASURED if config["granularity"] == "per_task" else MEASURED
    return canonical(measurement_files(wildcards.measurement)[path.format(**wildcards)])


def measured_runs(wildcards):
    """Returns the files of the runs whose prompts a measuring job reads."""
    if not catalogue.MEASUREMENTS[wildcards.measurement].reads_prompts:
        return []
    slice_ = measurements()[wildcards.measurement]["runs"]
    if config["granularity"] == "per_task":
        return units(slice_)
    return units(slice_ | {"tasks": [wildcards.task]})


def canonical(value):
    """Returns `value` as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(specs):
    """Returns the SHA-256 of a list of specs."""
    return hashlib.sha256(canonical(specs).encode()).hexdigest()


def digests(name, slice_):
    """Returns, for each file that an analysis reads, the SHA-256 of the specs it must come from."""
    read = {path: UNITS[path] for path in units(slice_)} | measurement_files(name)
    return {path: digest(specs) for path, specs in read.items()}


def task_specs(wildcards):
    """Returns the specs of a per_task job: its only parameter, so all that makes it run again."""
    return canonical(wanted(MANIFEST.format(**wildcards)))


def run_spec(wildcards):
    """Returns the spec of a per_run job: its only parameter, so all that makes it run again."""
    return canonical(wanted(RECORD.format(**wildcards))[0])


def wanted(path):
    """Returns the specs of the job that makes `path`."""
    if path not in UNITS:
        refuse(f"{path}: the grid of {configuration()} does not ask for it")
    return UNITS[path]


def task_threads(wildcards):
    """Returns the threads a per_task job claims: more cores than this machine has start no more
    jobs at once than it has."""
    cores = workflow.resource_settings.cores
    if not (cores and workflow.local_exec):
        return 1
    return -(-cores // available_cpu_count())


def torch_threads(wildcards, threads):
    """Returns the threads a job may really use, its share of the processors of this machine."""
    cores = workflow.resource_settings.cores
    if not (cores and workflow.local_exec):
        return threads
    return max(1, threads * min(cores, available_cpu_count()) // cores)


def products(name):
    """Returns the files an analysis makes: a table* in three formats, another with a figure."""
    files = {"csv": f"results/{name}.csv"}
    if name.startswith("table"):
        return files | {"markdown": f"results/{name}.md", "latex": f"results/{name}.tex"}
    return files | {suffix: f"results/figures/{name}.{suffix}" for suffix in ("pdf", "png")}


def reported_products(name):
    """Returns the same with what Snakemake's report shows of them: the table and the figure."""
    files = products(name)
    for key, category in (("csv", "Tables"), ("png", "Figures")):
        if key in files:
            files[key] = reported(files[key], name, category)
    return files


def reported(path, name, category):
    """Returns `path` as an output that Snakemake's report shows."""
    labels = {"name": name, "scale": config["scale"]}
    shown = report(path, caption=f"../report/{name}.rst", category=category, labels=labels)
    return shown


def every_product(wildcards):
    """Returns all tables, figures and pages of the configuration."""
    own = [path for name in config["analyses"] for path in products(name).values()]
    return own + PAGES


def every_smoke_product(wildcards):
    """Returns the same, if the configuration is the one of the smoke test."""
    if config["scale"] != "smoke":
        refuse(f"smoke needs config/smoke.yaml; with {configuration()} the target is `all`")
    if not workflow.local_exec:  # a job elsewhere does not see this command line
        refuse("smoke runs on this machine; elsewhere: --configfile config/smoke.yaml -- all")
    return every_product(wildcards)


def start_message():
    """Returns what the configuration asks for."""
    tasks, backbones = ({run[key] for run in SPECS.values()} for key in ("task", "backbone"))
    return (
        f"{configuration()}: {len(SPECS)} runs at {config['scale']} scale in all "
        f"({len(tasks)} tasks, {len(backbones)} backbones, {len(UNITS)} jobs); "
        "what is done already is kept.\n"
    )


def end_message():
    """Returns where the results are."""
    return (
        f"Done at {config['scale']} scale: the report is results/report.html, "
        "tables are in results/, figures in results/figures/."
    )


check_configuration()
PAGES = ["results/claims.csv", "results/tables.tex", "results/report.html"]
BLOCKS = blocks()
SPECS, UNIT_OF, UNITS = {}, {}, {}
for block, runs in BLOCKS.items():
    for path, run in sorted(runs.items(), key=lambda item: catalogue_order(item[1])):
        if path not in SPECS:  # a run that two blocks ask for is in the job of the first
            SPECS[path], UNIT_OF[path] = run, unit(block, run)
for path, run in SPECS.items():
    UNITS.setdefault(UNIT_OF[path], []).append(run)
check_measurements()


wildcard_constraints:
    scale=config["scale"],
    task="|".join(sorted({run["task"] for run in SPECS.values()})),
    modality="|".join(catalogue.MODALITIES),
    block="|".join(config["grid"]),
    backbone="|".join(config["backbones"]),
    method="|".join(config["recipes"]),
    variant="|".join(sorted({run["variant"] for run in SPECS.values()})),
    measurement="|".join(catalogue.MEASUREMENTS),
    seed=r"\d+",
