"""CIFAR100 twin: 24 of the hundred classes, painted like the CIFAR10 twin."""

from vpbench.twins.cifar10 import paint_object

CLASS_NAMES = (
    "apple", "bear", "bee", "bicycle", "bottle", "bridge", "bus", "butterfly", "castle", "chair",
    "clock", "crab", "cup", "elephant", "fox", "lamp", "mushroom", "pear", "rabbit", "rocket",
    "snail", "tractor", "turtle", "whale",
)  # fmt: skip


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    return paint_object(rng, CLASS_NAMES[label])
