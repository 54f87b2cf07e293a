"""What the tasks and backbones of a configuration leave no run of, so that it is left out.

A user restricts a configuration by its lists of tasks and backbones. A table of shifts then has
nothing to show, which is no mistake in it; a slice that has no run whatever these lists say is one.
"""

from collections.abc import Iterable
from itertools import product

from vpbench.spec.aliases import Config, Slice
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import inside, modality
from vpbench.spec.methods import METHODS
from vpbench.spec.tasks import TASKS

FEW = 4  # names that a line lists


def left_out(config: Config, slice_: Slice) -> str | None:
    """Returns the lists that leave no run of a slice; None if it has none whatever they say."""
    tasks, backbones = [*TASKS, *config.get("folders", {})], list(BACKBONES)
    if asks_for_runs(config, slice_, tasks, config["backbones"]):
        return reason(config, "tasks")
    if asks_for_runs(config, slice_, config["tasks"], backbones):
        return reason(config, "backbones")
    if asks_for_runs(config, slice_, tasks, backbones):
        return f"{reason(config, 'tasks')} and {reason(config, 'backbones')}"
    return None


def reason(config: Config, key: str) -> str:
    """Returns a list of a configuration in words."""
    names = config[key]
    return f"the {key} {', '.join(names[:FEW])}{', ...' if len(names) > FEW else ''}"


def asks_for_runs(
    config: Config, slice_: Slice, tasks: Iterable[str], backbones: Iterable[str]
) -> bool:
    """Returns whether a slice has a run where blocks without tasks or backbones have these."""
    for name in slice_.get("grid", ["main"]):
        block = config["grid"][name]
        cells = product(
            block.get("tasks", tasks), block.get("backbones", backbones), block["methods"]
        )
        if any(
            modality(backbone) in METHODS[method].modalities
            and inside(block, task, backbone, method)
            and inside(slice_, task, backbone, method)
            for task, backbone, method in cells
        ):
            return True
    return False
