"""A prompted classifier that is so small that exporting it takes half a second."""

import torch
from torch import nn

from tests.helpers.tiny import PADDING
from vpbench.data.task import Task
from vpbench.methods.prompted_classifier import PromptedClassifier, untrained
from vpbench.models.backbone import VisionBackbone
from vpbench.prompts.own import NOTHING_OWN
from vpbench.spec.preprocessing import Preprocessing

SIDE = 8
NAMES = ("a pier", "a lake", "a heath")
TASK = Task("places", "places", NAMES, "This is a photo of a {}", {})
MEAN, STD = (0.5, 0.4, 0.3), (0.2, 0.25, 0.5)


class Sums(nn.Module):
    """A classifier of 5 source classes: a linear layer on all pixels."""

    num_classes = 5

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3 * SIDE * SIDE, self.num_classes)

    def forward(self, x):
        return self.layer(x.flatten(1))


def small_backbone():
    """Returns a vision backbone for squares of 8 pixels, with random weights."""
    torch.manual_seed(0)
    preprocessing = Preprocessing(10, SIDE, "bilinear")
    return VisionBackbone(
        "sums", Sums(), preprocessing=preprocessing, mean=MEAN, std=STD, weights_hash="0" * 64
    )


def settings_of(**changes):
    """Returns the recipe of a border of 2 pixels on it, with changes."""
    return PADDING | {"size": 2, "label_map": "hard_coded"} | changes


def small_classifier(own=NOTHING_OWN, **changes) -> PromptedClassifier:
    """Returns an untrained classifier; `changes` are settings of its recipe."""
    generator = torch.Generator().manual_seed(1)
    settings = settings_of(**changes)
    return untrained(small_backbone(), TASK, settings, 0, generator, own).eval()
