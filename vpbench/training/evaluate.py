"""Evaluation: a classifier over the images of a split."""

from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from vpbench.compute import distributed
from vpbench.compute.engine import until_it_fits
from vpbench.data.batches import batches
from vpbench.training.metrics import classification_metrics

BATCH = 64  # images; only speed depends on it: larger buffers are mapped anew each time
GPU_BATCH = 256  # as many as a GPU needs to be busy


class Evaluation(NamedTuple):
    """The logits of a split and their metrics."""

    logits: Tensor  # [N, K]
    metrics: dict


@torch.no_grad()
def predict(classifier, images, device=None, around=nullcontext):
    """Returns the outputs [N, K] on the CPU of `classifier` for uint8 images [N, H, W, C].

    Where `device` is a GPU the images are sent there ahead. `around` gives the context that a batch
    is computed in. Several processes of a run share the batches, and all get all outputs; each
    enters the context of every batch, so that what is drawn there is the same in all.
    """
    device = torch.device("cpu") if device is None else device
    size = GPU_BATCH if device.type == "cuda" else BATCH
    indices = [slice(start, start + size) for start in range(0, len(images), size)]
    rank, processes = distributed.rank(), distributed.processes()
    mine, outputs = batches(images, indices[rank::processes], device), {}
    for number in range(len(indices)):
        with around():
            if number % processes == rank:
                outputs[number], size = in_parts(classifier, next(mine), size)
    outputs = distributed.merge(outputs)
    return torch.cat([outputs[number] for number in range(len(indices))])


def in_parts(classifier, images, size):
    """Returns (outputs, size): of `size` images at a time, fewer where memory is short."""

    def attempt(size):
        return torch.cat([classifier(part).cpu() for part in images.split(size)])

    return until_it_fits(attempt, size)


def evaluate(classifier, split, classes, device=None, around=nullcontext):
    """Returns the `Evaluation` of `classifier` (uint8 images -> logits) on `split`."""
    logits = predict(classifier, split.images, device, around)
    return Evaluation(logits, classification_metrics(logits, split.labels, classes, split.groups))
