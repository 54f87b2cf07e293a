"""Results that were forged as a whole: only another evaluation finds it."""

from hashlib import sha256

import numpy as np
import torch
from safetensors.torch import load, save

from tests.helpers.small_results import (
    PROMPT,
    SIDES,
    TEXT,
    WANTED,
    alone,
    edit,
    edit_arrays,
    found,
    put,
    run_file,
)
from vpbench.training import metrics
from vpbench.verify import verification


def forge(results, cell):
    """Returns None once all files of a run agree that every image was classified correctly."""
    path = run_file(results, cell, SIDES)
    edit_arrays(
        path,
        prediction=lambda old: np.arange(24) % 10,
        confidence=lambda old: old * 0 + 0.9,
        log_probability=lambda old: old * 0 + np.log(0.9).astype(old.dtype),
    )
    with np.load(path) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in ("prediction", "confidence")}
        nll = -float(file["log_probability"].mean())
    test = metrics.prediction_metrics(**arrays, nll=nll, labels=arrays["prediction"], classes=10)

    def change(record):
        for picked in record["selection"].values():
            picked["test"] = test

    edit(run_file(results, cell), change)


def test_only_another_evaluation_finds_what_was_forged_as_a_whole(results):
    forge(results, TEXT)
    assert found(results) == []
    where = "selection.last.test.accuracy is 100.0, but evaluation on this machine gives"
    assert alone(results, deep=True).startswith(f"runs/smoke/{TEXT}.json: {where}")


def test_only_another_evaluation_finds_a_prompt_that_was_exchanged(results):
    path = run_file(results, PROMPT, ".prompt.safetensors")
    tensors = load(path.read_bytes())
    forged = save({name: torch.full_like(value, 1e4) for name, value in tensors.items()})
    path.write_bytes(forged)
    card = path.with_suffix(".json")
    edit(card, put("sha256", sha256(forged).hexdigest()))
    assert found(results) == []
    assert alone(results, deep=True).startswith(f"runs/smoke/{PROMPT}.")


def test_only_the_images_tell_that_all_data_hashes_are_wrong(results):
    for path in results.glob("runs/smoke/*/*/*/*/seed0.json"):
        edit(path, put("hashes", "data", "0" * 64))
    assert found(results) == []
    assert all("the images have" in line for line in found(results, deep=True))


def test_all_that_can_be_evaluated_again_gives_the_same(results):
    report = verification.verify(results, WANTED, "given.yaml", deep=True)
    assert report.problems == [] and report.counts["evaluated again"] == 2
