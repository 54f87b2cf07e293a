"""What a run costs: how often an image goes through its backbone, and how fast that is.

The unit is the pass: one image forward through the image model. Going back to the input costs as
much again, going back to the weights a third time. No torch before something is measured.
"""

import importlib
import os
from functools import cache

from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import METHODS, nothing_to_train
from vpbench.spec.schedules import is_eval_epoch
from vpbench.spec.tasks import SPLITS, TASKS, is_twin

# Passes of a text of 20 tokens: by FLOPs 0.17 of an image of CLIP's ViT-B/32, 0.04 of a ViT-B/16.
# The methods whose texts are learned send all classes through the text tower, there and back.
TEXT = 0.1
# TFLOP/s of an A100, from its data sheet; auto would choose bf16. fp32 is float32 itself. That is a
# bound on the hours: a step reaches a larger share of the lower peak, and torch computes
# convolutions, though not products, in TF32 where nobody forbids it.
PEAK = {"bf16": 312, "fp16": 312, "fp32": 19.5, "auto": 312}
# The share of that peak which a training step reaches is `gpu_share` of a backbone, from the images
# per second that timm gives for an RTX 3090 in mixed precision and channels last
# (results/benchmark-train-amp-nhwc-pt112-cu113-rtx3090.csv; BiT's at 448 pixels, times 4), times 3
# passes and the backbone's FLOPs, times 2.13 for an A100: a ResNet-50 there makes 2,600 images per
# second (timm, issue 1491). Where timm gives none, that of a ResNet-50 is assumed.
BATCH = 64  # images of a measured step
HOUR = 3600  # seconds


def images_of(spec: Spec) -> dict[str, int] | None:
    """Returns split -> number of images of a run, None if only the images themselves can tell."""
    facts = FACTS.get(spec["task"])
    counts = {split: spec["data"][split] for split in SPLITS}
    if facts is not None:
        counts = {
            split: size if counts[split] is None else min(size, counts[split])
            for split, size in facts.sizes.items()
        }
    elif not is_twin(spec["task"]) or None in counts.values():
        return None
    if "shots" in spec["data"]:
        counts["train"] = min(counts["train"], spec["data"]["shots"] * classes_of(spec))
    return counts


def passes_of(spec: Spec) -> float | None:
    """Returns the number of passes of a run, None if its number of images is not known."""
    images = images_of(spec)
    if images is None:
        return None
    settings = spec["settings"]
    epochs, looks = settings.get("epochs", 1), 1
    held_out = sum(images.values()) - images["train"]
    counted = counts_of(spec) * images["train"]
    if nothing_to_train(settings):
        return settings.get("ensemble_size", 1) * (held_out + counted)
    if "epochs" in settings:
        looks = sum(is_eval_epoch(epoch, settings) for epoch in range(1, epochs + 1))
    there_and_back = texts_of(spec, settings.get("batch_size", BATCH)) * 2
    per_image = METHODS[spec["method"]].passes + there_and_back
    passes = epochs * per_image * images["train"] + counted
    passes += looks * held_out * (1 + texts_of(spec, BATCH))
    return settings.get("ensemble_size", 1) * passes


def counts_of(spec: Spec) -> int:
    """Returns how often a run counts its label map, each time on all of its training images."""
    settings = spec["settings"]
    label_map = LABEL_MAPS.get(str(settings.get("label_map")))
    refresh = label_map.refresh if label_map else None
    if refresh is None:
        return 0
    return 1 if refresh == "once" or nothing_to_train(settings) else settings.get("epochs", 1)


def texts_of(spec: Spec, batch: int) -> float:
    """Returns what an image's share of the texts of its batch costs, in passes of images."""
    sent = METHODS[spec["method"]].texts
    if sent is None:
        return 0
    return TEXT * classes_of(spec) / (1 if sent == "image" else batch)


def classes_of(spec: Spec) -> int:
    """Returns the number of classes of a run's task: a dataset, a twin or a folder of images."""
    if "folder" in spec:
        return class_folders(spec["folder"]["path"])
    if spec["task"] in FACTS:
        return FACTS[spec["task"]].classes
    return len(importlib.import_module(TASKS[spec["task"]].module).CLASS_NAMES)


@cache
def class_folders(folder: str) -> int:
    """Returns how many classes a folder of images has: sub-folders of it, or of one for a split.

    It is 2, the fewest there can be, of a folder that is not on this machine.
    """
    top = sub_folders(folder)
    return max(2, len(top), *(len(sub_folders(each)) for each in top))


def sub_folders(folder: str) -> list[str]:
    """Returns the visible sub-folders of a folder, none of one that cannot be read."""
    try:
        return [each.path for each in os.scandir(folder) if each.is_dir() and each.name[0] != "."]
    except OSError:
        return []


def stated(backbone: str, precision: str) -> float | None:
    """Returns the passes per second of an A100, from FLOPs.

    None for the small models of lab and desk: they are for CPUs, and could not fill a GPU.
    """
    entry = BACKBONES[backbone]
    if entry.hub is None or entry.gflops is None:
        return None
    return entry.gpu_share * PEAK[precision] * 1000 / entry.gflops


def hours_of(spec: Spec) -> float | None:
    """Returns the hours of a run on an A100, from FLOPs, None if they are not known."""
    passes, speed = passes_of(spec), stated(spec["backbone"], spec["engine"]["precision"])
    return None if passes is None or speed is None else passes / speed / HOUR
