"""What a record says it was made from: the weights, the images, and the accuracy they give."""

import hashlib
import json
from functools import cache, lru_cache
from typing import Any

import torch

from vpbench.common.hashing import canonical, sha256
from vpbench.compute.engine import Engine, computing
from vpbench.data.load import load_task
from vpbench.data.task import Task
from vpbench.experiment.side_files import run_model
from vpbench.methods import text_prompt
from vpbench.models import weight_files
from vpbench.models.backbone import load_backbone
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.preprocessing import Preprocessing, preprocessing_of
from vpbench.verify.contents import ABRIDGED, ROUNDING, Record, close, same

AGAIN = 0.002  # share of images that another machine's rounding may classify otherwise

backbone_of = cache(load_backbone)


@cache
def known_weights(backbone: str) -> str | None:
    """Returns the SHA-256 of the weights of `backbone` on this machine, None if there are none."""
    if BACKBONES[backbone].hub:
        # Never from the hub: gigabytes
        path = weight_files.find_here(weight_files.published(backbone))
        return sha256(path) if path else None
    try:
        return backbone_of(backbone, "cpu").weights_hash
    except ValueError:  # its package is not installed
        return None


def check_weights(record: Record) -> bool:
    """Returns whether the weights are here; raises UserError if the run had others."""
    spec, said = record["spec"], record["hashes"]["weights"]
    expected = known_weights(spec["backbone"])
    if expected is not None:
        same(record, "hashes.weights", said, expected, f"the file of {spec['backbone']} has")
    return expected is not None


def origins(record: Record) -> dict[tuple[str, str], str]:
    """Returns what must be one and the same: (kind, which) -> hash of this record.

    All runs on a backbone have its weights; those of a task, cut to the same size, its images.
    """
    spec = record["spec"]
    read = canonical([spec["task"], spec["data"], spec.get("folder"), preprocessing_of(spec)])
    predictions = reading.arrays(record, "predictions")
    images = hashlib.sha256("\n".join(predictions["id"].tolist()).encode())
    images.update(predictions["label"].astype("<i8").tobytes())
    return {
        ("hashes.weights", spec["backbone"]): record["hashes"]["weights"],
        ("hashes.data", read): record["hashes"]["data"],
        ("the SHA-256 of ids and labels", read): images.hexdigest(),
    }


@lru_cache(maxsize=2)  # the runs come task by task
def task_of(name: str, data: str, preprocessing: Preprocessing, folder: str) -> Task:
    """Returns a task; `data` and `folder` are JSON."""
    return load_task(name, json.loads(data), preprocessing, json.loads(folder))


def check_again(record: Record, device: torch.device | str) -> bool:
    """Returns whether the run could be evaluated again, on `device`, and gave the same accuracy.

    Its task is loaded and its data hash compared; then a visual or text prompt is put through the
    backbone. What was trained otherwise is not kept, and a random position cannot be had again.
    """
    spec, data = record["spec"], record["spec"]["data"]
    settings = spec["settings"]
    backbone = backbone_of(spec["backbone"], str(device))
    folder = canonical(spec.get("folder"))
    task = task_of(spec["task"], canonical(data), preprocessing_of(spec), folder)
    same(record, "hashes.data", record["hashes"]["data"], task.data_hash, "the images have")
    kept = ("text_prompt",) if ABRIDGED in record else ("visual_prompt", "text_prompt")
    if spec["method"] not in kept:
        return False
    if settings.get("template") == "random_patch" and settings["test_position"] == "random":
        return False
    engine = spec["engine"] | {"precision": record["measured"]["precision"]}  # not `auto`
    with computing(backbone, Engine(**engine)):
        accuracy = evaluated(record, backbone, task)
    said = record["selection"][record["rule"]]["test"]["accuracy"]
    images = len(task.splits["test"])
    tolerance = ROUNDING + 100 * max(1, int(AGAIN * images)) / images
    where = f"selection.{record['rule']}.test.accuracy"
    close(record, where, said, accuracy, "evaluation on this machine", tolerance)
    return True


def evaluated(record: Record, backbone: Any, task: Task) -> float:
    """Returns the test accuracy of a visual or text prompt."""
    settings = record["spec"]["settings"]
    if record["spec"]["method"] == "text_prompt":
        fit = text_prompt.fit(backbone, task, settings, seed=record["spec"]["seed"])
        return fit.selected("last").accuracy("test")
    return run_model(record, backbone).evaluate(task)["accuracy"]
