"""Visual prompts for users of the Python API: fit one, evaluate one."""

from dataclasses import replace

from vpbench.common.errors import UserError
from vpbench.methods import visual_prompt
from vpbench.prompts.files import prompt_card
from vpbench.prompts.pixel import part, restore_prompt
from vpbench.spec import schema_check
from vpbench.spec.schema import settings_schema
from vpbench.training.evaluate import evaluate


def fit_prompt(backbone, task, settings, *, seed=0):
    """Returns (prompt, card): a prompt learned on the task's training split.

    `settings` is a complete recipe, for example from load_recipe. With a validation split the
    prompt is that of the best validation epoch, without one that of the last epoch.
    """
    complaint = schema_check.complaint(
        settings, settings_schema("visual_prompt", complete=True), "settings"
    )
    if complaint:
        raise UserError(complaint)
    fit = visual_prompt.fit(backbone, task, settings, seed)
    _, state, evaluations = fit.selection["best_validation"]
    prompt = restore_prompt(settings, backbone.image_size, part(state, "prompt"))
    accuracy = {name: evaluation.metrics["accuracy"] for name, evaluation in evaluations.items()}
    card = prompt_card(settings, backbone, task, accuracy)
    return prompt.to(backbone.device), card | {"label_map": part(state, "label_map")}


def evaluate_prompt(backbone, task, prompt, card, *, split="test"):
    """Returns the metrics (see metrics.classification_metrics) of a prompt on a split of a task."""
    if split not in task.splits:
        raise UserError(f"{task.name} has no {split} split; it has: {', '.join(task.splits)}")
    if len(card["class_names"]) != len(task.class_names):
        raise UserError(
            f"the prompt was made for {len(card['class_names'])} classes ({card['task']}), "
            f"{task.name} has {len(task.class_names)}"
        )
    same_words = replace(task, template=card["text_prompt"])  # the prompt was learned for this text
    of_map = card.get("label_map")
    classifier = visual_prompt.trained(prompt, backbone, same_words, card["settings"], of_map)
    return evaluate(classifier, task.splits[split], len(task.class_names)).metrics
