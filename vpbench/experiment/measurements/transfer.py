"""Learned prompts elsewhere: on the other backbones, and on other tasks with the same classes.

What is transferred is what a prompt does to pixels: it is taken in pixel units, whatever the
normalisation of the backbone it was learned for, and added before the target normalises.
"""

import importlib
from functools import cache, partial

import numpy as np

from vpbench.common.errors import UserError
from vpbench.data.load import load_task
from vpbench.experiment.measurements.measured import Measured
from vpbench.methods.visual_prompt import head
from vpbench.models.backbone import load_backbone
from vpbench.prompts.files import load_run_prompt
from vpbench.prompts.pixel import adds_one_canvas
from vpbench.spec.tasks import TASKS, is_twin
from vpbench.spec.text_prompts import refine_class_name
from vpbench.training.evaluate import predict

backbone_of = cache(load_backbone)


def measure(load, settings, runs, device):
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
    task = load(backbone_of(runs[0]["spec"]["backbone"], str(device)).preprocessing)
    pairs = [(source, target) for source in runs for target in runs if fits(source, target, device)]
    places = [(source, target, load) for source, target in pairs]
    # As many as are measured, so that all classes are among them where they lie class by class
    data = runs[0]["spec"]["data"] | {"test": settings["images"]}
    for name in same_classes(task):
        other = cache(partial(load_task, name, data))
        places += [(run, run, other) for run in runs]
    rows, correct, plain, without = [], [], [], {}
    for source, target, load_place in places:
        backbone = backbone_of(target["spec"]["backbone"], str(device))
        place = load_place(backbone.preprocessing)
        test = place.splits["test"]
        images, labels = (values[: settings["images"]] for values in (test.images, test.labels))
        logits = head(backbone, place, target["spec"]["settings"], state=map_of(target, backbone))
        key = place.name, target["file"]
        if key not in without:
            without[key] = right(backbone, logits, 0, images, labels)
        plain.append(without[key])
        correct.append(right(backbone, logits, pixel_canvas(source, device), images, labels))
        rows.append(
            {key: source["spec"][key] for key in ("backbone", "variant", "seed")}
            | {"target_task": place.name, "target_backbone": backbone.name}
            | {"accuracy": 100 * correct[-1].mean(), "unprompted": 100 * plain[-1].mean()}
            | {"images": len(labels)}
        )
    return Measured(task, rows, {"correct": np.array(correct), "unprompted": np.array(plain)})


def right(backbone, logits, canvas, images, labels):
    """Returns which uint8 images [N, S, S, C] are classified correctly with `canvas` added."""

    def classifier(batch):
        return logits(backbone.normalize(backbone.scale_pixels(batch) + canvas))

    return (predict(classifier, images).argmax(1) == labels).numpy()


def fits(source, target, device):
    """Returns whether the prompt of the run `source` can be laid on the images of `target`."""
    sizes = [
        backbone_of(run["spec"]["backbone"], str(device)).image_size for run in (source, target)
    ]
    alike = all(source["spec"][key] == target["spec"][key] for key in ("variant", "seed"))
    return alike and sizes[0] == sizes[1]


def same_classes(task):
    """Returns the names of the catalogue's other tasks with the same classes in the same order.

    Twins are compared with twins only. A task of one's own, a folder of images, is compared with
    the real datasets but is not among them.
    """
    found = []
    for name, entry in TASKS.items():
        if is_twin(name) != is_twin(task.name):
            continue
        classes = getattr(importlib.import_module(entry.module), "CLASS_NAMES", ())
        if name != task.name and refined(classes) == refined(task.class_names):
            found.append(name)
    return found


def refined(class_names):
    """Returns class names as they enter a text."""
    return [refine_class_name(name) for name in class_names]


def map_of(run, backbone):
    """Returns the tensors of a run's label map, if it has any of its own."""
    return load_run_prompt(run, backbone)[1]["label_map"]


def pixel_canvas(run, device):
    """Returns the prompt of a run [1, C, S, S] in pixel units, 1 being a pixel's full range."""
    backbone = backbone_of(run["spec"]["backbone"], str(device))
    prompt, _ = load_run_prompt(run, backbone)
    scale = backbone.std if run["spec"]["settings"]["prompt_space"] == "normalized" else 1
    return prompt.canvas().detach() * scale
