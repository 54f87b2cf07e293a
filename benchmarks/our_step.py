"""The suite's own training step of a prompt, taken one at a time, on random weights and images."""

import math
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vpbench.compute.engine import Engine
from vpbench.compute.precision import CANDIDATES, product_seconds, usable
from vpbench.data.task import Split, Task
from vpbench.methods.prompted_classifier import untrained
from vpbench.methods.visual_prompt import build_optimiser
from vpbench.models.backbone import Backbone
from vpbench.models.hub_backbones import backbone_of, build
from vpbench.prompts.pixel import AnyPrompt
from vpbench.spec.class_names import read_manifest
from vpbench.spec.recipes import load_recipe
from vpbench.spec.settings import Settings
from vpbench.training.trainer import Trainer

CONFIG = Path(__file__).parents[1] / "config"
RECIPES = CONFIG / "paper.yaml"  # the official ones
LAB, DESK = CONFIG / "lab.yaml", CONFIG / "desk.yaml"
BATCHES = 4  # different ones that steps go through, again and again
STEPS = 196_000  # of a training: CIFAR-100 for 1,000 epochs in batches of 256


def random_backbone(name: str, seed: int = 0) -> Backbone:
    """Returns the backbone `name` of original_backbones with random weights, equal for a seed."""
    torch.manual_seed(seed)
    return backbone_of(name, build(name), weights_hash="random")


def official_recipe(backbone: str) -> Settings:
    """Returns the settings of the official prompt on the backbone of this name."""
    return load_recipe(RECIPES, "visual_prompt", backbone)


def random_task(side: int, count: int, classes: int, seed: int = 0) -> Task:
    """Returns a task of `count` random images of `side` pixels, and names of CIFAR-100."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    split = Split(images, labels, tuple(map(str, range(count))))
    names = read_manifest("cifar100")[:classes]
    return Task("random", "Random", names, "This is a photo of a {}", {"train": split})


def parts_of(split: Split, batch: int) -> list[tuple[Tensor, Tensor]]:
    """Returns the (images, labels) of a split in batches of so many, in order."""
    return list(zip(split.images.split(batch), split.labels.split(batch), strict=True))


def split_precisions(device: torch.device) -> tuple[list[str], dict[str, float]]:
    """Returns (precisions worth a step on `device`, fp32 first; precision -> slowness of others).

    The slowness is the time of a matrix product over that in fp32. A processor that only imitates a
    precision would take minutes for a step in it.
    """
    worth = usable(device)
    plain = product_seconds(Engine(), device)
    return worth, {
        each: product_seconds(Engine(each), device) / plain
        for each in CANDIDATES
        if each not in worth
    }


def in_turn(step: Callable[..., Any], batches: list[Any]) -> Callable[[], Any]:
    """Returns the function that calls `step` with the next of `batches`, from the first again."""
    coming = cycle(batches)
    return lambda: step(*next(coming))


class OurStep:
    """A prompt in training; `engine` of the backbone is used as it is when a step is taken."""

    def __init__(self, backbone: Backbone, task: Task, settings: Settings, seed: int = 0):
        generator = torch.Generator().manual_seed(seed)
        self.classifier = untrained(backbone, task, settings, seed, generator).train()
        batches = math.ceil(len(task.splits["train"]) / settings["batch_size"])
        lasting = settings | {"epochs": math.ceil(STEPS / batches)}
        optimiser = build_optimiser(self.classifier, settings)
        self.trainer = Trainer(
            self.classifier, optimiser, task, lasting, generator, task.name, backbone.engine
        )

    @property
    def prompt(self) -> AnyPrompt:
        """The prompt as it is by now."""
        return self.classifier.prompt

    def __call__(self, images: Tensor, labels: Tensor) -> float:
        """Returns the loss of a step on uint8 `images` [N, H, W, C], as a training takes it."""
        return self.trainer.train_step(images, labels).loss
