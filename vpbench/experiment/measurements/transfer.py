"""Learned prompts elsewhere: on the other backbones, and on other tasks with the same classes.

What is transferred is what a prompt does to pixels: it is taken in pixel units, whatever the
normalisation of the backbone it was learned for, and added before the target normalises.
"""

import importlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.data.load import load_task
from vpbench.data.task import Task
from vpbench.experiment.measurements.measured import Measured
from vpbench.experiment.side_files import run_prompt
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.models.backbone import Backbone, load_backbone
from vpbench.prompts.build import adds_one_canvas
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.settings import Settings
from vpbench.spec.tasks import TASKS, is_twin
from vpbench.spec.text_prompts import refine_class_name
from vpbench.training.evaluate import predict

Record = dict[str, Any]  # of a run
backbone_of = cache(load_backbone)


def measure(
    load: Callable[[Preprocessing], Task],
    settings: Settings,
    runs: list[Record],
    device: torch.device,
) -> Measured:
    """Returns the accuracy of every run's prompt on every backbone, its own included.

    Prompts go to runs of the same variant and seed, and of the same image size, and are read with
    that run's label map and text. They also go to the other tasks that have this task's classes, on
    their own backbone. Measured on the first `settings["images"]` test images. The arrays
    correct and unprompted [rows, images] say which images were classified correctly with the
    prompt and without one.
    """
    for run in runs:
        if not adds_one_canvas(run["spec"]["settings"]):
            raise UserError(
                f"transfer: {run['file']}: only a prompt that is the same for every image and is "
                "added to it as it is can be moved; leave other forms out of the measurement's runs"
            )
    classifiers = {run["file"]: run_prompt(run, backbone_for(run, device)) for run in runs}
    task = load(backbone_for(runs[0], device).preprocessing)
    pairs = [(source, target) for source in runs for target in runs if fits(source, target, device)]
    places = [(source, target, load) for source, target in pairs]
    # As many as are measured, so that all classes are among them where they lie class by class
    data = runs[0]["spec"]["data"] | {"test": settings["images"]}
    for name in same_classes(task):
        other = cache(partial(load_task, name, data))
        places += [(run, run, other) for run in runs]
    rows, correct, plain = [], [], []
    without: dict[tuple[str, str], np.ndarray] = {}
    for source, target, load_place in places:
        backbone = backbone_for(target, device)
        place = load_place(backbone.preprocessing)
        test = place.splits["test"]
        images, labels = (values[: settings["images"]] for values in (test.images, test.labels))
        target_classifier = classifiers[target["file"]].for_task(place)
        key = place.name, target["file"]
        if key not in without:
            without[key] = right(target_classifier, 0, images, labels)
        plain.append(without[key])
        canvas = classifiers[source["file"]].pixel_canvas()
        correct.append(right(target_classifier, canvas, images, labels))
        rows.append(
            {key: source["spec"][key] for key in ("backbone", "variant", "seed")}
            | {"target_task": place.name, "target_backbone": backbone.name}
            | {"accuracy": 100 * correct[-1].mean(), "unprompted": 100 * plain[-1].mean()}
            | {"images": len(labels)}
        )
    return Measured(task, rows, {"correct": np.array(correct), "unprompted": np.array(plain)})


def backbone_for(run: Record, device: torch.device) -> Backbone:
    """Returns the backbone of a run."""
    return backbone_of(run["spec"]["backbone"], str(device))


def right(
    target_classifier: PromptedClassifier, canvas: Tensor | int, images: Tensor, labels: Tensor
) -> np.ndarray:
    """Returns which uint8 images [N, S, S, C] are classified correctly with `canvas` added.

    They are read with the label map of `target_classifier`, without its prompt.
    """
    backbone, label_map = target_classifier.backbone, target_classifier.label_map

    def classifier(batch: Tensor) -> Tensor:
        return label_map(backbone.normalize(backbone.scale_pixels(batch) + canvas))

    return (predict(classifier, images).argmax(1) == labels).numpy()


def fits(source: Record, target: Record, device: torch.device) -> bool:
    """Returns whether the prompt of the run `source` can be laid on the images of `target`."""
    sizes = [backbone_for(run, device).image_size for run in (source, target)]
    alike = all(source["spec"][key] == target["spec"][key] for key in ("variant", "seed"))
    return alike and sizes[0] == sizes[1]


def same_classes(task: Task) -> list[str]:
    """Returns the names of other datasets and twins with the same classes in the same order.

    Twins are compared with twins only. A task of one's own, a folder of images, is compared with
    the real datasets but is not among them.
    """
    names = []
    for name, entry in TASKS.items():
        if is_twin(name) != is_twin(task.name):
            continue
        classes = getattr(importlib.import_module(entry.module), "CLASS_NAMES", ())
        if name != task.name and refined(classes) == refined(task.class_names):
            names.append(name)
    return names


def refined(class_names: Sequence[str]) -> list[str]:
    """Returns class names as they enter a text."""
    return [refine_class_name(name) for name in class_names]
