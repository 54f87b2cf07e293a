"""Output transformation (section 3.3): from what a backbone says to the classes of a task.

A label map is a module: normalised images [N, C, S, S] to logits [N, K]. It may learn parameters,
and it may be counted from the source classes that a backbone gives to prompted training images.
Shapes: N images, K classes, S source classes, D features.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.common.implementations import implementation
from vpbench.data.task import Task
from vpbench.prompts.pair_counts import (
    add_likeliest,
    add_likely,
    mixture,
    no_pairs,
    one_to_one,
)
from vpbench.prompts.source_classes import drawn, first, named_or_first, nearest
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import text_prompts

Fitting = Any  # a backbone of the modality that a map is for, which has what it needs
TOP_SHARE = 0.15  # of the classes of a task: how many source classes of an image BLM+ counts


class LabelMap(nn.Module):
    """What all maps share: a frozen backbone, which is no part of their state."""

    backbone: Fitting

    def __init__(self, backbone: Fitting):
        super().__init__()
        self.__dict__["backbone"] = backbone  # not a submodule: it is not trained, nor saved

    def source(self, x: Tensor) -> Tensor:
        """Returns what the backbone says of normalised images: source logits [N, S]."""
        return self.backbone.logits(x)


class Counted(LabelMap):
    """A map that is counted from what the backbone says of training images.

    When is said by spec.label_maps. Batch by batch in a table [S, K]: what it says of all images,
    [N, S], may have no room.
    """

    classes: int

    def no_pairs(self) -> Tensor:
        """Returns the counts [S, K] before any image, on the CPU."""
        return no_pairs(self.backbone.source_count, self.classes)

    def add_pairs(self, counts: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Adds a batch to counts [S, K]: the likeliest source class of each image counts."""
        add_likeliest(counts, source_logits, labels)

    def update(self, counts: Tensor) -> None:
        """Makes the map of the counts [S, K] of all images."""
        raise NotImplementedError


class Text(LabelMap):
    """Scaled cosines to the texts of the classes; computed once, nothing learns them."""

    weights: Tensor

    def __init__(self, backbone: Fitting, texts: list[list[str]]):
        super().__init__(backbone)
        self.register_buffer("weights", class_weights(backbone, texts), persistent=False)
        self.scale = backbone.logit_scale.item()  # a number goes wherever the module goes

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * F.normalize(self.backbone.features(x), dim=-1) @ self.weights


class LearnedClassifier(LabelMap):
    """A linear probe that is trained together with the prompt: on unit features, from the texts."""

    def __init__(self, backbone: Fitting, texts: list[list[str]]):
        super().__init__(backbone)
        weights = class_weights(backbone, texts) * backbone.logit_scale
        self.weights = nn.Parameter(weights)

    def forward(self, x: Tensor) -> Tensor:
        return F.normalize(self.backbone.features(x), dim=-1) @ self.weights


class Chosen(LabelMap):
    """One source class stands for each class."""

    numbers: Tensor
    kept = False  # is the map part of the state, because nothing else tells it?

    def __init__(self, backbone: Fitting, numbers: Tensor | list[int]):
        super().__init__(backbone)
        places = torch.as_tensor(numbers, device=backbone.device)
        self.register_buffer("numbers", places, persistent=self.kept)

    def forward(self, x: Tensor) -> Tensor:
        return self.source(x)[:, self.numbers]


class Drawn(Chosen):
    """RLM: the source classes are drawn at random."""

    kept = True


class Frequency(Chosen, Counted):
    """FLM and ILM: for each class a source class that its training images are often taken for."""

    kept = True

    def __init__(self, backbone: Fitting, numbers: Tensor | list[int]):
        super().__init__(backbone, numbers)
        self.classes = len(self.numbers)

    def update(self, counts: Tensor) -> None:
        """Makes the map of the counts [S, K] of all images."""
        self.numbers.copy_(one_to_one(counts))


class Bayesian(Counted):
    """BLM: every class is a mixture of source classes, whose logits it averages."""

    mixture: Tensor

    def __init__(self, backbone: Fitting, classes: int):
        super().__init__(backbone)
        self.classes, source = classes, backbone.source_count
        start = torch.full((source, classes), 1 / source, device=backbone.device)
        self.register_buffer("mixture", start)

    def forward(self, x: Tensor) -> Tensor:
        return self.source(x) @ self.mixture

    def update(self, counts: Tensor) -> None:
        """Makes the map of the counts [S, K] of all images."""
        self.mixture.copy_(mixture(counts))


class BayesianPlus(Bayesian):
    """BLM+: the probabilities of an image's likeliest source classes count, not one class."""

    def add_pairs(self, counts: Tensor, source_logits: Tensor, labels: Tensor) -> None:
        """Adds a batch to counts [S, K]."""
        # At least one: the peers' code rounds to none for few classes.
        add_likely(counts, source_logits, labels, max(1, int(TOP_SHARE * self.classes)))


class Linear(LabelMap):
    """A full linear map on the source logits; it starts as the hard-coded one."""

    def __init__(self, backbone: Fitting, classes: int):
        super().__init__(backbone)
        start = torch.eye(backbone.source_count, classes, device=backbone.device)
        self.weights = nn.Parameter(start)
        self.bias = nn.Parameter(torch.zeros(classes, device=backbone.device))

    def forward(self, x: Tensor) -> Tensor:
        return self.source(x) @ self.weights + self.bias


def class_weights(backbone: Fitting, texts: list[list[str]]) -> Tensor:
    """Returns unit text features [D, K]; of several texts of a class, the direction of their mean.

    `texts` has a list of K texts per template.
    """
    features = torch.stack([backbone.class_features(each) for each in texts]).mean(0)
    return F.normalize(features, dim=-1).t().contiguous()


def templates_read(backbone: Fitting, task: Task) -> list[list[str]]:
    """Returns the texts of CLIP's 80 templates for ImageNet, as far as the backbone reads them."""
    from open_clip.zero_shot_metadata import OPENAI_IMAGENET_TEMPLATES

    readable = []
    for template in OPENAI_IMAGENET_TEMPLATES:
        texts = text_prompts(template("{}"), task.class_names)
        try:
            backbone.tokenize(texts)
        except ValueError:  # the micro-CLIP does not know all of their words
            continue
        readable.append(texts)
    if not readable:
        raise UserError(f"the label map ensemble: {backbone.name} reads none of its templates")
    return readable


# What the descriptions of label maps name (spec.label_maps): functions of a backbone, a task, the
# settings of a prompt and a seed.


def text(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map to the task's texts."""
    return Text(backbone, [texts_of(task)])


def names(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map to the bare names of the classes."""
    return Text(backbone, [text_prompts("{}", task.class_names)])


def ensemble(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map to the names in all of ImageNet's templates that the backbone reads."""
    return Text(backbone, templates_read(backbone, task))


def learned_classifier(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns a linear classifier that starts as the task's texts."""
    return LearnedClassifier(backbone, [texts_of(task)])


def hard_coded(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map to the named source classes, or to the first ones."""
    return Chosen(backbone, named_or_first(backbone, task, settings["source_classes"]))


def random(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map to source classes that `seed` draws."""
    return Drawn(backbone, drawn(backbone, task, seed))


def semantic(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map to the source classes whose names are nearest."""
    return Chosen(backbone, nearest(backbone, task, settings["text_encoder"]))


def frequency(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map that is counted once (FLM)."""
    return Frequency(backbone, first(backbone, task))


def iterative(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map that is counted before every epoch, through the prompt of then (ILM)."""
    return Frequency(backbone, first(backbone, task))


def bayesian(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the map of class weights by Bayes' rule (BLM)."""
    return Bayesian(backbone, classes_of(task))


def bayesian_plus(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns the same from probabilities (BLM+)."""
    return BayesianPlus(backbone, classes_of(task))


def linear(backbone: Fitting, task: Task, settings: Settings, seed: int) -> LabelMap:
    """Returns a linear map of the source logits, which is trained."""
    return Linear(backbone, classes_of(task))


def texts_of(task: Task) -> list[str]:
    """Returns the task's text of each class."""
    return text_prompts(task.template, task.class_names)


def classes_of(task: Task) -> int:
    """Returns the number of classes of a task."""
    return len(task.class_names)


def label_map(backbone: Fitting, task: Task, settings: Settings, seed: int = 0) -> LabelMap:
    """Returns the label map of the settings of a prompt, on the backbone's device.

    `settings` has label_map, its name; source_classes, those of a hard-coded map; and text_encoder,
    the vision-language backbone that compares the names of a semantic map. Raises UserError where
    the map does not fit the backbone.
    """
    name = settings["label_map"]
    fitting = [each for each in LABEL_MAPS if LABEL_MAPS[each].modality == backbone.modality]
    if name not in fitting:
        raise UserError(
            f"the label map {name!r} does not fit {backbone.name}; use {', '.join(fitting)}"
        )
    if settings["source_classes"] and name != "hard_coded":
        raise UserError(f"source_classes are for the label map hard_coded; {name} has none")
    if (settings["text_encoder"] is None) == (name == "semantic"):
        raise UserError(
            "label_map semantic needs a text_encoder, a vision-language backbone that compares the "
            "names, as clip_vit_b32"
            if name == "semantic"
            else f"text_encoder {settings['text_encoder']} is for the label map semantic alone; "
            f"leave it out with {name}"
        )
    return implementation(LABEL_MAPS[name].implementation)(backbone, task, settings, seed)
