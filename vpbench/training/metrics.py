"""Numbers of a set of predictions; accuracies, F1 and calibration error in percent, NLL in nats."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

BINS = 15  # of the calibration error


def classification_metrics(
    logits: Tensor, labels: Tensor, classes: int, groups: Sequence[str] | None = None
) -> dict[str, Any]:
    """Returns the metrics of logits [N, K] as a dict of plain numbers.

    accuracy, per_class (a list of K; None for a class without images), macro_f1 over the classes
    present, worst_group (lowest accuracy of a group, None without groups), nll, and ece with 15
    equal bins.
    """
    confidence, prediction = logits.softmax(1).max(1)
    nll = F.cross_entropy(logits, labels).item()
    return prediction_metrics(prediction, confidence, nll, labels, classes, groups)


def prediction_metrics(
    prediction: Tensor,
    confidence: Tensor,
    nll: float,
    labels: Tensor,
    classes: int,
    groups: Sequence[str] | None = None,
) -> dict[str, Any]:
    """Returns the same from predictions [N], their confidences [N] and the mean NLL."""
    correct = prediction == labels
    images, predicted, hits = (
        torch.bincount(which, minlength=classes) for which in (labels, prediction, labels[correct])
    )
    present = images > 0
    f1 = 2 * hits / (images + predicted).clamp(min=1)
    return {
        "accuracy": 100 * correct.float().mean().item(),
        "per_class": [
            100 * right / count if count else None
            for right, count in zip(hits.tolist(), images.tolist(), strict=True)
        ],
        "macro_f1": 100 * f1[present].mean().item(),
        "worst_group": None if groups is None else _worst(correct, groups),
        "nll": nll,
        "ece": 100 * calibration_error(confidence, correct),
    }


def calibration_error(confidence: Tensor, correct: Tensor, bins: int = BINS) -> float:
    """Returns the expected calibration error, 0 to 1, of confidences [N] in equal bins.

    Each bin's mean confidence is compared with its share of correct predictions.
    """
    # Bins are open below and closed above; torchmetrics would do the same, and costs each job
    # two seconds to import.
    place = (confidence.double() * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, place, correct.double() - confidence.double())
    return (gap.abs().sum() / len(confidence)).item()


def _worst(correct: Tensor, groups: Sequence[str]) -> float | None:
    numbers = {name: number for number, name in enumerate(dict.fromkeys(groups))}
    group = torch.tensor([numbers[name] for name in groups])  # once, however many groups there are
    images, hits = (torch.bincount(of, minlength=len(numbers)) for of in (group, group[correct]))
    # As WILDS does for FMoW: images of unknown countries, a handful, are no region.
    regions = [number for name, number in numbers.items() if name != "Other"]
    return 100 * (hits / images)[regions].min().item() if regions else None
