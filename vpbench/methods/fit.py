"""What every method gives back, and the training of those that start at random."""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from vpbench.compute.draws import draws_apart
from vpbench.data.task import Task
from vpbench.models.backbone import Backbone
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint
from vpbench.training.learner import Learner
from vpbench.training.selection import Selected, Selection
from vpbench.training.trainer import Trainer


@dataclass(frozen=True)
class Fit:
    """What a method learned: for each selection an epoch, a state and evaluations per split.

    A state, where one is kept, is that of what the method's `learner` returns.
    `trained_parameters` counts what was learned, `chosen` holds settings picked on validation,
    `images` the images whose throughput the record gives: trained on, or looked at if nothing
    is trained by steps. `micro_batch` is the number of images in a pass of a training.
    """

    selection: Selection
    trained_parameters: int
    history: list[dict[str, Any]] = field(default_factory=list)
    chosen: dict[str, Any] = field(default_factory=dict)
    images: int = 0
    micro_batch: int | None = None

    def selected(self, rule: str) -> Selected:
        """Returns what is selected by a rule: last, best_validation or best_test."""
        return self.selection[rule]


class MethodModule(Protocol):
    """A module, or an object, that is a method.

    Where its settings have epochs, `fit` is also given `checkpoint` and `keep`; see `fit_seeded`.
    """

    def fit(self, backbone: Backbone, task: Task, settings: Settings, seed: int, /) -> Fit:
        """Returns the `Fit` of a training."""

    def learner(self, backbone: Backbone, task: Task, settings: Settings, seed: int, /) -> Learner:
        """Returns what is trained, before it is; the states of a `Fit` are loaded into it."""


class Adapted(Learner):
    """A learner through a frozen backbone, which is no part of its state."""

    backbone: Backbone

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.__dict__["backbone"] = backbone  # not a submodule: it is neither trained nor saved

    def logits(self, x: Tensor) -> Tensor:
        """Returns the logits [N, K] of normalised images [N, C, S, S]."""
        raise NotImplementedError

    def from_pixels(self, pixels: Tensor) -> Tensor:
        """Returns the logits [N, K] of pixels 0..1 [N, C, S, S]; an exported model is made of this.

        They are on the backbone's device.
        """
        return self.logits(self.backbone.normalize(pixels))

    def forward(self, images: Tensor) -> Tensor:
        return self.from_pixels(self.backbone.scale_pixels(images))


def fit_seeded(
    method: str,
    build: Callable[[], tuple[Adapted, torch.optim.Optimizer]],
    backbone: Backbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = (),
) -> Fit:
    """Returns the `Fit` of a learner whose first values and training draw from torch's generators.

    build() gives the learner and its optimiser. From a `checkpoint` the training goes on where it
    was. The states that the Fit has are the last one and those that the rules in `keep` select: a
    learner may be all weights of a backbone, and each is as large, in memory and in checkpoints.
    """
    with draws_apart(backbone.device, seed):
        learner, optimiser = build()
        trainer = Trainer(
            learner, optimiser, task, settings, torch.Generator().manual_seed(seed),
            f"{task.name} {backbone.name} {method} seed {seed}", backbone.engine, checkpoint,
            keep=keep,
        )  # fmt: skip
        progress = trainer.run()
    progress.selection["last"] = trainer.latest._replace(state=learner.state_dict())
    return fit_of(trainer, sum(parameter.numel() for parameter in learner.parameters()))


def fit_of(trainer: Trainer, trained_parameters: int) -> Fit:
    """Returns the `Fit` of a training that has run."""
    progress = trainer.progress
    return Fit(
        progress.selection,
        trained_parameters,
        progress.history,
        images=trainer.settings["epochs"] * trainer.images_per_epoch,
        micro_batch=progress.micro_batch,
    )
