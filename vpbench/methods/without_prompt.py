"""A backbone without what was learned: what a prompt is compared with."""

from dataclasses import replace

import torch

from vpbench.common.errors import UserError
from vpbench.data.task import AnyTask
from vpbench.methods.kept_models import fitted, implementation_of
from vpbench.methods.model import Model, keeps_prompt, loaded
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.models.backbone import Backbone
from vpbench.prompts.build import prompt_of
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import METHODS
from vpbench.spec.recipes import TEXT, recipe_for
from vpbench.spec.settings import Settings


def settings_without(method: str, settings: Settings, backbone: Backbone) -> tuple[str, Settings]:
    """Returns (method, settings) of a backbone without what `method` learns, in the same words.

    With text it is the text prompt. Else it is the recipe's label map behind nothing in the image,
    or that of a visual prompt where the method has none.
    """
    if backbone.modality == TEXT:
        return "text_prompt", {key: settings.get(key) for key in METHODS["text_prompt"].settings}
    if not keeps_prompt(method):
        facts = backbone.name, backbone.modality, backbone.image_size
        settings = recipe_for("visual_prompt", *facts).settings
    return "visual_prompt", settings | {"template": "none", "image_side": None}


def model_without(model: Model, task: AnyTask) -> Model:
    """Returns the model of the same backbone without a prompt; see `settings_without`.

    A label map that is counted or trained is made anew, from the training images of `task`. Raises
    UserError if there are none, or if the model has no prompt to leave out.
    """
    backbone = model.backbone
    method, settings = settings_without(model.method, model.settings, backbone)
    words = replace(model.task, class_names=model.original_names)
    if method == "text_prompt":
        classifier = implementation_of(method).learner(backbone, words, settings, 0)
        return Model(method, classifier, backbone, words, settings)
    if not keeps_prompt(model.method) or model.own:
        raise UserError(f"{model.method} on {backbone.name} has no prompt that could be left out")
    label_map = LABEL_MAPS[settings["label_map"]]
    if not (label_map.trained or label_map.refresh):
        nothing = prompt_of(settings, backbone.image_size, torch.Generator())
        unprompted = PromptedClassifier(nothing, model.label_map, backbone, settings)
        return Model(method, unprompted, backbone, words, settings)
    if "train" not in task.splits or len(task.class_names) != len(model.class_names):
        raise UserError(
            f"the label map {settings['label_map']} is made from training images of all classes, "
            f"and {task.name} has none; give the task that the prompt was learned on"
        )
    read, _ = loaded(task, "train", backbone, settings)
    module = implementation_of(method)
    fit = module.fit(backbone, read, settings, 0)
    return fitted(method, module, backbone, read, settings, fit.selected("best_validation"))
