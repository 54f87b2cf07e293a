"""The Python API: what `import vpbench` offers; vpbench/__init__.py imports it when used."""

from inspect import getattr_static
from pathlib import Path
from types import FunctionType
from typing import Any

import torch

from vpbench.common.errors import UserError
from vpbench.common.implementations import source_of
from vpbench.common.messages import brief, first_line, instead
from vpbench.compute.draws import draws_apart
from vpbench.data.from_datasets import from_datasets
from vpbench.data.subsets import check_seed
from vpbench.data.task import AnyTask, Task
from vpbench.data.task_source import from_folder
from vpbench.data.task_source import source_of as load_task
from vpbench.methods.comparison import Comparison, compare
from vpbench.methods.fit import Fit, MethodModule
from vpbench.methods.kept_models import fitted, implementation_of, load_model
from vpbench.methods.model import Model, keeps_prompt, loaded
from vpbench.models.backbone import Backbone, load_backbone
from vpbench.models.state_hash import tensors_hash
from vpbench.models.wrapped import wrap
from vpbench.prompts import files
from vpbench.prompts.own import NOTHING_OWN, Own, own_parts
from vpbench.spec import schema_check
from vpbench.spec.grid_checks import refuse
from vpbench.spec.methods import METHODS, misfit_of
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.recipes import load_recipe, recipe_for
from vpbench.spec.schema import settings_schema
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint

RULE = "best_validation"  # without a validation split: the last epoch

__all__ = [
    "Comparison",
    "Model",
    "Preprocessing",
    "compare",
    "fit",
    "from_datasets",
    "from_folder",
    "load",
    "load_backbone",
    "load_recipe",
    "load_task",
    "wrap",
]


def fit(
    method: str | MethodModule,
    backbone: Backbone,
    task: AnyTask,
    *,
    settings: Settings | None = None,
    prompt: torch.nn.Module | None = None,
    label_map: torch.nn.Module | str | None = None,
    seed: int = 0,
    checkpoint: Checkpoint | None = None,
    **changes: Any,
) -> Model:
    """Returns the `Model` that a method makes of a frozen backbone on the task's training images.

    `method` is a name of `vpbench list`, or a module or object of one's own with `fit` and
    `learner`. `settings` is a complete recipe, as of load_recipe; without it the recipe is the one
    that belongs to the backbone (see vpbench.spec.recipes.recipe_for). `changes` change single
    settings, as epochs=10. A `prompt` of one's own maps images [N, C, S, S] to images of that
    shape, a `label_map` normalised images to logits [N, K]; copies of them are trained. As a name
    `label_map` is the setting. With a validation split the model is that of the best validation
    epoch, without one that of the last. From a `checkpoint`, a
    vpbench.training.checkpoint.Checkpoint, the training goes on where it was; it is the caller's to
    remove. That of another fit, which its `about` tells or else all that is given here, is put
    aside.
    """
    check_given(backbone, settings, seed, checkpoint)
    name, module, own_method = method_of(method)
    if isinstance(label_map, str):
        changes, label_map = changes | {"label_map": label_map}, None
    settings = recipe_of(name, own_method, backbone, settings) | changes
    described = {"method": source_of(module)} if own_method else {}
    if not own_method:
        legal = settings_schema(name, complete=True)
        schema_check.check(settings, legal, f"{name} on {backbone.name}")
        refuse(misfit_of(name, backbone.name, backbone.modality, backbone.token_towers))
    read, _ = loaded(task, "train", backbone, settings)
    own = own_of(name, prompt, label_map, backbone, len(read.class_names), changes)
    described |= {
        which: source_of(type(part)) | {"state_sha256": tensors_hash(part.state_dict())}
        for which, part in (("prompt", prompt), ("label_map", label_map))
        if part is not None
    }
    settings = own.without(settings)
    options: dict[str, Any] = {} if own == NOTHING_OWN else {"own": own}
    if "epochs" in settings:
        options |= {"checkpoint": checkpoint, "keep": [RULE]}
        if checkpoint is not None and not checkpoint.about:  # else its owner says which run it is
            checkpoint.tell(run_of(name, backbone, read, settings, seed, described))
    with draws_apart(backbone.device, seed):  # a method of one's own may draw
        fit = module.fit(backbone, read, settings, seed, **options)
    if not isinstance(fit, Fit):
        raise UserError(f"{name}: its fit returns {brief(fit)}; expected a vpbench.methods.fit.Fit")
    try:
        return fitted(name, module, backbone, read, settings, fit.selected(RULE), own, described)
    except RuntimeError as error:  # of load_state_dict
        raise UserError(
            f"{name}: the state that its fit keeps is none of its learner ({first_line(error)})"
        ) from None


def check_given(backbone: object, settings: object, seed: object, checkpoint: object) -> None:
    """Raises UserError unless these are what a fit takes, where it can train."""
    expect(backbone, Backbone, "load_backbone or wrap")
    expect(checkpoint or Checkpoint(), Checkpoint, "vpbench.training.checkpoint.Checkpoint")
    expect(settings or {}, dict, "load_recipe")
    check_seed(seed)
    if not torch.is_grad_enabled():
        raise UserError("fit trains: call it outside of no_grad and inference_mode")


def run_of(
    method: str,
    backbone: Backbone,
    task: Task,
    settings: Settings,
    seed: int,
    own: dict[str, Any],
) -> dict[str, Any]:
    """Returns what tells a fit from others, as JSON, so that it goes on from none of theirs."""
    return {
        "method": method,
        "backbone": backbone.weights_hash,
        "data": task.data_hash,
        "settings": settings,
        "seed": seed,
        "own": own,
    }


def load(
    path: str | Path,
    backbone: Backbone | None = None,
    *,
    prompt: torch.nn.Module | None = None,
    label_map: torch.nn.Module | None = None,
    method: MethodModule | None = None,
    device: str | torch.device = "cpu",
) -> Model:
    """Returns the `Model` that was saved at `path`.

    Without a `backbone` the one that its card names is loaded, on `device`; one that was wrapped is
    given again, and so are a prompt, a label map and a method of one's own: nothing in the files is
    code. Raises UserError if the files are missing or damaged, or were made for another backbone.
    """
    if backbone is None:
        address = files.address_of(files.read_card(path))
        if address is None:
            raise UserError(f"{path} was made for a backbone that was wrapped; give it: backbone=")
        backbone = load_backbone(address, device)
    expect(backbone, Backbone, "load_backbone or wrap")
    return load_model(path, backbone, prompt=prompt, label_map=label_map, method=method)


def method_of(method: str | MethodModule) -> tuple[str, Any, bool]:
    """Returns (name, what has fit and learner, is it one's own) of a method."""
    if isinstance(method, str):
        if method not in METHODS:
            raise UserError(f"unknown method {brief(method)}; {instead(method, METHODS)}")
        return method, implementation_of(method), False
    if isinstance(method, type) and isinstance(getattr_static(method, "fit", None), FunctionType):
        raise UserError(f"method {method.__name__} is a class; give an object: {method.__name__}()")
    if not all(callable(getattr(method, each, None)) for each in ("fit", "learner")):
        raise UserError(
            f"method {brief(method)}: expected a name, or what has fit(backbone, task, settings, "
            "seed) and learner(backbone, task, settings, seed)"
        )
    return str(source_of(method)["name"]), method, True


def recipe_of(
    name: str, own_method: bool, backbone: Backbone, settings: Settings | None
) -> Settings:
    """Returns the settings of a method before any change."""
    if settings is not None:
        return dict(settings)
    if own_method:
        return {}
    return recipe_for(name, backbone.name, backbone.modality, backbone.image_size).settings


def own_of(
    method: str,
    prompt: torch.nn.Module | None,
    label_map: torch.nn.Module | None,
    backbone: Backbone,
    classes: int,
    changes: Settings,
) -> Own:
    """Returns copies of what is one's own, which are trained.

    Raises UserError where the method takes none, or a setting says another.
    """
    if prompt is None and label_map is None:
        return NOTHING_OWN
    if not keeps_prompt(method):
        able = ", ".join(each for each in METHODS if METHODS[each].keeps_prompt)
        raise UserError(f"{method} takes no prompt and no label map of one's own; use {able}")
    own = own_parts(prompt, label_map, backbone, classes)
    clash = [key for key in changes if key not in own.without(changes)]
    if clash:
        raise UserError(f"{clash[0]} is of the suite's own prompts and maps; leave it out")
    return own


def expect(value: object, kind: type, maker: str) -> None:
    """Raises UserError unless `value` is what `maker` returns."""
    if not isinstance(value, kind):
        raise UserError(f"{brief(value)} is no {kind.__name__}; give what {maker} returns")
