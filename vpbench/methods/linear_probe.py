"""LP: logistic regression on frozen features; for CLIP the projected image features."""

import warnings
from functools import partial
from typing import Any

import numpy as np
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.data.task import Split, Task
from vpbench.methods.fit import Adapted, Fit
from vpbench.models.backbone import VisionBackbone, VisionLanguageBackbone
from vpbench.spec.settings import Settings
from vpbench.training.evaluate import Evaluation, evaluation_of, predict
from vpbench.training.selection import unselected

Featured = VisionBackbone | VisionLanguageBackbone  # both have features
NEVER = -1e4  # the logit of a class without training images


class Probe(Adapted):
    """Images -> logits [N, K] of a linear layer on the features of a frozen backbone."""

    def __init__(self, backbone: Featured, classes: int):
        super().__init__(backbone)
        self.head = nn.Linear(backbone.feature_width, classes)

    def logits(self, x: Tensor) -> Tensor:
        return self.head(self.backbone.features(x))


def fit(backbone: Featured, task: Task, settings: Settings, seed: int) -> Fit:
    """Returns the `Fit` of a logistic regression on the features of all images."""
    return regression(split_features(backbone, task, settings), task, settings, seed)


def split_features(backbone: Featured, task: Task, settings: Settings) -> dict[str, torch.Tensor]:
    """Returns split name -> features [N, D] in float32, on the CPU."""
    if len(settings["C"]) > 1 and "validation" not in task.splits:
        line = f"{task.name} has no validation split to choose C on: give a single C, as [0.316]"
        raise UserError(line)
    return {
        name: predict(partial(features, backbone), split.images, backbone.device)
        for name, split in task.splits.items()
    }


def regression(
    of_splits: dict[str, torch.Tensor], task: Task, settings: Settings, seed: int
) -> Fit:
    """Returns the `Fit` of scikit-learn's logistic regression (lbfgs) on `split_features`.

    With several values of C the one with the best validation accuracy is taken (ties: the
    smallest); with one, as in the author's recipe (C = 0.316), it is fixed.
    """
    if len(task.splits["train"].labels.unique()) < 2:
        raise UserError(f"{task.name} has training images of one class; a probe needs two or more")
    x = {name: values.double().numpy() for name, values in of_splits.items()}
    y = {name: split.labels.numpy() for name, split in task.splits.items()}
    best: tuple[float, float, bool, Any] = -1.0, 0.0, False, None
    for c in sorted(settings["C"]):
        probe = LogisticRegression(C=c, max_iter=settings["max_iter"], random_state=seed)
        if settings["standardize"]:
            probe = make_pipeline(StandardScaler(), probe)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", ConvergenceWarning)
            probe.fit(x["train"], y["train"])
        converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
        score = probe.score(x["validation"], y["validation"]) if len(settings["C"]) > 1 else 0
        if score > best[0]:
            best = score, c, converged, probe
    _, c, converged, probe = best
    evaluations: dict[str, Evaluation] = {
        name: _evaluation(probe, x[name], task.splits[name], len(task.class_names))
        for name in ("validation", "test")
        if name in x
    }
    images = sum(len(split) for split in task.splits.values())
    parameters = (x["train"].shape[1] + 1) * len(task.class_names)
    state = head_state(probe, len(task.class_names))
    chosen = {"C": c, "converged": converged}
    return Fit(unselected(evaluations, state), parameters, chosen=chosen, images=images)


def head_state(probe: Any, classes: int) -> dict[str, Tensor]:
    """Returns the state of the `Probe` that says what scikit-learn's classifier says."""
    regression = probe[-1] if isinstance(probe, Pipeline) else probe
    weights, bias = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # it has one logit, that of the second
        weights, bias = np.vstack([0 * weights, weights]), np.append(0 * bias, bias)
    if regression is not probe:  # standardised before: (x - mean) / scale
        scaler = probe[0]
        weights = weights / scaler.scale_
        bias = bias - weights @ scaler.mean_
    state = {
        "head.weight": torch.zeros(classes, weights.shape[1]),
        "head.bias": torch.full((classes,), NEVER),
    }
    seen = torch.from_numpy(regression.classes_)
    state["head.weight"][seen] = torch.from_numpy(weights).float()
    state["head.bias"][seen] = torch.from_numpy(bias).float()
    return state


def learner(backbone: Featured, task: Task, settings: Settings, seed: int) -> Probe:
    """Returns the classifier whose linear layer is fitted."""
    return Probe(backbone, len(task.class_names)).to(backbone.device)


def features(backbone: Featured, images: torch.Tensor) -> torch.Tensor:
    """Returns what a probe reads: the features [N, D] of uint8 images [N, H, W, C]."""
    return backbone.features(backbone.prepare(images))


def _evaluation(probe: Any, x: np.ndarray, split: Split, classes: int) -> Evaluation:
    logits = torch.full((len(split), classes), NEVER)
    logits[:, torch.from_numpy(probe.classes_)] = torch.from_numpy(
        probe.predict_log_proba(x)
    ).float()
    return evaluation_of(logits, split, classes)
