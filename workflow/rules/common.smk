# What the configuration means: is it legal, which runs does it ask for, which files do they make.
import hashlib
import json
import os
import sys
from itertools import product
from pathlib import Path

from snakemake.utils import available_cpu_count

from vpbench import catalogue

RUN = "{scale}/{task}/{backbone}/{method}/{variant}/seed{seed}"
UNIT = "{scale}/{task}/{modality}"
RECORD = f"results/runs/{RUN}.json"
MANIFEST = f"results/runs/{UNIT}.manifest.json"

# What every analysis reads besides its script and its records; their contents are tracked.
ANALYSIS_LIBRARY = [
    "vpbench/records.py",
    "vpbench/catalogue.py",
    *(f"analysis/{name}.py" for name in ("runs", "cells", "published", "render", "style")),
]
PUBLISHED = sorted(path.as_posix() for path in Path("analysis/published").glob("*.csv"))


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
    for variant, changes in variants().items():
        check_variant(variant, changes)
    for position, block in enumerate(config["grid"]):
        check_names(block, f"{configuration()} at grid.{position}")
        check_settings(block, f"{configuration()} at grid.{position}")
    for name, slice_ in config["analyses"].items():
        check_names(slice_, f"{configuration()} at analyses.{name}")


def variants():
    """Returns the variants: name -> settings that differ from the recipe."""
    return config.get("variants", {})


def check_variant(variant, changes):
    """Returns None if the name is free and each change is a setting of some method."""
    if variant == "default":
        refuse(f"{configuration()} at variants: 'default' is the recipe itself; rename it")
    legal = sorted(set().union(*catalogue.SETTINGS.values()))
    unknown = sorted(set(changes) - set(legal))
    if unknown:
        refuse(
            f"{configuration()} at variants.{variant}: unknown setting {unknown[0]!r}; "
            f"the settings are: {', '.join(legal)}"
        )


def check_names(slice_, where):
    """Returns None if the slice names only what the configuration has."""
    declared = {
        "tasks": config["tasks"],
        "backbones": config["backbones"],
        "methods": list(config["recipes"]),
        "variants": ["default", *variants()],
    }
    for key, names in declared.items():
        for name in slice_.get(key, []):
            if name not in names:
                own = "recipes" if key == "methods" else key
                refuse(f"{where}.{key}: {name!r} is not in {own}: {', '.join(names)}")


def check_settings(block, where):
    """Returns None if the merged settings of every run of a block of the grid are legal."""
    cells = {(run["backbone"], run["method"], run["variant"]) for run in block_specs(block)}
    if not cells:
        refuse(f"{where}: it asks for no run; check its tasks, backbones, modality and shift")
    for backbone, method, variant in sorted(cells):
        settings = merged_settings(backbone, method, variant)
        schema = catalogue.settings_schema(method, complete=True)
        whose = f"{where}, {method} on {backbone} ({variant})"
        refuse(catalogue.complaint(settings, schema, whose))


def merged_settings(backbone, method, variant):
    """Returns the settings of a run: the recipe, what its backbone changes, then its variant."""
    settings = catalogue.merge_settings(config["recipes"], method, backbone)
    return settings | variants().get(variant, {})


def block_specs(block):
    """Returns the specs of one block of the grid; without `variants` it means the recipe only."""
    cells = product(
        config["tasks"],
        config["backbones"],
        block["methods"],
        block.get("variants", ["default"]),
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
            "data": config["data"],
            "settings": merged_settings(backbone, method, variant),
        }
        for task, backbone, method, variant, seed in cells
        if modality(backbone) in catalogue.METHODS[method].modalities
        and inside(block, task, backbone, method, variant)
    ]


def modality(backbone):
    """Returns whether `backbone` reads pictures and text or pictures only."""
    return catalogue.BACKBONES[backbone].modality


def inside(slice_, task, backbone, method, variant):
    """Returns whether a run belongs to a slice; a key that the slice lacks means all."""
    names = {"tasks": task, "backbones": backbone, "methods": method, "variants": variant}
    facts = {"modality": modality(backbone), "shift": catalogue.TASKS[task].shift}
    return all(name in slice_.get(key, [name]) for key, name in names.items()) and all(
        fact == slice_.get(key, fact) for key, fact in facts.items()
    )


def catalogue_order(run):
    """Returns the place of a spec in the catalogue, so that the order of the grid is no matter."""
    places = [
        list(names).index(run[key])
        for key, names in (
            ("task", catalogue.TASKS),
            ("backbone", catalogue.BACKBONES),
            ("method", catalogue.METHODS),
        )
    ]
    return *places, run["variant"] != "default", run["variant"], run["seed"]


def every_spec():
    """Returns the specs of the whole grid; a run that two blocks ask for is there once."""
    runs = [run for block in config["grid"] for run in block_specs(block)]
    return sorted({RECORD.format(**run): run for run in runs}.values(), key=catalogue_order)


def specs(slice_):
    """Returns the specs of all runs of a slice of the grid."""
    return [
        run
        for run in SPECS
        if inside(slice_, run["task"], run["backbone"], run["method"], run["variant"])
    ]


def unit(run):
    """Returns the file that the job of a spec makes: the manifest of its task, or its record."""
    path = MANIFEST if config["granularity"] == "per_task" else RECORD
    return path.format(**run, modality=modality(run["backbone"]))


def units(slice_):
    """Returns the files that the jobs of a slice make."""
    return list(dict.fromkeys(map(unit, specs(slice_))))


def canonical(value):
    """Returns `value` as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digests(slice_):
    """Returns, for every file that a slice reads, the SHA-256 of the specs it must come from."""
    return {
        path: hashlib.sha256(canonical(UNITS[path]).encode()).hexdigest() for path in units(slice_)
    }


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
    """Returns the files an analysis makes: a table* in three formats, a figure* with its numbers,
    and under any other name a csv alone."""
    files = {"csv": f"results/{name}.csv"}
    if name.startswith("table"):
        files |= {"markdown": f"results/{name}.md", "latex": f"results/{name}.tex"}
    if name.startswith("figure"):
        files |= {suffix: f"results/figures/{name}.{suffix}" for suffix in ("pdf", "png")}
    return files


def reported_products(name):
    """Returns the same with what the report shows of them: the picture, else the table."""
    files = products(name)
    key, category = ("png", "Figures") if "png" in files else ("csv", "Tables")
    caption = f"../report/{name}.rst"
    shown = report(files[key], caption=caption, category=category, labels={"name": name})
    return files | {key: shown}


def every_product(wildcards):
    """Returns all tables and figures of the configuration."""
    return [path for name in config["analyses"] for path in products(name).values()]


def every_smoke_product(wildcards):
    """Returns the same, if the configuration is the one of the smoke test."""
    if config["scale"] != "smoke":
        refuse(f"smoke needs config/smoke.yaml; with {configuration()} the target is `all`")
    if not workflow.local_exec:  # a job elsewhere does not see this command line
        refuse("smoke runs on this machine; elsewhere: --configfile config/smoke.yaml -- all")
    return every_product(wildcards)


def start_message():
    """Returns what the configuration asks for."""
    tasks, backbones = ({run[key] for run in SPECS} for key in ("task", "backbone"))
    return (
        f"{configuration()}: {len(SPECS)} runs at {config['scale']} scale in all "
        f"({len(tasks)} tasks, {len(backbones)} backbones, {len(UNITS)} jobs); "
        "what is done already is kept.\n"
    )


def end_message():
    """Returns where the results are."""
    return f"Done at {config['scale']} scale: tables in results/, figures in results/figures/."


check_configuration()
SPECS = every_spec()
UNITS = {path: [run for run in SPECS if unit(run) == path] for path in map(unit, SPECS)}


wildcard_constraints:
    scale=config["scale"],
    task="|".join(config["tasks"]),
    modality="|".join(catalogue.MODALITIES),
    backbone="|".join(config["backbones"]),
    method="|".join(config["recipes"]),
    variant="|".join(["default", *variants()]),
    seed=r"\d+",
