# What rules are made of: files, parameters and threads. What runs there are: vpbench/spec/grid.py.
import ast
import os
import sys
import tempfile
from functools import cache
from pathlib import Path

import yaml
from snakemake.utils import available_cpu_count

from vpbench.common import hashing, job_progress, messages, paths
from vpbench.common.errors import UserError
from vpbench.spec import blocks, caches, grid, outside, products, result_files
from vpbench.spec.analyses import ANALYSES, PAGES
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.modalities import MODALITIES


def library(module):
    """Returns the files of this repository that a module imports, directly or through others.

    Their contents are tracked: an edit makes exactly the tables and figures again that use it. Of
    a module of an installed package it is all files beside it.
    """
    ours = f"{module.replace('.', '/')}.py"
    waiting = [*([ours] if Path(ours).is_file() else outside.files_of(module))]
    waiting.append("analysis/__main__.py")
    found = set(waiting)
    while waiting:
        new = imported(waiting.pop()) - found
        found |= new
        waiting += new
    return sorted(found)


@cache
def imported(script):
    """Returns the files of this repository that a script imports itself."""
    found = set()
    for node in ast.walk(ast.parse(Path(script).read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{each.name}" for each in node.names)]
            found |= {f"{name.replace('.', '/')}.py" for name in names}
    return {path for path in found if Path(path).is_file()}


def files(folder, pattern):
    """Returns the files of a folder of this repository, sorted."""
    return sorted(path.as_posix() for path in Path(folder).glob(pattern))


PUBLISHED = files("analysis/published", "*.csv")


def configuration_files():
    """Returns the names of the configuration files in use, from here: the suite may be moved."""
    return [os.path.relpath(path) for path in workflow.configfiles]


def configuration():
    """Returns the same as one text, and --config where it changes them."""
    changed = ["--config"] if workflow.config_settings.config else []
    return ", ".join([*configuration_files(), *changed])


def check_command_line():
    """Ends with one line where Snakemake has made a text of a number within --config.

    It reads plain values as people mean them, and all that is inside a mapping or list as texts.
    """
    for key, value in (workflow.config_settings.config or {}).items():
        for text in inner_texts(value):
            if not is_text(text):
                sys.exit(
                    f"--config {key}=...: Snakemake reads {text} in it as a text; write {key} into "
                    "a file of its own and give it last: --configfile config/lab.yaml changes.yaml"
                )


def is_text(text):
    """Returns whether YAML reads a plain value as a text."""
    tag = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    return tag.endswith(":str")


def inner_texts(value):
    """Returns the texts that are inside a mapping or list."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [
        text for each in inner for text in ([each] if isinstance(each, str) else inner_texts(each))
    ]


def request(name, text):
    """Returns the file with what a job is asked for.

    Another text is another file, so that the job runs again. It is written by the Snakemake that
    starts the command, on a cluster on the node, so that both see it; a dry run writes nothing.
    """
    path = products.request_file(name, text)
    runs = workflow.executor_plugin and not workflow.dryrun and not workflow.touch
    if runs and not holds(path, text.encode()):
        write_request(path, text.encode())
    return path


def holds(path, data):
    """Returns whether a file is there, and is not damaged."""
    try:
        return Path(path).read_bytes() == data
    except OSError:
        return False


def write_request(path, data):
    """Writes a request. If that fails while jobs run, its job alone fails, which finds none."""
    # Here, because it needs numpy, which takes a tenth of a second.
    from vpbench.common import atomic_files

    check_requests()
    try:
        atomic_files.write_bytes(path, data)
    except UserError as error:
        logger.error(str(error))


@cache
def check_requests():
    """Ends with one line, before any job is started, where no request can be written."""
    folder = Path(products.REQUESTS)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=folder).close()
    except OSError as error:
        sys.exit(
            f"{folder}: what jobs are asked for is not written there, "
            f"{messages.not_written(error)}; make it a folder that can be written"
        )


def arguments_file(name, arguments):
    """Returns the request of an analysis or page, as its command line takes it."""
    file = request(f"{name}.txt", products.request_text(map(str, arguments)))
    return f"@{file}"


def partial_file():
    """Returns the request of partial results."""
    asked = products.partial_request(GRID, configuration_files())
    return request("partial.json", hashing.canonical(asked))


def specs_file(path, specs):
    """Returns the request of the job that makes the file `path` of specs, as vpbench takes it."""
    file = request(path.removeprefix("results/"), hashing.canonical(specs))
    return f"@{file}"


def measured_specs(wildcards):
    """Returns the request of a measuring job: its specs, so all that makes it run again."""
    path = (
        result_files.ALL_MEASURED if config["granularity"] == "per_task" else result_files.MEASURED
    ).format(**wildcards)
    specs = grid.measurement_files(GRID, wildcards.measurement)[path]
    check_photographs(path, specs[0])
    return specs_file(path, specs)


def check_photographs(path, spec):
    """Ends with one line where a measurement is there and what it was compared with is not: the job
    would delete the one and fail for want of the other."""
    if "reference_fingerprint" in spec or not spec["settings"].get("reference"):
        return
    if Path(path).exists() and b'"reference_fingerprint"' in Path(path).read_bytes():
        folder = messages.one_line(paths.placed(spec["settings"]["reference"]))
        sys.exit(
            f"{path} is of photographs that are not here, there is no folder {folder}; mend "
            "`reference`, or, to make tables of what is there without them, give their "
            f"`reference_fingerprint` below measurements.{spec['measurement']}, as that file has it"
        )


def measured_runs(wildcards):
    """Returns the files of the runs whose prompts a measuring job reads."""
    if not MEASUREMENTS[wildcards.measurement].reads_prompts:
        return []
    slice_ = blocks.measurements(config)[wildcards.measurement]["runs"]
    if config["granularity"] == "per_task":
        return grid.job_files(GRID, slice_)
    return grid.job_files(GRID, slice_ | {"tasks": [wildcards.task]})


def measured_reference(wildcards):
    """Returns the file that says that the photographs a measuring job compares with are ready."""
    if grid.reads_reference(GRID, wildcards.measurement):
        return [result_files.REFERENCE.format(**wildcards)]
    return []


def reference_spec(wildcards):
    """Returns the request of the reference of a measurement: the spec of any of its tasks."""
    path = result_files.REFERENCE.format(**wildcards)
    return specs_file(path, grid.measurement_specs(GRID, wildcards.measurement)[0])


def every_cache(wildcards):
    """Returns the files that say that all caches of the configuration are made.

    One whose cache is gone since is removed, so that it is made again.
    """
    if not PREPARED:
        logger.info(f"{configuration()} has no real dataset: nothing to prepare.")
    for path in PREPARED:
        if not caches.stands(path):
            Path(path).unlink(missing_ok=True)
    return list(PREPARED)


def cached(path):
    """Returns the cache that the file `path` says is made."""
    if path not in PREPARED:
        sys.exit(f"{path}: nothing of {configuration()} needs it")
    return PREPARED[path]


def task_specs(wildcards):
    """Returns the request of a per_task job: its specs, so all that makes it run again."""
    path = result_files.MANIFEST.format(**wildcards)
    return specs_file(path, wanted(path))


def run_spec(wildcards):
    """Returns the request of a per_run job: its spec, so all that makes it run again."""
    path = result_files.RECORD.format(**wildcards)
    return specs_file(path, wanted(path)[0])


def wanted(path):
    """Returns the specs of the job that makes `path`."""
    if path not in GRID.jobs:
        sys.exit(f"{path}: the grid of {configuration()} does not ask for it")
    return GRID.jobs[path]


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


def reported_products(name):
    """Returns the files of an analysis, with what Snakemake's report shows: table and figure."""
    files = products.products(name)
    for key, category in (("csv", "Tables"), ("png", "Figures")):
        if key in files:
            files[key] = reported(files[key], name, category)
    return files


def captions_of(names):
    """Returns the captions of analyses; those from elsewhere may have none."""
    folder = Path("workflow/report")
    paths = [outside.caption_of(name, ANALYSES[name].module, folder) for name in names]
    return [path.as_posix() for path in paths if path.is_file()]


def reported(path, name, category):
    """Returns `path` as an output that Snakemake's report shows."""
    labels = {"name": name, "scale": config["scale"]}
    captions = {"caption": os.path.relpath(path, "workflow/rules") for path in captions_of([name])}
    return report(path, category=category, labels=labels, **captions)


def every_product(wildcards):
    """Returns all tables, figures and pages of the configuration."""
    own = [path for name in config["analyses"] for path in products.products(name).values()]
    return own + list(products.PAGES)


def extension_products():
    """Returns the tables and figures about the methods around the paper, if there are any."""
    names = config.get("extensions", [])
    return [path for name in names for path in products.products(name).values()]


def every_extension_product(wildcards):
    """Returns the same and their page."""
    if "extensions" not in config:
        sys.exit(
            f"{configuration()} has no extensions of the paper; the target methods needs "
            "config/methods/lab.yaml, or --configfile config/paper.yaml config/methods/paper.yaml"
        )
    return [*extension_products(), products.EXTENSIONS_PAGE]


def every_smoke_product(wildcards):
    """Returns the same, if the configuration is the one of the smoke test."""
    if config["scale"] != "smoke":
        sys.exit(f"smoke needs config/smoke.yaml; with {configuration()} the target is `all`")
    if not workflow.local_exec:  # a job elsewhere does not see this command line
        sys.exit("smoke runs on this machine; elsewhere: --configfile config/smoke.yaml -- all")
    return every_product(wildcards)


def start_message():
    """Returns what the configuration asks for."""
    tasks, backbones = ({run[key] for run in GRID.specs.values()} for key in ("task", "backbone"))
    return (
        f"{configuration()}: {len(GRID.specs)} runs at {config['scale']} scale in all "
        f"({len(tasks)} tasks, {len(backbones)} backbones, {len(GRID.jobs)} jobs); "
        "what is done already is kept.\n"
    )


def end_message():
    """Returns where the pages are that were asked for."""
    pages = {
        "report": "the report is results/report.html, tables are in results/, figures in "
        "results/figures/",
        "methods_report": f"the methods around the paper are in {products.EXTENSIONS_PAGE}",
        "partial": "what is there so far is in results/partial/report.html",
    }
    asked = {job.rule.name for job in workflow.dag.jobs}
    said = [where for rule, where in pages.items() if rule in asked]
    return f"Done at {config['scale']} scale: {'; '.join(said) or 'what was asked for is there'}."


if workflow.is_main_process:  # what it passes on to jobs is read alike
    check_command_line()

try:
    GRID = grid.expand(config, configuration())
except ValueError as error:
    sys.exit(str(error))

# Without what the tasks and backbones leave no run of.
for key in ("analyses", "measurements", "extensions"):
    config.pop(key, None)
    if key in GRID.config:
        config[key] = GRID.config[key]
if workflow.is_main_process:
    for line in GRID.left_out:
        logger.warning(line)

# Jobs find them in their environment, not in a parameter: another folder, or another device, runs
# nothing again.
paths.use(config.get("data_dir"), config.get("weights_dir"), config.get("device"))
try:
    paths.known_device()
except UserError as error:
    sys.exit(str(error))

PREPARED = {  # file -> the cache that it says is made
    f"{paths.data_dir()}/cache/{each.task}/{each.name}.prepared": each
    for each in caches.caches(GRID)
}


wildcard_constraints:
    scale=config["scale"],
    task="|".join(sorted({run["task"] for run in GRID.specs.values()})),
    modality="|".join(MODALITIES),
    block="|".join(config["grid"]),
    backbone="|".join(config["backbones"]),
    method="|".join(config["recipes"]),
    variant="|".join(sorted({run["variant"] for run in GRID.specs.values()})),
    measurement="|".join(MEASUREMENTS),
    seed=r"\d+",
