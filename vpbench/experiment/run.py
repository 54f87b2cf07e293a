"""A run: spec in, record out. The same function serves one run, a whole task, and every scale."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from vpbench.common.hashing import canonical
from vpbench.common.locks import one_at_a_time
from vpbench.compute import distributed
from vpbench.compute.engine import Engine, computing
from vpbench.compute.precision import fastest_precision
from vpbench.data.load import load_task
from vpbench.data.task import Task, few_shot
from vpbench.experiment.outside_parts import outside_parts
from vpbench.experiment.provenance import (
    commit,
    describe_backbone,
    describe_task,
    device_name,
    hashes,
    peak_memory,
    processor,
    versions,
)
from vpbench.experiment.side_files import predictions, write_run
from vpbench.methods.fit import Fit
from vpbench.methods.kept_models import implementation_of
from vpbench.models.backbone import Backbone, load_backbone
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.spec import made_up, schema_check
from vpbench.spec.aliases import Spec
from vpbench.spec.grid_checks import refuse
from vpbench.spec.methods import misfit, selection_rule
from vpbench.spec.preprocessing import Preprocessing, preprocessing_of
from vpbench.spec.schema import SCHEMA, spec_schema
from vpbench.training.checkpoint import Checkpoint


def check_spec(spec: Spec) -> None:
    """Raises UserError, with one line, unless `spec` is legal."""
    schema_check.check(spec, spec_schema(), "spec")
    refuse(misfit(spec["method"], spec["backbone"]))


def run(
    spec: Spec, task: Task, backbone: Backbone, checkpoint: Checkpoint | None = None
) -> tuple[dict[str, Any], dict[str, Any], Fit]:
    """Returns (record, predictions, fit) of one run on a loaded task and backbone.

    A method that is trained by steps goes on from its `checkpoint`, if there is one.
    """
    check_spec(spec)
    checkpoint = checkpoint or Checkpoint()
    method = implementation_of(spec["method"])
    if backbone.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(backbone.device)
    options = {"checkpoint": checkpoint} if "epochs" in spec["settings"] else {}
    brought = outside_parts(spec, task, backbone)  # before it takes hours: it may be refused
    engine, speeds = settled(spec["engine"], backbone)
    checkpoint.about["precision"] = engine.precision  # another machine may be faster in another
    with computing(backbone, engine):
        fit = method.fit(backbone, task, spec["settings"], spec["seed"], **options)
    seconds = checkpoint.seconds
    where = origin(spec, task, backbone, engine, speeds, brought)
    record = record_of(spec, task, fit, seconds, where)
    return record, predictions(fit.selected(record["rule"]).evaluations, task), fit


def origin(
    spec: Spec,
    task: Task,
    backbone: Backbone,
    engine: Engine,
    speeds: dict[str, float] | None,
    brought: list[dict[str, Any]],
) -> dict[str, Any]:
    """Returns what a record says of where its numbers come from: model, data, code, machine.

    `brought` is what installed packages bring: see outside_parts.
    """
    return {
        "backbone": describe_backbone(spec["backbone"], backbone),
        "hashes": hashes(task, backbone),
        "versions": versions(),
        "commit": commit(),
        "processor": processor(),
        "device": str(backbone.device),
        "measured": {
            "peak_memory_mb": peak_memory(backbone.device),
            "processes": distributed.processes(),
            "precision": engine.precision,
            "speeds": speeds,
            "device_name": device_name(backbone.device),
        },
    } | ({"outside": brought} if brought else {})


def record_of(
    spec: Spec, task: Task, fit: Fit, seconds: float, where: dict[str, Any]
) -> dict[str, Any]:
    """Returns the record of a run: what was run and found, in which time, and its `origin`."""
    pace = {
        "seconds": seconds,
        "images_per_second": fit.images / seconds if fit.images else None,
        "micro_batch": fit.micro_batch,
    }
    return {
        "schema": SCHEMA,
        "spec": spec,
        "task": describe_task(task),
        "rule": selection_rule(spec["method"], task.facts["paper_validation"], task.facts["shift"]),
        "selection": {
            name: {"epoch": epoch, "validation": None, "test": None}
            | {split: evaluation.metrics for split, evaluation in evaluations.items()}
            for name, (epoch, _, evaluations) in fit.selection.items()
        },
        "history": fit.history,
        "trained_parameters": fit.trained_parameters,
        "chosen": fit.chosen,
        **where,
        "measured": pace | where["measured"],
    }


def settled(engine: dict[str, Any], backbone: Backbone) -> tuple[Engine, dict[str, float] | None]:
    """Returns (the Engine of a spec's `engine`, images per second of the precisions it is among).

    The latter is None unless the spec leaves the choice to the machine.
    """
    if engine["precision"] != "auto":
        return Engine(**engine), None
    precision, speeds = fastest_precision(backbone)
    return Engine(**engine | {"precision": precision}), speeds


def complete(
    path: str | Path,
    spec: Spec,
    task: Task,
    backbone: Backbone,
    checkpoints: str | Path | None = None,
    every: float = 300,
    steps: int | None = None,
) -> str | Path:
    """Returns `path` once the record of `spec` is there.

    Meanwhile its state is kept under the folder `checkpoints`, if one is given, `every` seconds and
    at each `steps`-th step. Where several processes share the run, the first one writes.
    """
    about = {"spec": spec, "hashes": hashes(task, backbone), "versions": versions()}
    implementation_of(
        spec["method"]
    )  # before the clock of the run starts: importing scikit-learn takes 2 s
    checkpoint = Checkpoint(checkpoint_path(spec, checkpoints), every, about, steps)
    record, arrays, fit = run(spec, task, backbone, checkpoint)
    if distributed.rank() == 0:
        with one_at_a_time(Path(path).parent):  # two processes that did the same: not a mixture
            write_run(path, record, arrays, fit, task, backbone)
    checkpoint.remove()
    return path


def checkpoint_path(spec: Spec, checkpoints: str | Path | None) -> Path | None:
    """Returns where the state of a run is kept: as its record, in another folder; or None."""
    return record_path(spec, checkpoints).with_suffix(".pt") if checkpoints else None


def run_all(
    specs: list[Spec],
    runs: str | Path,
    device: torch.device | str = "cpu",
    checkpoints: str | Path | None = None,
    every: float = 300,
    steps: int | None = None,
) -> Iterator[str | Path]:
    """Yields the path of each record of `specs`; equal ones are not run again.

    The images of a task are held until a run has another task, so its runs should come together.
    Each record is written as soon as it is done, and the state of the run at hand as `complete`
    says, so that an interruption loses little.
    """
    for spec in specs:
        check_spec(spec)
    tasks: dict[tuple[str, str, Preprocessing], Task] = {}
    backbones: dict[str, Backbone] = {}
    for number, spec in enumerate(specs, start=1):
        path = record_path(spec, runs)
        which = spec["method"] + (f" {spec['variant']}" if spec["variant"] != "default" else "")
        name = f"{spec['task']} {spec['backbone']} {which} seed {spec['seed']}"
        if reading.holds(path, spec):
            print(f"[{number}/{len(specs)}] {name}: already there", flush=True)
            Checkpoint(checkpoint_path(spec, checkpoints)).remove()  # killed just before it did so
            yield path
            continue
        print(f"[{number}/{len(specs)}] {name}", flush=True)
        made_up.use(spec)
        if spec["backbone"] not in backbones:
            backbones[spec["backbone"]] = load_backbone(spec["backbone"], device)
        backbone = backbones[spec["backbone"]]
        shots = spec["data"].get("shots")
        data = {key: value for key, value in spec["data"].items() if key != "shots"}
        transform = preprocessing_of(spec)
        wanted = spec["task"], canonical(data), transform
        if wanted not in tasks:
            tasks = {key: task for key, task in tasks.items() if key[0] == spec["task"]}
            tasks[wanted] = load_task(spec["task"], data, transform, spec.get("folder"))
        task = few_shot(tasks[wanted], shots, spec["seed"])
        yield complete(path, spec, task, backbone, checkpoints, every, steps)
