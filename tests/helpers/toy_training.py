"""The smallest training: a linear classifier of the first pixel of numbered images."""

import torch
from torch import nn

from tests.helpers.tiny import numbered_task
from vpbench.training.learner import Learner
from vpbench.training.trainer import Trainer

SIZES = {"train": 10, "validation": 6, "test": 6}
SETTINGS = {
    "epochs": 3,
    "batch_size": 4,
    "lr": 0.5,
    "schedule": "linear",
    "warm_up": 0.0,
    "warm_up_steps": 2,
    "eval_epochs": [1],
}


class Recorder(torch.optim.SGD):
    """Gradient descent that remembers the learning rate of each step."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=1.0)
        self.rates = []

    def step(self):
        """Takes a step."""
        self.rates.append(self.param_groups[0]["lr"])
        super().step()


class FirstPixel(Learner):
    """A linear classifier of the first pixel that remembers which images it saw."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 3)
        nn.init.zeros_(self.layer.weight)
        nn.init.zeros_(self.layer.bias)
        self.seen = []  # (in training?, numbers of the images)

    def forward(self, images):
        """Returns logits."""
        numbers = images[:, 0, 0, 0]
        self.seen.append((self.training, numbers.tolist()))
        return self.layer(numbers[:, None] / 10)


class Through(Learner):
    """A module and the function from images to logits that uses it."""

    def __init__(self, module, classifier):
        super().__init__()
        self.module, self.classifier = module, classifier

    def forward(self, images):
        """Returns logits."""
        return self.classifier(images)


def toy_trainer(learner, settings=SETTINGS, sizes=SIZES, seed=0, **options):
    """Returns the trainer of a learner on numbered images, with a `Recorder`."""
    generator = torch.Generator().manual_seed(seed)
    optimiser = Recorder(learner.parameters())
    return Trainer(learner, optimiser, numbered_task(sizes), settings, generator, "toy", **options)


def learn(settings=SETTINGS, sizes=SIZES, seed=0):
    """Returns the trainer of a short training that has run."""
    trainer = toy_trainer(FirstPixel(), settings, sizes, seed)
    trainer.run()
    return trainer
