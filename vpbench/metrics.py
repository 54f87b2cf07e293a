"""Numbers of a set of predictions; accuracies, F1 and calibration error in percent, NLL in nats."""

import torch
import torch.nn.functional as F


def classification_metrics(logits, labels, classes, groups=None):
    """Returns the metrics of logits [N, K] as a dict of plain numbers.

    accuracy, per_class (a list of K; None for a class without images), macro_f1 over the classes
    present, worst_group (lowest accuracy of a group, None without groups), nll, and ece with 15
    equal bins.
    """
    from torchmetrics.functional.classification import (
        multiclass_accuracy,
        multiclass_calibration_error,
        multiclass_f1_score,
    )

    prediction, present = logits.argmax(1), torch.bincount(labels, minlength=classes) > 0
    per_class = multiclass_accuracy(prediction, labels, classes, average="none")
    f1 = multiclass_f1_score(prediction, labels, classes, average="none")
    correct = prediction == labels
    return {
        "accuracy": 100 * correct.float().mean().item(),
        "per_class": [
            100 * value if there else None
            for value, there in zip(per_class.tolist(), present.tolist(), strict=True)
        ],
        "macro_f1": 100 * f1[present].mean().item(),
        "worst_group": None if groups is None else _worst(correct, groups),
        "nll": F.cross_entropy(logits, labels).item(),
        "ece": 100 * multiclass_calibration_error(logits.softmax(1), labels, classes).item(),
    }


def _worst(correct, groups):
    accuracies = []
    for group in sorted(set(groups)):
        member = torch.tensor([other == group for other in groups])
        accuracies.append(100 * correct[member].float().mean().item())
    return min(accuracies)
