"""A measurement: spec in, record out, like a run; it reads the records of runs."""

import importlib
import time
from functools import cache, partial

from vpbench import catalogue, records
from vpbench.runs import describe_task, peak_memory, versions
from vpbench.tasks import load_task


def measure_all(specs, runs, measurements, device):
    """Yields the path of each measurement record of `specs`; equal ones are not measured again.

    The runs that a spec names must be done: their records are under the folder `runs`. Raises
    records.RecordError if one is missing or was made from another spec.
    """
    for spec in specs:
        complaint = catalogue.complaint(spec, catalogue.measurement_schema(), "spec")
        if complaint:
            raise ValueError(complaint)
    for number, spec in enumerate(specs, start=1):
        path = records.record_path(spec, measurements)
        name = f"[{number}/{len(specs)}] {spec['measurement']} {spec['task']}"
        if records.holds(path, spec):
            print(f"{name}: already there", flush=True)
            yield path
            continue
        print(name, flush=True)
        read = [read_run(run, runs) for run in spec["runs"]]
        module = importlib.import_module(catalogue.MEASUREMENTS[spec["measurement"]].module)
        started = time.perf_counter()
        load = cache(partial(load_task, spec["task"], spec["data"], folder=spec.get("folder")))
        measured = module.measure(load, spec["settings"], read, device)
        record = {
            "schema": catalogue.SCHEMA,
            "spec": spec,
            "task": describe_task(measured.task),
            "rows": measured.rows,
            "versions": versions(),
            "device": str(device),
            "measured": {
                "seconds": time.perf_counter() - started,
                "peak_memory_mb": peak_memory(device),
            },
        }
        if measured.arrays:
            records.write_arrays(path.with_suffix(".arrays.npz"), measured.arrays)
        yield records.write(path, record)


def read_run(spec, runs):
    """Returns the record of exactly this run, with its `file`."""
    path = records.record_path(spec, runs)
    record = records.read(path)
    differing = records.difference(record["spec"], spec)
    if differing:
        key, found, wanted = differing
        raise records.RecordError(
            f"{path}: {key} is {found!r}, but {wanted!r} is asked for; run it again"
        )
    return record | {"file": str(path)}
