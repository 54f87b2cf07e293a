"""Where records are, those of a configuration too, and the manifest of a job that lists them."""

from pathlib import Path
from typing import Any

from vpbench.common.errors import RecordError
from vpbench.common.hashing import digest
from vpbench.common.messages import brief
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import Grid, measurement_files, measurement_specs
from vpbench.spec.products import within
from vpbench.spec.schema import SCHEMA

MANIFEST = ".manifest.json"  # how the name of a manifest ends


def record_path(spec: dict[str, Any], runs: str | Path = "results/runs") -> Path:
    """Returns where the record of `spec` is; a task that is a folder goes by its last name."""
    task = Path(spec["task"]).name
    if task in ("", ".."):
        raise RecordError(f"the task {brief(spec['task'])} has no name; give its folder by name")
    if "measurement" in spec:
        return Path(runs, spec["scale"], spec["measurement"], task + ".json")
    cell = task, spec["backbone"], spec["method"], spec["variant"]
    return Path(runs, spec["scale"], *cell, f"seed{spec['seed']}.json")


def manifest(specs: list[dict[str, Any]], runs: str | Path = "results/runs") -> dict[str, Any]:
    """Returns the manifest of a job: the digest of its specs, and where each record is."""
    records = [{"path": record_path(spec, runs).as_posix(), "spec": spec} for spec in specs]
    return {"schema": SCHEMA, "digest": digest(specs), "records": records}


def specs_by_path(wanted: Grid, results: str | Path) -> dict[Path, dict[str, Any]]:
    """Returns the specs that a `Grid` asks for, by the path of their record."""
    specs = {Path(within(path, results)): spec for path, spec in wanted.specs.items()}
    for name in measurements(wanted.config):
        for spec in measurement_specs(wanted, name):
            specs[record_path(spec, Path(results, "measurements"))] = spec
    return specs


def jobs_of(wanted: Grid) -> dict[str, list[dict[str, Any]]]:
    """Returns the specs of all jobs of a `Grid`, by the file that the job makes."""
    measured = [measurement_files(wanted, name) for name in measurements(wanted.config)]
    return wanted.jobs | {file: specs for files in measured for file, specs in files.items()}
