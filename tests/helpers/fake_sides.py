"""Side files that no run made, beside made-up records."""

import numpy as np

from vpbench.common import atomic_files
from vpbench.records.paths import record_path


def beside(record, folder, right=None, validation=None, **arrays):
    """Returns `record` as loaded from `folder`, with predictions and the given side files.

    `right` says for every test image whether it is classified correctly; by default the first
    images are, as many as the record's accuracy says. The predictions also hold the arrays
    `validation`.
    """
    spec = record["spec"]
    path = record_path(spec, folder)
    if right is None:
        count = spec["data"]["test"]
        accuracy = record["selection"][record["rule"]]["test"]["accuracy"]
        right = np.arange(count) < round(count * accuracy / 100)
    right = np.asarray(right, bool)
    labels = np.arange(len(right)) % record["task"]["classes"]
    predictions = {
        "id": [f"test/{number}" for number in range(len(right))],
        "label": labels,
        "prediction": np.where(right, labels, (labels + 1) % record["task"]["classes"]),
    }
    predictions |= validation or {}
    for name, values in {"predictions": predictions, **arrays}.items():
        atomic_files.write_arrays(path.with_suffix(f".{name}.npz"), values)
    return record | {"file": str(path)}


def examples(template="fixed_patch", size=56, value=2.5, number=4):
    """Returns the side file `examples` of a one-pixel prompt on noisy pictures."""
    generator = np.random.default_rng(0)
    images = generator.integers(60, 200, (number, size, size, 3)).astype(np.uint8)
    canvas = np.zeros((3, size, size), np.float32)
    place = 0 if template == "fixed_patch" else size // 2
    canvas[:, place, place] = value, -value, -value
    added = images / 255 + canvas.transpose(1, 2, 0)
    prompted = (255 * np.clip(added, 0, 1)).round().astype(np.uint8)
    arrays = {"images": images, "prompted": prompted, "canvas": canvas}
    return arrays | {"labels": np.arange(number)}
