"""Ways to adapt a backbone to a task; one file per method, each with `fit`."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Fit:
    """What a method learned: for each selection an epoch, a state and evaluations per split.

    `trained_parameters` counts what was learned, `chosen` holds settings picked on validation,
    `images` the images whose throughput the record gives: trained on, or looked at if nothing
    is trained by steps. `micro_batch` is the number of images in a pass of a training.
    """

    selection: dict[str, tuple[int | None, Any, dict]]
    trained_parameters: int
    history: list[dict] = field(default_factory=list)
    chosen: dict = field(default_factory=dict)
    images: int = 0
    micro_batch: int | None = None


def unselected(evaluations):
    """Returns the selection of a method without epochs: the same evaluations three times."""
    return dict.fromkeys(("last", "best_validation", "best_test"), (None, None, evaluations))
