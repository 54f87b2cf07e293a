"""What label maps count: how often a source class is said of an image of a class.

Shapes: K classes, S source classes.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

SMOOTHING = 1.0  # of the Bayesian maps: lambda


def count_pairs(source_logits: Tensor, labels: Tensor, classes: int) -> Tensor:
    """Returns how many images of each class are taken for each source class, [S, K]."""
    taken = F.one_hot(source_logits.argmax(1), source_logits.shape[1]).double()
    return taken.t() @ F.one_hot(labels, classes).double()


def one_to_one(scores: Tensor) -> Tensor:
    """Returns the number of the source class of every class [K], none used twice.

    Greedy, as in ILM's code: the largest of the scores [S, K] first, of equal ones the first in
    the order of the source classes; so a class that has no images gets the first that is free.
    """
    scores, classes = scores.clone().double(), scores.shape[1]
    numbers = torch.zeros(classes, dtype=torch.long)
    for _ in range(classes):
        best = int(scores.flatten().argmax())
        source, label = divmod(best, classes)
        numbers[label] = source
        scores[source], scores[:, label] = -torch.inf, -torch.inf
    return numbers


def mixture(counts: Tensor) -> Tensor:
    """Returns the mixtures [S, K] of counts [S, K]: each column sums to 1.

    A source class counts for a class by its share of all its images (BLM's equations, with lambda
    = SMOOTHING). A class without images is an even mixture.
    """
    shares = counts / (counts.sum(1, keepdim=True) + SMOOTHING)
    sums = shares.sum(0, keepdim=True)
    return torch.where(sums > 0, shares / sums.clamp(min=1e-30), 1 / len(counts)).float()
