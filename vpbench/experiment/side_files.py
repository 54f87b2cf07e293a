"""What is written beside a record: predictions, the prompt, examples to look at."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.data.load import load_task
from vpbench.data.task import Split, Task
from vpbench.methods.fit import Fit
from vpbench.methods.kept_models import fitted, implementation_of, load_model
from vpbench.methods.model import Model
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.models.backbone import Backbone, load_backbone
from vpbench.prompts.build import adds_one_canvas
from vpbench.spec.methods import METHODS
from vpbench.spec.preprocessing import preprocessing_of
from vpbench.spec.tasks import SPLITS, is_twin
from vpbench.training.evaluate import Evaluation

EXAMPLES = 4  # test images kept with every prompt, for people to look at


def predictions(evaluations: Mapping[str, Evaluation], task: Task) -> dict[str, Any]:
    """Returns per-image arrays: id, label, prediction, confidence, log_probability, group of test.

    Where validation was looked at too, it gives validation_label and validation_prediction, by
    which runs of different lengths are compared, in the order of that split.
    """
    test, validation = task.splits["test"], evaluations.get("validation")
    found = {
        "id": list(test.ids),
        "label": test.labels.numpy(),
        **{name: values.numpy() for name, values in evaluations["test"].answers.items()},
        "group": list(test.groups or [""] * len(test)),
    }
    if validation is not None:
        found["validation_label"] = task.splits["validation"].labels.numpy()
        found["validation_prediction"] = validation.answers["prediction"].numpy()
    return found


@torch.no_grad()
def examples(classifier: PromptedClassifier, split: Split) -> dict[str, np.ndarray]:
    """Returns arrays for people to look at: a few images, plain and prompted, and the prompt.

    images and prompted are uint8 [n, S, S, 3], of different classes as far as there are any; a
    prompted one is what a file of it would show, clamped to 0..255. canvas [3, S, S] is the prompt
    alone, 1 being the full range of a pixel. labels are those of the images.
    """
    backbone, index = classifier.backbone, of_different_classes(split)
    canvas = classifier.pixel_canvas()
    pictures = backbone.pictures(split.images[index])
    # Of images that were resized the picture, rounded: what is added to it is what is seen.
    given = pictures if classifier.side is None else split.images[index]
    x = classifier.prompted(given)[: len(index)]  # of an ensemble its first member's
    pixels = x * backbone.std + backbone.mean
    seen = pixels.clamp(0, 1).mul(255).round().byte()
    return {
        "images": pictures.cpu().numpy(),
        "prompted": seen.permute(0, 2, 3, 1).cpu().numpy(),
        "canvas": canvas[0].cpu().numpy(),
        "labels": split.labels[index].numpy(),
    }


def of_different_classes(split: Split) -> torch.Tensor:
    """Returns the places of the images that are kept as examples."""
    _, first = np.unique(split.labels.numpy(), return_index=True)
    return torch.from_numpy(np.sort(first)[:EXAMPLES])


def painted_examples(record: dict[str, Any], canvas: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the arrays of `examples` of a run of which only the canvas [3, S, S] was kept.

    Its images are painted again. Raises UserError where they are not, or more than one canvas is
    added to them.
    """
    spec, classes = record["spec"], record["task"]["classes"]
    if not is_twin(spec["task"]) or not adds_one_canvas(spec["settings"]):
        cell = f"{spec['task']}, {spec['backbone']}, {spec['variant']}"
        raise UserError(
            f"the examples of {cell} are not kept: they are painted again, of twins alone, and one "
            "canvas is added; leave that run out of figures of prompts"
        )
    # Twins have their classes in turn, so the first of each are among as many images as classes.
    start = {key: spec["data"][key] for key in ("test_start",) if key in spec["data"]}
    data = start | {"resolution": spec["data"]["resolution"]} | dict.fromkeys(SPLITS, classes)
    split = load_task(spec["task"], data, preprocessing_of(spec)).splits["test"]
    index = of_different_classes(split)
    images = backbone_of(spec["backbone"]).pictures(split.images[index]).numpy()
    prompted = 255 * np.clip(images / 255 + canvas.transpose(1, 2, 0), 0, 1)
    return {
        "images": images,
        "prompted": prompted.round().astype(np.uint8),
        "canvas": canvas,
        "labels": split.labels[index].numpy(),
    }


@cache
def backbone_of(name: str) -> Backbone:
    """Returns a backbone on the CPU, which many examples share."""
    return load_backbone(name, "cpu")


def write_run(
    path: str | Path,
    record: dict[str, Any],
    predictions: dict[str, Any],
    fit: Fit,
    task: Task,
    backbone: Backbone,
) -> Path:
    """Returns `path` once the record and its side files are there; the record comes last."""
    path, spec = Path(path), record["spec"]
    atomic_files.write_arrays(path.with_suffix(".predictions.npz"), predictions)
    if METHODS[spec["method"]].keeps_prompt:
        method, selected = spec["method"], fit.selected(record["rule"])
        module = implementation_of(method)
        model = fitted(method, module, backbone, task, spec["settings"], selected)
        model.save(path.with_suffix(".prompt.safetensors"))
        shown = examples(cast(PromptedClassifier, model.classifier), task.splits["test"])
        atomic_files.write_arrays(path.with_suffix(".examples.npz"), shown)
    return atomic_files.write(path, record)


def run_prompt(record: dict[str, Any], backbone: Backbone) -> PromptedClassifier:
    """Returns the classifier of the prompt that was saved beside the loaded record of a run."""
    return cast(PromptedClassifier, run_model(record, backbone).classifier)


def run_model(record: dict[str, Any], backbone: Backbone) -> Model:
    """Returns the model that was saved beside the loaded record of a run."""
    return load_model(Path(record["file"]).with_suffix(".prompt.safetensors"), backbone)
