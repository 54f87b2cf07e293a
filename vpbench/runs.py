"""A run: spec in, record out. The same function serves one run, a whole task, and every scale."""

import importlib
import platform
import resource
import sys
from importlib import metadata
from pathlib import Path

import numpy as np
import torch

from vpbench import catalogue, distributed, records
from vpbench.backbones import load_backbone
from vpbench.checkpoints import Checkpoint
from vpbench.engine import Engine, computing
from vpbench.fastest_precision import fastest_precision
from vpbench.grid import canonical
from vpbench.locks import one_at_a_time
from vpbench.methods.visual_prompt import prompted
from vpbench.prompt_files import prompt_card, save_prompt
from vpbench.prompts import part, restore_prompt
from vpbench.tasks import few_shot, load_task

PACKAGES = ("vpbench", "torch", "open_clip_torch", "timm", "scikit-learn", "torchmetrics", "numpy")
EXAMPLES = 4  # test images kept with every prompt, for people to look at


def check_spec(spec):
    """Returns None if `spec` is legal; raises ValueError with one line if it is not."""
    complaint = catalogue.complaint(spec, catalogue.spec_schema(), "spec")
    complaint = complaint or catalogue.misfit(spec["method"], spec["backbone"])
    if complaint:
        raise ValueError(complaint)


def run(spec, task, backbone, checkpoint=None):
    """Returns (record, predictions, fit) of one run on a loaded task and backbone.

    A method that is trained by steps goes on from its `checkpoint`, if there is one.
    """
    check_spec(spec)
    checkpoint = checkpoint or Checkpoint()
    method = method_of(spec)
    if backbone.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(backbone.device)
    options = {"checkpoint": checkpoint} if "epochs" in spec["settings"] else {}
    engine, speeds = settled(spec["engine"], backbone)
    checkpoint.about["precision"] = engine.precision  # another machine may be faster in another
    with computing(backbone, engine):
        fit = method.fit(backbone, task, spec["settings"], spec["seed"], **options)
    seconds = checkpoint.seconds
    rule = catalogue.selection_rule(
        spec["method"], task.facts["paper_validation"], task.facts["shift"]
    )
    record = {
        "schema": catalogue.SCHEMA,
        "spec": spec,
        "task": describe_task(task),
        "backbone": describe_backbone(backbone),
        "rule": rule,
        "selection": {
            name: {"epoch": epoch, "validation": None, "test": None}
            | {split: evaluation.metrics for split, evaluation in evaluations.items()}
            for name, (epoch, _, evaluations) in fit.selection.items()
        },
        "history": fit.history,
        "trained_parameters": fit.trained_parameters,
        "chosen": fit.chosen,
        "hashes": hashes(task, backbone),
        "versions": versions(),
        "device": str(backbone.device),
        "measured": {
            "seconds": seconds,
            "images_per_second": fit.images / seconds if fit.images else None,
            "peak_memory_mb": peak_memory(backbone.device),
            "micro_batch": fit.micro_batch,
            "processes": distributed.processes(),
            "precision": engine.precision,
            "speeds": speeds,
            "device_name": device_name(backbone.device),
        },
    }
    return record, predictions(fit.selection[rule][2]["test"], task.splits["test"]), fit


def method_of(spec):
    """Returns the module of the method of a spec."""
    return importlib.import_module(catalogue.METHODS[spec["method"]].module)


def settled(engine, backbone):
    """Returns (the Engine of a spec's `engine`, images per second of the precisions it is among).

    The latter is None unless the spec leaves the choice to the machine.
    """
    if engine["precision"] != "auto":
        return Engine(**engine), None
    precision, speeds = fastest_precision(backbone)
    return Engine(**engine | {"precision": precision}), speeds


def hashes(task, backbone):
    """Returns the SHA-256 of what a run reads: weights, images and labels, pretraining world."""
    return {
        "weights": backbone.weights_hash,
        "data": task.data_hash,
        "world": backbone.world_hash,
    } | ({"splits": task.source_hashes} if task.source_hashes else {})


def versions():
    """Returns the versions of Python and of the packages that make the numbers."""
    found = {package: metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version()} | found


def describe_task(task):
    """Returns the facts of a task that a record keeps."""
    return {
        "display": task.display,
        "published": task.facts["published"],
        "classes": len(task.class_names),
        "class_names": list(task.class_names),
        "template": task.template,
        "sizes": {name: len(split) for name, split in task.splits.items()},
        "chance": 100 / len(task.class_names),
        "metric": task.facts["metric"],
        "shift": task.facts["shift"],
        "paper_validation": task.facts["paper_validation"],
        "deviations": list(task.deviations),
    }


def describe_backbone(backbone):
    """Returns the facts of a backbone that a record keeps."""
    entry = catalogue.BACKBONES[backbone.name]
    return {
        "role": entry.role,
        "modality": entry.modality,
        "architecture": entry.architecture,
        "parameters": sum(p.numel() for p in backbone.model.parameters()),
    }


def predictions(evaluation, split):
    """Returns per-image arrays: id, label, prediction, confidence, log_probability, group."""
    log_probability = evaluation.logits.log_softmax(1)
    confidence, prediction = log_probability.max(1)
    return {
        "id": list(split.ids),
        "label": split.labels.numpy(),
        "prediction": prediction.numpy(),
        "confidence": confidence.exp().numpy(),
        "log_probability": log_probability.gather(1, split.labels[:, None])[:, 0].numpy(),
        "group": list(split.groups or [""] * len(split)),
    }


def device_name(device):
    """Returns what a device calls itself, e.g. NVIDIA H100 80GB HBM3."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def peak_memory(device):
    """Returns the peak memory in MB: of the GPU where one is used, else of this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


@torch.no_grad()
def examples(prompt, backbone, task, settings):
    """Returns arrays for people to look at: a few test images, plain and prompted, and the prompt.

    images and prompted are uint8 [n, S, S, 3], of different classes as far as there are any; a
    prompted one is what a file of it would show, clamped to 0..255. canvas [3, S, S] is the prompt
    alone, 1 being the full range of a pixel. labels are those of the images.
    """
    split = task.splits["test"]
    _, first = np.unique(split.labels.numpy(), return_index=True)
    index = torch.from_numpy(np.sort(first)[:EXAMPLES])
    placement = settings["placement"]
    canvas = prompt.canvas()
    if placement == "after_normalization":
        canvas = canvas * backbone.std
    # Of an ensemble, the images of its first member.
    classifier = prompted(prompt, backbone, lambda x: x, placement, settings["image_side"])
    pixels = classifier(split.images[index])[: len(index)] * backbone.std + backbone.mean
    seen = pixels.clamp(0, 1).mul(255).round().byte()
    return {
        "images": backbone.pictures(split.images[index]).cpu().numpy(),
        "prompted": seen.permute(0, 2, 3, 1).cpu().numpy(),
        "canvas": canvas[0].cpu().numpy(),
        "labels": split.labels[index].numpy(),
    }


def write_run(path, record, predictions, fit, task, backbone):
    """Returns `path` once the record and its side files are there; the record comes last."""
    path, spec = Path(path), record["spec"]
    records.write_arrays(path.with_suffix(".predictions.npz"), predictions)
    if catalogue.is_prompt(spec["method"]):
        settings = spec["settings"]
        _, state, evaluations = fit.selection[record["rule"]]
        own = part(state, "prompt")
        prompt = restore_prompt(settings, backbone.image_size, own).to(backbone.device)
        accuracy = {name: e.metrics["accuracy"] for name, e in evaluations.items()}
        card = prompt_card(settings, backbone, task, accuracy)
        card["label_map"] = part(state, "label_map")
        save_prompt(path.with_suffix(".prompt.safetensors"), prompt, card)
        shown = examples(prompt, backbone, task, settings)
        records.write_arrays(path.with_suffix(".examples.npz"), shown)
    return records.write(path, record)


def complete(path, spec, task, backbone, checkpoints=None, every=300, steps=None):
    """Returns `path` once the record of `spec` is there.

    Meanwhile its state is kept under the folder `checkpoints`, if one is given, `every` seconds and
    at each `steps`-th step. Where several processes share the run, the first one writes.
    """
    about = {"spec": spec, "hashes": hashes(task, backbone), "versions": versions()}
    method_of(spec)  # before the clock of the run starts: importing scikit-learn takes 2 s
    checkpoint = Checkpoint(checkpoint_path(spec, checkpoints), every, about, steps)
    record, arrays, fit = run(spec, task, backbone, checkpoint)
    if distributed.rank() == 0:
        with one_at_a_time(Path(path).parent):  # two processes that did the same: not a mixture
            write_run(path, record, arrays, fit, task, backbone)
    checkpoint.remove()
    return path


def checkpoint_path(spec, checkpoints):
    """Returns where the state of a run is kept: as its record, in another folder; or None."""
    return checkpoints and records.record_path(spec, checkpoints).with_suffix(".pt")


def run_all(specs, runs, device="cpu", checkpoints=None, every=300, steps=None):
    """Yields the path of each record of `specs`; equal ones are not run again.

    The images of a task are held until a run has another task, so its runs should come together.
    Each record is written as soon as it is done, and the state of the run at hand as `complete`
    says, so that an interruption loses little.
    """
    for spec in specs:
        check_spec(spec)
    tasks, backbones = {}, {}
    for number, spec in enumerate(specs, start=1):
        path = records.record_path(spec, runs)
        which = spec["method"] + (f" {spec['variant']}" if spec["variant"] != "default" else "")
        name = f"{spec['task']} {spec['backbone']} {which} seed {spec['seed']}"
        if records.holds(path, spec):
            print(f"[{number}/{len(specs)}] {name}: already there", flush=True)
            Checkpoint(checkpoint_path(spec, checkpoints)).remove()  # killed just before it did so
            yield path
            continue
        print(f"[{number}/{len(specs)}] {name}", flush=True)
        if spec["backbone"] not in backbones:
            backbones[spec["backbone"]] = load_backbone(spec["backbone"], device)
        backbone = backbones[spec["backbone"]]
        shots = spec["data"].get("shots")
        data = {key: value for key, value in spec["data"].items() if key != "shots"}
        wanted = spec["task"], canonical(data), backbone.preprocessing
        if wanted not in tasks:
            tasks = {key: task for key, task in tasks.items() if key[0] == spec["task"]}
            tasks[wanted] = load_task(
                spec["task"], data, backbone.preprocessing, spec.get("folder")
            )
        task = few_shot(tasks[wanted], shots, spec["seed"])
        yield complete(path, spec, task, backbone, checkpoints, every, steps)
