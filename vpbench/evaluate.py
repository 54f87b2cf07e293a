"""Evaluation: a classifier over the images of a split."""

from typing import NamedTuple

import torch
from torch import Tensor

from vpbench.metrics import classification_metrics

BATCH = 64  # images; only speed depends on it: larger buffers are mapped anew each time


class Evaluation(NamedTuple):
    """The logits of a split and their metrics."""

    logits: Tensor  # [N, K]
    metrics: dict


@torch.no_grad()
def predict(classifier, images):
    """Returns the outputs [N, K] on the CPU of `classifier` for uint8 images [N, H, W, C]."""
    return torch.cat([classifier(batch).cpu() for batch in images.split(BATCH)])


def evaluate(classifier, split, classes):
    """Returns the `Evaluation` of `classifier` (uint8 images -> logits) on `split`."""
    logits = predict(classifier, split.images)
    return Evaluation(logits, classification_metrics(logits, split.labels, classes, split.groups))
