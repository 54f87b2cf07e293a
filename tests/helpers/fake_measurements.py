"""Measurements that nothing measured: rows and which images were right, by hand."""

import numpy as np

from tests.helpers.fake_records import record
from vpbench.common import atomic_files
from vpbench.records.paths import record_path


def measurement(name, task, rows, folder, **arrays):
    """Returns the path of the record of a measurement `name` of `task`, with its arrays."""
    spec = {
        "scale": "lab",
        "kind": "twins",
        "measurement": name,
        "task": task,
        "settings": {},
        "runs": [],
    }
    facts = record(task, "clip_micro", "visual_prompt", 50.0)
    spec["data"] = facts["spec"]["data"]
    document = {"schema": facts["schema"], "spec": spec, "task": facts["task"], "rows": rows}
    path = record_path(spec, folder)
    arrays = {key: np.array(values, bool) for key, values in arrays.items()}
    atomic_files.write_arrays(path.with_suffix(".arrays.npz"), arrays)
    return atomic_files.write(path, document | {"versions": {}, "device": "cpu", "measured": {}})
