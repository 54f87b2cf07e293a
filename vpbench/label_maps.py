"""Output transformation (section 3.3): from what a backbone says to the classes of a task.

Shapes: N images, K classes, S source classes, D features.
"""

from difflib import get_close_matches

import torch.nn.functional as F

from vpbench.text import text_prompts

MANY = 1000  # source classes that a complaint does not list


def text(backbone, task, source_classes=None):
    """Returns a function from images to logits [N, K]: scaled cosines to the class prompts.

    The text weights are computed once; nothing learns them.
    """
    if source_classes:
        raise ValueError("source_classes are for the label map hard_coded; text has none")
    weights = backbone.text_features(text_prompts(task.template, task.class_names)).t()
    scale = backbone.logit_scale

    def logits(x):
        return scale * F.normalize(backbone.features(x), dim=-1) @ weights

    return logits


def hard_coded(backbone, task, source_classes=None):
    """Returns a function from images to logits [N, K]: a source class stands for each class.

    `source_classes` names them; None means the first K, which is arbitrary, as in the paper.
    """
    classes, source = len(task.class_names), backbone.model.num_classes
    if source_classes:
        numbers = source_numbers(backbone, task, source_classes)
        return lambda x: backbone.logits(x)[:, numbers]
    if classes > source:
        raise ValueError(
            f"{task.name} has {classes} classes, {backbone.name} only {source} source classes: "
            "a hard-coded mapping needs at least as many"
        )
    return lambda x: backbone.logits(x)[:, :classes]


def source_numbers(backbone, task, source_classes):
    """Returns the numbers of the source classes with these names."""
    known = backbone.source_classes
    unknown = [name for name in source_classes if name not in known]
    if unknown:
        says = "its classes are"
        if len(known) >= MANY:
            known = get_close_matches(unknown[0], known, 5)
            says = f"nearest of its {len(backbone.source_classes)} classes are"
        raise ValueError(
            f"source_classes: {backbone.name} has no class {unknown[0]!r}; {says}: "
            f"{', '.join(known) or 'not named'}"
        )
    if len(set(source_classes)) != len(task.class_names) or len(source_classes) != len(
        task.class_names
    ):
        raise ValueError(
            f"source_classes: {', '.join(source_classes)}: {task.name} needs "
            f"{len(task.class_names)} different ones"
        )
    return [known.index(name) for name in source_classes]


LABEL_MAPS = {"text": text, "hard_coded": hard_coded}
MODALITY = {"text": "vision_language", "hard_coded": "vision"}


def label_map(name, backbone, task, source_classes=None):
    """Returns the function normalised images -> logits [N, K] of the label map `name`."""
    if MODALITY[name] != backbone.modality:
        fitting = next(
            other for other, modality in MODALITY.items() if modality == backbone.modality
        )
        raise ValueError(f"the label map {name!r} does not fit {backbone.name}; use {fitting!r}")
    return LABEL_MAPS[name](backbone, task, source_classes)
