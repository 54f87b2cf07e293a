"""The suite's own training step of a prompt, taken one at a time, on random weights and images."""

from itertools import cycle
from pathlib import Path

import torch

from vpbench.compute.engine import Engine
from vpbench.compute.precision import CANDIDATES, product_seconds, usable
from vpbench.data.task import Split, Task
from vpbench.methods import visual_prompt
from vpbench.models.hub_backbones import backbone_of, build
from vpbench.prompts.pixel import build_prompt
from vpbench.spec.class_names import read_manifest
from vpbench.spec.recipes import load_recipe
from vpbench.spec.schedules import learning_rate, warm_up_length
from vpbench.training.trainer import pass_through

CONFIG = Path(__file__).parents[1] / "config"
RECIPES = CONFIG / "paper.yaml"  # the official ones
LAB, DESK = CONFIG / "lab.yaml", CONFIG / "desk.yaml"
BATCHES = 4  # different ones that steps go through, again and again
STEPS = 196_000  # of a training: CIFAR-100 for 1,000 epochs in batches of 256


def random_backbone(name, seed=0):
    """Returns the backbone `name` of original_backbones with random weights, equal for a seed."""
    torch.manual_seed(seed)
    return backbone_of(name, build(name), weights_hash="random")


def official_recipe(backbone):
    """Returns the settings of the official prompt on the backbone of this name."""
    return load_recipe(RECIPES, "visual_prompt", backbone)


def random_task(side, count, classes, seed=0):
    """Returns a task of `count` random images of `side` pixels, and names of CIFAR-100."""
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    split = Split(images, labels, tuple(map(str, range(count))))
    names = read_manifest("cifar100")[:classes]
    return Task("random", "Random", names, "This is a photo of a {}", {"train": split})


def parts_of(split, batch):
    """Returns the (images, labels) of a split in batches of so many, in order."""
    return list(zip(split.images.split(batch), split.labels.split(batch), strict=True))


def split_precisions(device):
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


def in_turn(step, batches):
    """Returns the function that calls `step` with the next of `batches`, from the first again."""
    coming = cycle(batches)
    return lambda: step(*next(coming))


class OurStep:
    """A prompt in training; `engine` of the backbone is used as it is when a step is taken."""

    def __init__(self, backbone, task, settings, seed=0):
        self.settings = settings
        self.prompt = build_prompt(
            settings["template"], backbone.image_size, settings["size"], init=settings["init"],
            generator=torch.Generator().manual_seed(seed),
        )  # fmt: skip
        self.classifier = visual_prompt.trained(self.prompt, backbone, task, settings).train()
        self.optimiser = visual_prompt.build_optimiser(self.classifier, settings)
        self.scaler = torch.amp.GradScaler(backbone.device.type, enabled=False)
        self.taken = 0

    def __call__(self, images, labels):
        """Returns the loss of a step on uint8 `images` [N, H, W, C], as training.optimise does."""
        warm_up = warm_up_length(self.settings, STEPS)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(
                self.taken, STEPS, self.settings["lr"], warm_up, self.settings["schedule"]
            )
        (loss, _), _ = pass_through(
            self.prompt, self.classifier, self.optimiser, self.scaler,
            images, labels, len(images), len(images),
        )  # fmt: skip
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.taken += 1
        return loss
