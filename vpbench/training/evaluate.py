"""Evaluation: a classifier over the images of a split."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vpbench.compute import distributed
from vpbench.compute.engine import until_it_fits
from vpbench.data.batches import batches
from vpbench.data.task import Split, Task
from vpbench.training.metrics import classification_metrics

BATCH = 64  # images; only speed depends on it: larger buffers are mapped anew each time
GPU_BATCH = 256  # as many as a GPU needs to be busy

Classifier = Callable[[Tensor], Tensor]  # uint8 images [N, H, W, C] -> logits [N, K]
Around = Callable[[], AbstractContextManager[object]]  # gives the context of a batch


class Evaluation(NamedTuple):
    """What a classifier says of a split, and how good that is."""

    logits: Tensor | None  # [N, K]; None where only what is said is kept
    metrics: dict[str, Any]
    answers: dict[str, Tensor]  # of each image [N]: prediction, confidence, log_probability


def evaluation_of(logits: Tensor, split: Split, classes: int) -> Evaluation:
    """Returns the `Evaluation` of logits [N, K] for the images of a split."""
    log_probability = logits.log_softmax(1)
    confidence, prediction = log_probability.max(1)
    answers = {
        "prediction": prediction,
        "confidence": confidence.exp(),
        "log_probability": log_probability.gather(1, split.labels[:, None])[:, 0],
    }
    metrics = classification_metrics(logits, split.labels, classes, split.groups)
    return Evaluation(logits, metrics, answers)


@torch.no_grad()
def predict(
    classifier: Classifier,
    images: Tensor,
    device: torch.device | None = None,
    around: Around = nullcontext,
) -> Tensor:
    """Returns the outputs [N, K] on the CPU of `classifier` for uint8 images [N, H, W, C].

    See `outputs`; here all processes of a run get all outputs.
    """
    parts = {batch.start: part for batch, part in outputs(classifier, images, device, around)}
    return torch.cat([part for _, part in sorted(distributed.merge(parts).items())])


def outputs(
    classifier: Classifier,
    images: Tensor,
    device: torch.device | None = None,
    around: Around = nullcontext,
) -> Iterator[tuple[slice, Tensor]]:
    """Yields (which images, their outputs [n, K] on the CPU) of `classifier`, batch by batch.

    The images are uint8 [N, H, W, C]. Where `device` is a GPU they are sent there ahead. `around`
    gives the context that a batch is computed in. Several processes of a run share the batches, and
    each enters the context of every batch, so that what is drawn there is the same in all.
    """
    device = torch.device("cpu") if device is None else device
    size = GPU_BATCH if device.type == "cuda" else BATCH
    indices = [slice(start, start + size) for start in range(0, len(images), size)]
    rank, processes = distributed.rank(), distributed.processes()
    mine = batches(images, indices[rank::processes], device)
    for number, index in enumerate(indices):
        part = None
        with around():
            if number % processes == rank:
                part, size = in_parts(classifier, next(mine), size)
        if part is not None:
            yield index, part


def in_parts(classifier: Classifier, images: Tensor, size: int) -> tuple[Tensor, int]:
    """Returns (outputs, size): of `size` images at a time, fewer where memory is short."""

    def attempt(size: int) -> Tensor:
        return torch.cat([classifier(part).cpu() for part in images.split(size)])

    return until_it_fits(attempt, size)


def evaluate(
    classifier: Classifier,
    split: Split,
    classes: int,
    device: torch.device | None = None,
    around: Around = nullcontext,
) -> Evaluation:
    """Returns the `Evaluation` of `classifier` on `split`; see `predict` for device and around."""
    logits = predict(classifier, split.images, device, around)
    return evaluation_of(logits, split, classes)


def evaluate_splits(
    classifier: Classifier,
    task: Task,
    device: torch.device | None = None,
    around: Around = nullcontext,
) -> dict[str, Evaluation]:
    """Returns split name -> Evaluation for the validation (if the task has one) and test splits."""
    return {
        name: evaluate(classifier, task.splits[name], len(task.class_names), device, around)
        for name in ("validation", "test")
        if name in task.splits
    }
