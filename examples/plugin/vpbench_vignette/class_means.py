"""NCM: the class whose mean of training features is nearest."""

import torch
from torch import Tensor

from vpbench.data.task import Task
from vpbench.methods.fit import Adapted, Fit
from vpbench.models.backbone import Backbone
from vpbench.spec.settings import Settings
from vpbench.training.evaluate import evaluate_splits, predict
from vpbench.training.selection import unselected

FAR = 1e3  # of every feature, where a class without training images is


class NearestMean(Adapted):
    """Images -> logits [N, K], the nearer the mean of a class the larger."""

    means: Tensor  # [K, D]

    def __init__(self, backbone: Backbone, classes: int, sharpness: float):
        super().__init__(backbone)
        self.sharpness = sharpness
        self.register_buffer("means", torch.full((classes, backbone.feature_width), FAR))

    def logits(self, x: Tensor) -> Tensor:
        """Returns the logits [N, K] of normalised images."""
        apart = self.backbone.features(x)[:, None] - self.means  # [N, K, D]; cdist has no ONNX
        return -self.sharpness * apart.norm(dim=-1)


def learner(backbone: Backbone, task: Task, settings: Settings, seed: int) -> NearestMean:
    """Returns the classifier whose means are to be found; nothing is drawn."""
    return NearestMean(backbone, len(task.class_names), settings["sharpness"]).to(backbone.device)


def fit(backbone: Backbone, task: Task, settings: Settings, seed: int) -> Fit:
    """Returns the `Fit` of the means."""
    train, nearest = task.splits["train"], learner(backbone, task, settings, seed)
    features = predict(
        lambda images: backbone.features(backbone.prepare(images)), train.images, backbone.device
    )  # [N, D], on the CPU
    for label in train.labels.unique():
        nearest.means[label] = features[train.labels == label].mean(0).to(backbone.device)
    evaluations = evaluate_splits(nearest.eval(), task, backbone.device)
    state = nearest.state_dict()
    return Fit(unselected(evaluations, state), nearest.means.numel(), images=len(train))
