"""Numbers of a set of predictions; accuracies, F1 and calibration error in percent, NLL in nats."""

import torch
import torch.nn.functional as F


def classification_metrics(logits, labels, classes, groups=None):
    """Returns the metrics of logits [N, K] as a dict of plain numbers.

    accuracy, per_class (a list of K; None for a class without images), macro_f1 over the classes
    present, worst_group (lowest accuracy of a group, None without groups), nll, and ece with 15
    equal bins.
    """
    probability = logits.softmax(1)
    confidence, prediction = probability.max(1)
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
        "nll": F.cross_entropy(logits, labels).item(),
        "ece": 100 * calibration_error(confidence, correct),
    }


def calibration_error(confidence, correct, bins=15):
    """Returns the expected calibration error, 0 to 1, of confidences [N] in equal bins.

    Each bin's mean confidence is compared with its share of correct predictions.
    """
    # Bins are open below and closed above; torchmetrics would do the same, and costs each job
    # two seconds to import.
    place = (confidence.double() * bins).ceil().long().clamp(1, bins) - 1
    gap = torch.zeros(bins, dtype=torch.float64)
    gap.index_add_(0, place, correct.double() - confidence.double())
    return (gap.abs().sum() / len(confidence)).item()


def _worst(correct, groups):
    accuracies = []
    # As WILDS does for FMoW: images of unknown countries, a handful, are no region.
    for group in sorted(set(groups) - {"Other"}):
        member = torch.tensor([other == group for other in groups])
        accuracies.append(100 * correct[member].float().mean().item())
    return min(accuracies, default=None)
