"""A measurement: spec in, record out, like a run; it reads the records of runs."""

import importlib
import time
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch

from vpbench.common import atomic_files
from vpbench.data.load import load_task
from vpbench.experiment.provenance import commit, describe_task, peak_memory, versions
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.spec import made_up, schema_check
from vpbench.spec.fingerprints import check_reference
from vpbench.spec.measurements import MEASUREMENTS
from vpbench.spec.schema import SCHEMA, measurement_schema


def measure_all(
    specs: list[dict[str, Any]],
    runs: str | Path,
    measurements: str | Path,
    device: torch.device,
) -> Iterator[Path]:
    """Yields the path of each measurement record of `specs`; equal ones are not measured again.

    The runs that a spec names must be done: their records are under the folder `runs`. Raises
    common.errors.RecordError if one is missing or was made from another spec.
    """
    for spec in specs:
        schema_check.check(spec, measurement_schema(), "spec")
    for number, spec in enumerate(specs, start=1):
        path = record_path(spec, measurements)
        name = f"[{number}/{len(specs)}] {spec['measurement']} {spec['task']}"
        if reading.holds(path, spec):
            print(f"{name}: already there", flush=True)
            yield path
            continue
        print(name, flush=True)
        read = [
            reading.read_of(record_path(run, runs), run, "run it again") for run in spec["runs"]
        ]
        module = importlib.import_module(MEASUREMENTS[spec["measurement"]].module)
        made_up.use(spec)
        check_reference(spec)
        started = time.perf_counter()
        load = cache(partial(load_task, spec["task"], spec["data"], folder=spec.get("folder")))
        measured = module.measure(load, spec["settings"], read, device)
        record = {
            "schema": SCHEMA,
            "spec": spec,
            "task": describe_task(measured.task),
            "rows": measured.rows,
            "versions": versions(),
            "commit": commit(),
            "device": str(device),
            "measured": {
                "seconds": time.perf_counter() - started,
                "peak_memory_mb": peak_memory(device),
            },
        }
        if measured.arrays:
            atomic_files.write_arrays(path.with_suffix(".arrays.npz"), measured.arrays)
        yield atomic_files.write(path, record)
