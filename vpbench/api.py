"""The Python API: what `import vpbench` offers; vpbench/__init__.py imports it when used."""

from pathlib import Path

from vpbench.common.errors import UserError
from vpbench.common.messages import brief
from vpbench.data.image_folder import load_folder
from vpbench.data.load import load_task
from vpbench.data.task import Task
from vpbench.methods import visual_prompt
from vpbench.methods.prompted_classifier import (
    PromptedClassifier,
    check_preprocessing,
    trained,
)
from vpbench.models.backbone import Backbone, load_backbone
from vpbench.spec import schema_check
from vpbench.spec.recipes import load_recipe
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint

__all__ = [
    "PromptedClassifier",
    "fit_prompt",
    "load_backbone",
    "load_folder",
    "load_prompt",
    "load_recipe",
    "load_task",
]


def fit_prompt(
    backbone: Backbone,
    task: Task,
    settings: Settings,
    *,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
) -> PromptedClassifier:
    """Returns the classifier with a prompt that is learned on the task's training split.

    `settings` is a complete recipe, for example from load_recipe. With a validation split the
    prompt is that of the best validation epoch, without one that of the last epoch. From a
    `checkpoint`, a vpbench.training.checkpoint.Checkpoint, the training goes on where it was; it is
    the caller's to remove.
    """
    _expect(backbone, Backbone, "load_backbone")
    _expect(task, Task, "load_task or load_folder")
    schema_check.check(settings, settings_schema("visual_prompt", complete=True), "settings")
    check_preprocessing(task, backbone, settings)
    rule = "best_validation"
    fit = visual_prompt.fit(backbone, task, settings, seed, checkpoint, keep=[rule])
    return trained(backbone, task, settings, fit.selected(rule))


def load_prompt(path: str | Path, backbone: Backbone) -> PromptedClassifier:
    """Returns the classifier that was saved at `path`, made for exactly this `backbone`.

    Raises UserError if the files are missing or damaged, or were made for another backbone.
    """
    _expect(backbone, Backbone, "load_backbone")
    return PromptedClassifier.load(path, backbone)


def _expect(value: object, kind: type, maker: str) -> None:
    """Raises UserError unless `value` is what `maker` returns."""
    if not isinstance(value, kind):
        raise UserError(f"{brief(value)} is no {kind.__name__}; give what {maker} returns")
