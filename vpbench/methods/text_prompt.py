"""TP: zero-shot transfer with the task's text prompt (section 4.2)."""

from torch import Tensor

from vpbench.data.task import Task
from vpbench.methods.fit import Adapted, Fit
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.prompts.label_maps import Text, texts_of
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.evaluate import evaluate_splits
from vpbench.training.selection import unselected


class TextClassifier(Adapted):
    """Images -> scaled cosines [N, K] to the texts of the classes; it has no state."""

    def __init__(self, backbone: VisionLanguageBackbone, task: Task, settings: Settings):
        super().__init__(backbone)
        self.text = Text(backbone, [texts_of(worded(task, settings))])

    def logits(self, x: Tensor) -> Tensor:
        return self.text(x)


def fit(backbone: VisionLanguageBackbone, task: Task, settings: Settings, seed: int) -> Fit:
    """Returns the zero-shot `Fit`; nothing is trained, so `seed` does not matter."""
    classifier = learner(backbone, task, settings, seed)
    evaluations = evaluate_splits(classifier, task, backbone.device)
    images = sum(len(task.splits[name]) for name in evaluations)
    return Fit(unselected(evaluations, classifier.state_dict()), 0, images=images)


def learner(
    backbone: VisionLanguageBackbone, task: Task, settings: Settings, seed: int
) -> TextClassifier:
    """Returns the zero-shot classifier; nothing of it is trained."""
    return TextClassifier(backbone, task, settings)
