"""Two models on the same images."""

from typing import NamedTuple

import numpy as np

from vpbench.common import paired
from vpbench.common.errors import UserError
from vpbench.common.messages import brief
from vpbench.data.task import AnyTask, TaskSplit
from vpbench.methods.model import Model


class Comparison(NamedTuple):
    """Two models on the same images: accuracies in %, their paired difference a - b in points.

    `low` and `high` are its 95 % interval, from a bootstrap over the images; `p_value` is that of
    McNemar's exact test.
    """

    accuracy_a: float
    accuracy_b: float
    difference: float
    low: float
    high: float
    p_value: float
    images: int

    def __str__(self) -> str:
        return (
            f"{self.accuracy_a:.1f} % against {self.accuracy_b:.1f} %: {self.difference:+.1f} "
            f"points [{self.low:+.1f}, {self.high:+.1f}], McNemar p = {self.p_value:.2g}, "
            f"{self.images:,} images"
        )


def compare(a: Model, b: Model, which: AnyTask | TaskSplit, split: str = "test") -> Comparison:
    """Returns the `Comparison` of two models on a split, task.test for one.

    They may have different backbones; each reads the images as its own takes them.
    """
    for model in (a, b):
        if not isinstance(model, Model):
            raise UserError(f"{brief(model)} is no model; give what fit or load returns")
    first, second = a.examine(which, split), b.examine(which, split)
    if first.images.ids != second.images.ids:
        raise UserError("the two models were given different images; load the task anew")
    return comparison(first.right, second.right)


def comparison(a: np.ndarray, b: np.ndarray) -> Comparison:
    """Returns the `Comparison` of whether each of the same images [N] was right."""
    accuracies = 100 * float(a.mean()), 100 * float(b.mean())
    difference, low, high = paired.difference([(a, b)])
    return Comparison(*accuracies, difference, low, high, paired.mcnemar(a, b), len(a))
