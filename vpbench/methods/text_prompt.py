"""TP: zero-shot transfer with the task's text prompt (section 4.2)."""

from torch import Tensor

from vpbench.data.task import Task
from vpbench.methods.fit import Fit
from vpbench.models.backbone import VisionLanguageBackbone
from vpbench.prompts.label_maps import Text, texts_of
from vpbench.spec.settings import Settings
from vpbench.spec.text_prompts import worded
from vpbench.training.evaluate import evaluate_splits
from vpbench.training.selection import unselected


def fit(backbone: VisionLanguageBackbone, task: Task, settings: Settings, seed: int) -> Fit:
    """Returns the zero-shot `Fit`; nothing is trained, so `seed` does not matter."""
    logits = Text(backbone, [texts_of(worded(task, settings))])

    def classifier(images: Tensor) -> Tensor:
        return logits(backbone.prepare(images))

    evaluations = evaluate_splits(classifier, task, backbone.device)
    images = sum(len(task.splits[name]) for name in evaluations)
    return Fit(unselected(evaluations), 0, images=images)
