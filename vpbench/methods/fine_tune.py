"""FT: every weight of the image model is trained, with a head for the task (section 4.2)."""

import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from vpbench.common.errors import UserError
from vpbench.methods.fit import fit_seeded
from vpbench.spec.text_prompts import text_prompts


class TextHeadClassifier(nn.Module):
    """CLIP's image tower and a linear head that starts as the scaled text features.

    The tower is computed as the backbone's `engine` says, the head in float32.
    """

    def __init__(self, backbone, task):
        super().__init__()
        text = backbone.text_features(text_prompts(task.template, task.class_names))
        self.tower = copy.deepcopy(backbone.image_tower())
        self.head = nn.Parameter(text * backbone.logit_scale)
        self.engine = backbone.engine

    def forward(self, x):
        return F.normalize(self.engine.forward(self.tower, x), dim=-1) @ self.head.t()


def _new_head(backbone, task):
    classes = len(task.class_names)
    if backbone.modality == "vision":
        model = copy.deepcopy(backbone.model)
        model.reset_classifier(classes)
        return model
    size = backbone.image_size
    with torch.no_grad():
        grey = torch.zeros(1, 3, size, size, device=backbone.device)
        width = backbone.features(grey).shape[1]
    return nn.Sequential(copy.deepcopy(backbone.image_tower()), nn.Linear(width, classes))


def tuned(backbone, task, settings):
    """Returns (a module, the function from normalised images to logits that uses it).

    The module is a copy of the image model with the head of `settings`; all of it can be trained.
    """
    if settings["head"] == "new":
        model = _new_head(backbone, task)
        logits = partial(backbone.engine.forward, model)
    elif backbone.modality == "vision":
        raise UserError(f"{backbone.name} has no text features: use head: new")
    else:
        logits = model = TextHeadClassifier(backbone, task)
    model.to(backbone.device).requires_grad_(True)
    return model, logits


def parameter_groups(model, decay_gains_and_biases):
    """Returns the parameter groups of AdamW: gains and biases, which are vectors, may not decay."""
    if decay_gains_and_biases:
        return [{"params": list(model.parameters())}]
    matrices = [each for each in model.parameters() if each.ndim > 1]
    vectors = [each for each in model.parameters() if each.ndim < 2]
    return [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]


def adamw(groups, settings):
    """Returns AdamW on parameter groups, as the settings of a fine-tune say."""
    return torch.optim.AdamW(
        groups,
        lr=settings["lr"],
        betas=tuple(settings["betas"]),
        eps=settings["eps"],
        weight_decay=settings["weight_decay"],
    )


def fit(backbone, task, settings, seed, checkpoint=None):
    """Returns the `Fit` of AdamW on all weights.

    From a `checkpoint` (checkpoints.Checkpoint) the training goes on where it was.
    """

    def build():
        model, logits = tuned(backbone, task, settings)
        groups = parameter_groups(model, settings["decay_gains_and_biases"])
        return model, logits, adamw(groups, settings)

    return fit_seeded("fine_tune", build, backbone, task, settings, seed, checkpoint)
