"""What label maps count: how often a source class is said of an image of a class.

Shapes: K classes, S source classes.
"""

import torch
from torch import Tensor

SMOOTHING = 1.0  # of the Bayesian maps: lambda


def no_pairs(source_classes: int, classes: int) -> Tensor:
    """Returns the counts [S, K] before any image, for the functions that add to them."""
    return torch.zeros(source_classes, classes, dtype=torch.float64)


def add_likeliest(counts: Tensor, source_logits: Tensor, labels: Tensor) -> None:
    """Adds 1 to counts [S, K] for each image: at its likeliest source class and its class.

    The images are those of a batch, with source logits [N, S] and labels [N].
    """
    cells = source_logits.argmax(1) * counts.shape[1] + labels
    counts.view(-1).index_add_(0, cells, torch.ones(len(cells), dtype=counts.dtype))


def add_likely(counts: Tensor, source_logits: Tensor, labels: Tensor, top: int) -> None:
    """Adds the probabilities of the `top` likeliest source classes of each image to counts [S, K].

    The images are those of a batch, with source logits [N, S] and labels [N].
    """
    likely, numbers = source_logits.softmax(1).topk(min(top, counts.shape[0]))
    cells = numbers * counts.shape[1] + labels[:, None]
    counts.view(-1).index_add_(0, cells.flatten(), likely.flatten().to(counts.dtype))


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
