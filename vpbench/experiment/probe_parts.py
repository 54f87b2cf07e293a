"""A probe in two parts: features, which want a GPU, and a regression, which has no use for one."""

import json
import time
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save

from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import UserError
from vpbench.common.locks import one_at_a_time
from vpbench.common.messages import first_line
from vpbench.compute.engine import computing
from vpbench.data.task import Task
from vpbench.experiment.outside_parts import outside_parts
from vpbench.experiment.run import check_spec, origin, record_of, settled
from vpbench.experiment.side_files import predictions
from vpbench.methods.kept_models import implementation_of
from vpbench.models.backbone import Backbone
from vpbench.records.schema import difference
from vpbench.spec.aliases import Spec
from vpbench.spec.methods import METHODS

REMEDY = "delete it and make it again by `vpbench features`"


def check_parts(spec: Spec) -> None:
    """Raises UserError unless `spec` is a legal one of a method that is done in two parts."""
    check_spec(spec)
    if not METHODS[spec["method"]].on_features:
        able = ", ".join(name for name, method in METHODS.items() if method.on_features)
        raise UserError(f"{spec['method']} has no features of its own; those of: {able}")


def extract(path: str | Path, spec: Spec, task: Task, backbone: Backbone) -> Path:
    """Returns `path` once it holds the features of all images, and what the record needs to know.

    It is a safetensors file with float32 [N, D] for each split; its card says of which run they
    are, of which weights and images.
    """
    check_parts(spec)
    started = time.perf_counter()
    if backbone.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(backbone.device)
    engine, speeds = settled(spec["engine"], backbone)
    with computing(backbone, engine):
        features = implementation_of(spec["method"]).split_features(
            backbone, task, spec["settings"]
        )
    seconds = time.perf_counter() - started
    brought = outside_parts(spec, task, backbone)
    where = origin(spec, task, backbone, engine, speeds, brought)
    card = {"spec": spec, "seconds": seconds, "origin": where}
    values = {name: each.contiguous() for name, each in features.items()}
    return atomic_files.write_bytes(path, save(values, {"card": json.dumps(card)}))


def read(path: str | Path, spec: Spec, task: Task) -> tuple[dict[str, torch.Tensor], Any]:
    """Returns (split name -> features [N, D], card) of a file that `extract` has made.

    Raises UserError if it is of another run or of other images.
    """
    try:
        with safe_open(path, "pt") as file:
            card = strict_json.parse_json((file.metadata() or {}).get("card", ""))
            features = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, UserError) as error:
        raise UserError(f"{path} holds no features ({first_line(error)}); {REMEDY}") from None
    differing = difference(card["spec"], spec)
    if differing:
        key, its, mine = differing
        raise UserError(f"{path}: its {key} is {its!r}, the run's is {mine!r}; {REMEDY}")
    rows = {name: len(values) for name, values in features.items()}
    if card["origin"]["hashes"]["data"] != task.data_hash or rows != {
        name: len(split) for name, split in task.splits.items()
    }:
        raise UserError(f"{path} has the features of other images of {task.name}; {REMEDY}")
    return features, card


def regress(path: str | Path, spec: Spec, task: Task, features: str | Path) -> Path:
    """Returns `path` once the record of a probe on the file `features` is there.

    It is the one that a run in one part writes: device and memory are those of the features, the
    seconds those of both parts.
    """
    check_parts(spec)
    method = implementation_of(spec["method"])
    started = time.perf_counter()
    of_splits, card = read(features, spec, task)
    fit = method.regression(of_splits, task, spec["settings"], spec["seed"])
    seconds = card["seconds"] + time.perf_counter() - started
    record = record_of(spec, task, fit, seconds, card["origin"])
    arrays = predictions(fit.selected(record["rule"]).evaluations, task)
    with one_at_a_time(Path(path).parent):
        atomic_files.write_arrays(Path(path).with_suffix(".predictions.npz"), arrays)
        return atomic_files.write(path, record)
