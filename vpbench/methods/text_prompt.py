"""TP: zero-shot transfer with the task's text prompt (section 4.2)."""

from vpbench.methods.fit import Fit, unselected
from vpbench.prompts.label_maps import Text, texts_of
from vpbench.spec.text_prompts import worded
from vpbench.training.trainer import evaluate_splits


def fit(backbone, task, settings, seed):
    """Returns the zero-shot `Fit`; nothing is trained, so `seed` does not matter."""
    logits = Text(backbone, [texts_of(worded(task, settings))])

    def classifier(images):
        return logits(backbone.normalize(backbone.scale_pixels(images)))

    evaluations = evaluate_splits(classifier, task, len(task.class_names), backbone.device)
    images = sum(len(task.splits[name]) for name in evaluations)
    return Fit(unselected(evaluations), 0, images=images)
