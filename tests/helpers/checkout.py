"""A copy of the suite in a folder of its own, and Snakemake in it."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import yaml

from tests.helpers import snakemake_forks
from vpbench.common import hashing
from vpbench.spec.grid import expand
from vpbench.spec.products import request_file

ROOT = Path(__file__).parents[2]
PARTS = ("Snakefile", "analysis", "config", "environment.yml", "profiles", "vpbench", "workflow")


def copy_suite(folder):
    """Returns `folder` with what a run needs and nothing that a run has made."""
    for part in PARTS:
        source, target = ROOT / part, Path(folder, part)
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return Path(folder)


def read_config(name):
    """Returns the configuration config/`name`.yaml."""
    return yaml.safe_load((ROOT / "config" / f"{name}.yaml").read_text())


def write_config(folder, config):
    """Returns the path of a file with this configuration."""
    path = Path(folder, "given.yaml")
    path.write_text(yaml.safe_dump(config, sort_keys=False))
    return path


def command(*arguments):
    """Returns the command line of Snakemake in this Python."""
    return [sys.executable, "-m", "snakemake", *map(str, arguments)]


def environment():
    """Returns the environment of a user who has activated the one of this Python."""
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return inherited | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}


def snakemake(folder, *arguments, succeeds=True):
    """Returns what Snakemake prints; with `succeeds`, it has to end well, and otherwise badly."""
    code, output = snakemake_forks.run(folder, arguments, environment())
    assert (code == 0) == succeeds, output
    return output


def plan(folder, *arguments):
    """Returns what Snakemake would do, with the shell commands."""
    return snakemake(folder, "--dry-run", "--printshellcmds", *arguments)


def planned_jobs(output):
    """Returns rule -> number of jobs, as Snakemake counts them."""
    table = re.search(r"^Job stats:\n.*\n[- ]+\n((?:\w+ +\d+\n)+)", output, re.MULTILINE)
    jobs = {rule: int(count) for rule, count in map(str.split, table[1].splitlines())}
    jobs.pop("total")
    return jobs


def planned_specs(output, config):
    """Returns the specs of all runs of a plan: those that the names of their requests tell."""
    one = config["granularity"] == "per_run"
    jobs = {
        request_file(
            path.removeprefix("results/"), hashing.canonical(specs[0] if one else specs)
        ): specs
        for path, specs in expand(config, "given").jobs.items()
    }
    requests = re.findall(r"python -m vpbench run(?:-task)? @(\S+) ", output)
    return [spec for path in requests for spec in jobs[path]]


def canonical(specs):
    """Returns the specs as a sorted list of JSON texts, to compare whatever their order."""
    return sorted(json.dumps(spec, sort_keys=True) for spec in specs)
