"""The Python API: what `import vpbench` offers; vpbench/__init__.py imports it when used."""

from pathlib import Path

from vpbench.data.image_folder import load_folder
from vpbench.data.load import load_task
from vpbench.data.task import Task
from vpbench.methods import visual_prompt
from vpbench.methods.prompted_classifier import PromptedClassifier, trained
from vpbench.models.backbone import Backbone, load_backbone
from vpbench.spec import schema_check
from vpbench.spec.recipes import load_recipe
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import Settings

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
    backbone: Backbone, task: Task, settings: Settings, *, seed: int = 0
) -> PromptedClassifier:
    """Returns the classifier with a prompt that is learned on the task's training split.

    `settings` is a complete recipe, for example from load_recipe. With a validation split the
    prompt is that of the best validation epoch, without one that of the last epoch.
    """
    schema_check.check(settings, settings_schema("visual_prompt", complete=True), "settings")
    fit = visual_prompt.fit(backbone, task, settings, seed)
    return trained(backbone, task, settings, fit.selected("best_validation"))


def load_prompt(path: str | Path, backbone: Backbone) -> PromptedClassifier:
    """Returns the classifier that was saved at `path`, made for exactly this `backbone`.

    Raises UserError if the files are missing or damaged, or were made for another backbone.
    """
    return PromptedClassifier.load(path, backbone)
