"""How far a training is."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from vpbench.training.evaluate import Evaluation
from vpbench.training.selection import Selected, Selection


@dataclass
class Progress:
    """How far a training is; with the states of learner, optimiser and generators all it needs."""

    micro_batch: int  # images per pass
    epoch: int = 1  # the one at hand
    order: Tensor | None = None  # of its images
    done: int = 0  # its steps so far
    loss: float = 0.0  # summed over its images
    correct: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)  # a line per epoch
    selection: Selection = field(default_factory=dict)

    def next_epoch(self) -> None:
        """Turns to the epoch after the one at hand."""
        self.epoch, self.order, self.done = self.epoch + 1, None, 0
        self.loss, self.correct = 0.0, 0

    def plain(self) -> dict[str, Any]:
        """Returns it as dicts and tuples, which torch.load reads with weights_only."""
        selection = {
            rule: (epoch, state, {split: tuple(each) for split, each in evaluations.items()})
            for rule, (epoch, state, evaluations) in self.selection.items()
        }
        return vars(self) | {"selection": selection}


def progress_of(plain: dict[str, Any]) -> Progress:
    """Returns the `Progress` that was made `plain`."""
    selection = {
        rule: Selected(
            epoch, state, {split: Evaluation(*each) for split, each in evaluations.items()}
        )
        for rule, (epoch, state, evaluations) in plain["selection"].items()
    }
    return Progress(**plain | {"selection": selection})
