"""Output transformation (section 3.3): from what a backbone says to the classes of a task.

Shapes: N images, K classes, S source classes, D features.
"""

import torch.nn.functional as F

from vpbench.text import text_prompts


def text(backbone, task):
    """Returns a function from images to logits [N, K]: scaled cosines to the class prompts.

    The text weights are computed once; nothing learns them.
    """
    weights = backbone.text_features(text_prompts(task.template, task.class_names)).t()
    scale = backbone.logit_scale

    def logits(x):
        return scale * F.normalize(backbone.features(x), dim=-1) @ weights

    return logits


def hard_coded(backbone, task):
    """Returns a function from images to logits [N, K]: source class i stands for class i."""
    classes, source = len(task.class_names), backbone.model.num_classes
    if classes > source:
        raise ValueError(
            f"{task.name} has {classes} classes, {backbone.name} only {source} source classes: "
            "a hard-coded mapping needs at least as many"
        )
    return lambda x: backbone.logits(x)[:, :classes]


LABEL_MAPS = {"text": text, "hard_coded": hard_coded}
MODALITY = {"text": "vision_language", "hard_coded": "vision"}


def label_map(name, backbone, task):
    """Returns the function images -> logits [N, K] of the label map `name`."""
    if MODALITY[name] != backbone.modality:
        fitting = next(
            other for other, modality in MODALITY.items() if modality == backbone.modality
        )
        raise ValueError(f"the label map {name!r} does not fit {backbone.name}; use {fitting!r}")
    return LABEL_MAPS[name](backbone, task)
