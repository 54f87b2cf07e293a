import math

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, f1_score, log_loss, recall_score
from torchmetrics.functional.classification import multiclass_calibration_error

from vpbench.training.metrics import classification_metrics

CLASSES = 7


@pytest.fixture(scope="module")
def answers():
    """Returns logits and labels of 300 images of seven classes; the last class has no image."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES - 1, (300,), generator=generator)
    logits = torch.randn(300, CLASSES, generator=generator) * 2
    logits[torch.arange(300), labels] += 1.5
    return logits, labels


def calibration_error(probability, labels, bins=15):
    """Returns the expected calibration error in percent, counted bin by bin."""
    confidence, prediction = probability.max(1), probability.argmax(1)
    total = 0.0
    for low in np.arange(bins) / bins:
        inside = (confidence > low) & (confidence <= low + 1 / bins)
        if inside.any():
            right = (prediction[inside] == labels[inside]).mean()
            total += inside.mean() * abs(right - confidence[inside].mean())
    return 100 * total


def test_accuracy_f1_recall_and_log_loss_are_those_of_sklearn(answers):
    logits, labels = answers
    found = classification_metrics(logits, labels, CLASSES)
    prediction, present = logits.argmax(1), range(CLASSES - 1)
    assert found["accuracy"] == pytest.approx(100 * accuracy_score(labels, prediction))
    f1 = f1_score(labels, prediction, average="macro", labels=present)
    assert found["macro_f1"] == pytest.approx(100 * f1)
    recall = recall_score(labels, prediction, average=None, labels=present)
    assert found["per_class"][:-1] == pytest.approx(100 * recall)
    nll = log_loss(labels, logits.double().softmax(1), labels=range(CLASSES))
    assert found["nll"] == pytest.approx(nll, rel=1e-5)


def test_the_calibration_error_is_that_of_fifteen_bins_counted_by_hand(answers):
    logits, labels = answers
    expected = calibration_error(logits.softmax(1).numpy(), labels.numpy())
    assert expected > 1
    found = classification_metrics(logits, labels, CLASSES)["ece"]
    assert found == pytest.approx(expected, rel=1e-4)


def test_the_calibration_error_is_that_of_torchmetrics(answers):
    logits, labels = answers
    theirs = multiclass_calibration_error(logits.softmax(1), labels, CLASSES)
    found = classification_metrics(logits, labels, CLASSES)["ece"]
    assert found == pytest.approx(100 * theirs.item(), rel=1e-5)


def test_two_images_can_be_computed_by_hand():
    # Right with confidence 0.9, wrong with 0.6.
    logits = torch.tensor([[0.9, 0.1], [0.6, 0.4]]).log()
    found = classification_metrics(logits, torch.tensor([0, 1]), 2)
    assert found["accuracy"] == 50
    assert found["per_class"] == [100, 0]
    assert found["macro_f1"] == pytest.approx(100 / 3)  # F1 of 2/3 and of 0
    assert found["nll"] == pytest.approx(-(math.log(0.9) + math.log(0.4)) / 2)
    assert found["ece"] == pytest.approx(35)  # (|1 - 0.9| + |0 - 0.6|) / 2


def test_a_class_without_images_has_no_accuracy_and_no_share_in_f1():
    logits = torch.eye(3)[[0, 1]] * 5
    found = classification_metrics(logits, torch.tensor([0, 1]), 3)
    assert found["per_class"] == [100, 100, None]
    assert found["macro_f1"] == 100


def test_the_worst_group_is_the_one_with_the_lowest_accuracy():
    logits = torch.eye(2)[[0, 0, 0, 1, 1]]
    labels, groups = torch.tensor([0, 0, 1, 1, 1]), ("a", "b", "b", "a", "c")
    assert classification_metrics(logits, labels, 2, groups)["worst_group"] == 50
    assert classification_metrics(logits, labels, 2)["worst_group"] is None


def test_the_metrics_are_plain_numbers(answers):
    found = classification_metrics(*answers, CLASSES, ["a"] * 300)
    assert {type(value) for value in found.values()} == {float, list}
