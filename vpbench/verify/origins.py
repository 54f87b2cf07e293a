"""What a record says it was made from: the weights, the images, and the accuracy they give."""

import hashlib
import json
from functools import cache, lru_cache

from vpbench.common.hashing import canonical, sha256
from vpbench.compute.engine import Engine, computing
from vpbench.data.load import load_task
from vpbench.experiment.side_files import run_prompt
from vpbench.methods import text_prompt
from vpbench.models import weight_files
from vpbench.models.backbone import load_backbone
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES
from vpbench.verify.contents import ROUNDING, close, same

AGAIN = 0.002  # share of images that another machine's rounding may classify otherwise

backbone_of = cache(load_backbone)


@cache
def known_weights(backbone):
    """Returns the SHA-256 of the weights of `backbone` on this machine, None if there are none."""
    if BACKBONES[backbone].hub:
        path = weight_files.find_here(backbone)  # never from the hub: gigabytes
        return path and sha256(path)
    try:
        return backbone_of(backbone, "cpu").weights_hash
    except ValueError:  # its package is not installed
        return None


def check_weights(record):
    """Returns whether the weights are here; raises UserError if the run had others."""
    spec, found = record["spec"], record["hashes"]["weights"]
    expected = known_weights(spec["backbone"])
    if expected is not None:
        same(record, "hashes.weights", found, expected, f"the file of {spec['backbone']} has")
    return expected is not None


def origins(record):
    """Returns what must be one and the same: (kind, which) -> hash of this record.

    All runs on a backbone have its weights; those of a task, cut to the same size, its images.
    """
    spec = record["spec"]
    image = BACKBONES[spec["backbone"]].preprocessing
    read = canonical([spec["task"], spec["data"], spec.get("folder"), image])
    predictions = reading.arrays(record, "predictions")
    images = hashlib.sha256("\n".join(predictions["id"].tolist()).encode())
    images.update(predictions["label"].astype("<i8").tobytes())
    return {
        ("hashes.weights", spec["backbone"]): record["hashes"]["weights"],
        ("hashes.data", read): record["hashes"]["data"],
        ("the SHA-256 of ids and labels", read): images.hexdigest(),
    }


@lru_cache(maxsize=2)  # the runs come task by task
def task_of(name, data, preprocessing, folder):
    """Returns a task; `data` and `folder` are JSON."""
    return load_task(name, json.loads(data), preprocessing, json.loads(folder))


def check_again(record, device):
    """Returns whether the run could be evaluated again, on `device`, and gave the same accuracy.

    Its task is loaded and its data hash compared; then a visual or text prompt is put through the
    backbone. What was trained otherwise is not kept, and a random position cannot be had again.
    """
    spec, data = record["spec"], record["spec"]["data"]
    settings = spec["settings"]
    backbone = backbone_of(spec["backbone"], str(device))
    folder = canonical(spec.get("folder"))
    task = task_of(spec["task"], canonical(data), backbone.preprocessing, folder)
    same(record, "hashes.data", record["hashes"]["data"], task.data_hash, "the images have")
    if spec["method"] not in ("visual_prompt", "text_prompt"):
        return False
    if settings.get("template") == "random_patch" and settings["test_position"] == "random":
        return False
    own = spec["engine"] | {"precision": record["measured"]["precision"]}  # what `auto` became
    with computing(backbone, Engine(**own)):
        accuracy = evaluated(record, backbone, task)
    found = record["selection"][record["rule"]]["test"]["accuracy"]
    images = len(task.splits["test"])
    tolerance = ROUNDING + 100 * max(1, int(AGAIN * images)) / images
    where = f"selection.{record['rule']}.test.accuracy"
    close(record, where, found, accuracy, "evaluation on this machine", tolerance)
    return True


def evaluated(record, backbone, task):
    """Returns the test accuracy of a visual or text prompt."""
    settings = record["spec"]["settings"]
    if record["spec"]["method"] == "text_prompt":
        fit = text_prompt.fit(backbone, task, settings, seed=record["spec"]["seed"])
        return fit.selected("last").accuracy("test")
    return run_prompt(record, backbone).evaluate(task)["accuracy"]
