"""The choice of an epoch: the last, the best on validation, the best on test."""

from typing import NamedTuple

from torch import Tensor

from vpbench.training.evaluate import Evaluation

RULES = ("last", "best_validation", "best_test")


class Selected(NamedTuple):
    """What a training was like after an epoch."""

    epoch: int | None  # None where nothing is trained by epochs
    state: dict[str, Tensor] | None  # of what was trained; None where none is kept
    evaluations: dict[str, Evaluation]  # by split

    def accuracy(self, split: str) -> float:
        """Returns the accuracy on a split, in %."""
        return self.evaluations[split].metrics["accuracy"]

    def summary(self) -> "Selected":
        """Returns it without state and logits: as much as a record says, however large they are."""
        short = {name: each._replace(logits=None) for name, each in self.evaluations.items()}
        return self._replace(state=None, evaluations=short)


Selection = dict[str, Selected]  # by rule


def select(selection: Selection, latest: Selected) -> Selection:
    """Returns `selection` after one more epoch, `latest`.

    Only what is selected is kept: a thousand epochs take no more memory than three. Ties go to the
    earlier epoch.
    """

    def best(rule: str, split: str) -> Selected:
        if rule not in selection or split not in latest.evaluations:
            return latest
        earlier = selection[rule]
        return latest if latest.accuracy(split) > earlier.accuracy(split) else earlier

    return {
        "last": latest,
        "best_validation": best("best_validation", "validation"),
        "best_test": best("best_test", "test"),
    }


def unselected(
    evaluations: dict[str, Evaluation], state: dict[str, Tensor] | None = None
) -> Selection:
    """Returns the selection of a method without epochs: the same evaluations three times."""
    return dict.fromkeys(RULES, Selected(None, state, evaluations))
