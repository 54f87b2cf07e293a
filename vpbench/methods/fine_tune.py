"""FT: every weight of the image model is trained, with a head for the task (section 4.2)."""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from vpbench.methods import Fit
from vpbench.text import text_prompts
from vpbench.training import optimise


class TextHeadClassifier(nn.Module):
    """CLIP's image tower and a linear head that starts as the scaled text features."""

    def __init__(self, backbone, task):
        super().__init__()
        text = backbone.text_features(text_prompts(task.template, task.class_names))
        self.tower = copy.deepcopy(backbone.image_tower())
        self.head = nn.Parameter(text * backbone.logit_scale)

    def forward(self, x):
        return F.normalize(self.tower(x), dim=-1) @ self.head.t()


def _new_head(backbone, task):
    model = copy.deepcopy(backbone.model)
    if backbone.modality == "vision":
        model.reset_classifier(len(task.class_names))
        return model
    head = nn.Linear(backbone.model.visual.output_dim, len(task.class_names))
    return nn.Sequential(copy.deepcopy(backbone.image_tower()), head)


def fit(backbone, task, settings, seed):
    """Returns the `Fit` of AdamW on all weights; the fine-tuned state is not kept."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        if settings["head"] == "new":
            model = _new_head(backbone, task)
        elif backbone.modality == "vision":
            raise ValueError(f"{backbone.name} has no text features: use head: new")
        else:
            model = TextHeadClassifier(backbone, task)
        model = model.to(backbone.device).requires_grad_(True)
        optimiser = torch.optim.AdamW(
            model.parameters(),
            lr=settings["lr"],
            betas=tuple(settings["betas"]),
            weight_decay=settings["weight_decay"],
        )
        history, selection = optimise(
            model,
            lambda images: model(backbone.normalize(backbone.scale_pixels(images))),
            optimiser, task, settings, torch.Generator().manual_seed(seed),
            f"{task.name} {backbone.name} fine_tune seed {seed}",
        )  # fmt: skip
    parameters = sum(p.numel() for p in model.parameters())
    images = settings["epochs"] * len(task.splits["train"])
    return Fit(selection, parameters, history, images=images)
