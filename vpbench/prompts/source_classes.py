"""Which source classes of a backbone stand for the classes of a task."""

from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.data.task import Task
from vpbench.models.backbone import load_backbone
from vpbench.prompts.pair_counts import one_to_one
from vpbench.spec.text_prompts import text_prompts

MANY = 1000  # source classes that a complaint does not list
Fitting = Any  # a backbone of the modality that a map is for, which has what it needs


def first(backbone: Fitting, task: Task) -> list[int]:
    """Returns the numbers of the first source classes, which is arbitrary, as in the paper."""
    return list(range(enough(backbone, task)))


def drawn(backbone: Fitting, task: Task, seed: int) -> Tensor:
    """Returns the numbers of source classes drawn at random, none twice."""
    generator = torch.Generator().manual_seed(seed)
    source = backbone.source_count
    return torch.randperm(source, generator=generator)[: enough(backbone, task)]


def nearest(backbone: Fitting, task: Task, text_encoder: str) -> Tensor:
    """Returns the numbers of the source classes whose names are nearest in meaning.

    `text_encoder` is the name of a vision-language backbone: its text features are compared.
    """
    if not backbone.source_classes:
        raise UserError(f"the label map semantic: {backbone.name} has no names of its classes")
    enough(backbone, task)
    encoder: Fitting = load_backbone(text_encoder, backbone.device)
    texts = encoder.text_features
    sources = texts(text_prompts(task.template, backbone.source_classes))
    return one_to_one(sources @ texts(text_prompts(task.template, task.class_names)).t())


def enough(backbone: Fitting, task: Task) -> int:
    """Returns the number of classes of a task; raises UserError if the backbone has fewer."""
    classes, source = len(task.class_names), backbone.source_count
    if classes > source:
        raise UserError(
            f"{task.name} has {classes} classes, {backbone.name} only {source} source classes: "
            "a hard-coded mapping needs at least as many"
        )
    return classes


def source_numbers(backbone: Fitting, task: Task, source_classes: list[str]) -> list[int]:
    """Returns the numbers of the source classes with these names."""
    known = backbone.source_classes
    unknown = [name for name in source_classes if name not in known]
    if unknown:
        says = "its classes are"
        if len(known) >= MANY:
            known = get_close_matches(unknown[0], known, 5)
            says = f"nearest of its {len(backbone.source_classes)} classes are"
        raise UserError(
            f"source_classes: {backbone.name} has no class {unknown[0]!r}; {says}: "
            f"{', '.join(known) or 'not named'}"
        )
    if len(set(source_classes)) != len(task.class_names) or len(source_classes) != len(
        task.class_names
    ):
        raise UserError(
            f"source_classes: {', '.join(source_classes)}: {task.name} needs "
            f"{len(task.class_names)} different ones"
        )
    return [known.index(name) for name in source_classes]


def named_or_first(backbone: Fitting, task: Task, source_classes: list[str] | None) -> list[int]:
    """Returns the numbers of the source classes with these names, or of the first ones."""
    if source_classes:
        return source_numbers(backbone, task, source_classes)
    return first(backbone, task)
