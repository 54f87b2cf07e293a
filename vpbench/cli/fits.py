"""The fits that one command asks for, each done once however often the command is stopped."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import UserError
from vpbench.spec.methods import nothing_to_train
from vpbench.spec.preprocessing import for_recipe
from vpbench.spec.settings import Settings

if TYPE_CHECKING:  # they load torch: see vpbench.cli
    from vpbench.data.task import AnyTask, Task
    from vpbench.methods.model import Model
    from vpbench.models.backbone import Backbone
    from vpbench.training.checkpoint import Checkpoint

Asked = tuple[str, Settings]  # a method and its recipe


class Fits:
    """Fits on one backbone and task.

    `checkpoint` is the file that holds the state of the one at hand. `finished` has, as JSON, what
    is `asked` for, and of the fits that are done which images each has right. One of other
    settings, images, weights or versions is another fit and is never taken for it.
    """

    def __init__(
        self, backbone: "Backbone", task: "AnyTask", seed: int, checkpoint: Path, finished: Path
    ):
        self.backbone, self.task, self.seed = backbone, task, seed
        self.checkpoint, self.finished = checkpoint, finished
        self._hashes: dict[str, Any] = {}
        before = read_finished(finished)
        self.asked_before, self.done = before["asked"], before["done"]
        self.asked: list[dict[str, Any]] = []

    def ask(self, trials: Sequence[Asked]) -> bool:
        """Returns whether a command that was stopped asked for the same trials as this one."""
        self.asked = [self.about(*each) for each in trials]
        return self.asked == self.asked_before

    def refuse_others(self, asked: Sequence[Asked]) -> None:
        """Raises UserError if the checkpoint that is there is of none of these fits."""
        obstacles = [self._checkpoint(*each).obstacle() for each in asked]
        if all(obstacles):
            raise UserError(f"{obstacles[0]}; choose another --out, or add --force to start anew")

    def read(self, settings: Settings) -> "Task":
        """Returns the task with its images as a recipe takes them."""
        return self.task.load(for_recipe(self.backbone.preprocessing, settings))

    def about(self, method: str, settings: Settings) -> dict[str, Any]:
        """Returns what says which fit it is."""
        from vpbench.experiment.provenance import hashes, versions

        made = for_recipe(self.backbone.preprocessing, settings).key
        if made not in self._hashes:
            self._hashes[made] = hashes(self.read(settings), self.backbone)
        about = {
            "task": [self.task.name, list(self.task.class_names), self.task.template],
            "backbone": self.backbone.name,
            "method": method,
            "settings": settings,
            "seed": self.seed,
            "hashes": self._hashes[made],
            "versions": versions(),
        }
        plain: dict[str, Any] = json.loads(json.dumps(about))  # as a file gives it back
        return plain

    def is_done(self, method: str, settings: Settings, split: str) -> bool:
        """Returns whether it is known which images of a split a fit has right."""
        return self._known(self.about(method, settings), split) is not None

    def right(
        self, method: str, settings: Settings, split: str
    ) -> tuple[np.ndarray, "Model | None"]:
        """Returns whether each image [N] of a split is right after a fit, and its model.

        None in place of the model if the fit was done when the command was stopped.
        """
        about = self.about(method, settings)
        known = self._known(about, split)
        if known is not None:
            return np.array(known, bool), None
        model = self.model(method, settings)
        right = model.examine(self.task, split).right
        self.done.append({"about": about, "split": split, "right": right.astype(int).tolist()})
        atomic_files.write(self.finished, {"asked": self.asked, "done": self.done})
        if is_trained(settings):
            self._checkpoint(method, settings).remove()
        return right, model

    def model(self, method: str, settings: Settings) -> "Model":
        """Returns the model of a fit; stopped, it goes on from the checkpoint."""
        import vpbench

        return vpbench.fit(
            method, self.backbone, self.task, settings=settings, seed=self.seed,
            checkpoint=self._checkpoint(method, settings),
        )  # fmt: skip

    def end(self) -> None:
        """Removes what was kept for a command that is stopped."""
        from vpbench.training.checkpoint import Checkpoint

        Checkpoint(self.checkpoint).remove()
        self.finished.unlink(missing_ok=True)

    def _known(self, about: dict[str, Any], split: str) -> list[int] | None:
        for each in self.done:
            if each["about"] == about and each["split"] == split:
                right: list[int] = each["right"]
                return right
        return None

    def _checkpoint(self, method: str, settings: Settings) -> "Checkpoint":
        from vpbench.training.checkpoint import Checkpoint

        return Checkpoint(self.checkpoint, about=self.about(method, settings))


def is_trained(settings: Settings) -> bool:
    """Returns whether a fit takes steps."""
    return "epochs" in settings and not nothing_to_train(settings)


def read_finished(path: Path) -> dict[str, Any]:
    """Returns what a command that was stopped has asked for, and what it has done."""
    if not path.exists():
        return {"asked": [], "done": []}
    kept = strict_json.read_json(path)
    if not isinstance(kept, dict) or kept.keys() != {"asked", "done"}:
        raise UserError(f"{path} has no fits that vpbench wrote; remove it")
    return kept
