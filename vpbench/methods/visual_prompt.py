"""VP and its relatives: a prompt learned through a frozen backbone (sections 3.2 to 3.4).

The official recipe, EVP, adversarial reprogramming and the other forms are settings of one thing:
how an image is prepared, what the prompt is, where it is added, how the answers are mapped, and
how all that is trained.
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.compute.draws import draws_apart
from vpbench.data.task import Task
from vpbench.methods.fit import Fit, fit_of
from vpbench.methods.prompted_classifier import PromptedClassifier, untrained
from vpbench.models.backbone import Backbone
from vpbench.prompts.gradients import unit, unit_image
from vpbench.prompts.own import NOTHING_OWN, Own
from vpbench.prompts.pixel import Whole
from vpbench.spec.settings import Settings
from vpbench.training.checkpoint import Checkpoint
from vpbench.training.evaluate import evaluate_splits
from vpbench.training.selection import RULES, unselected
from vpbench.training.trainer import Trainer, copy_of


def fit(
    backbone: Backbone,
    task: Task,
    settings: Settings,
    seed: int,
    checkpoint: Checkpoint | None = None,
    keep: Collection[str] = RULES,
    own: Own = NOTHING_OWN,
) -> Fit:
    """Returns the `Fit` of a prompt; its state is that of a `PromptedClassifier`.

    It has the states of the epochs that the rules in `keep` select. From a `checkpoint` the
    training goes on where it was. A prompt and a label map of one's `own` are trained themselves;
    what they draw, from torch's own generators, starts from `seed` as well.
    """
    generator = torch.Generator().manual_seed(seed)
    classifier = untrained(backbone, task, settings, seed, generator, own)
    with draws_apart(backbone.device, seed):
        if not trained_of(classifier):
            return counted(classifier, task)
        if own != NOTHING_OWN:
            check_learns(classifier, task.splits["train"].images[:2])
        return trained(classifier, task, settings, seed, generator, checkpoint, keep)


def trained(
    classifier: PromptedClassifier,
    task: Task,
    settings: Settings,
    seed: int,
    generator: torch.Generator,
    checkpoint: Checkpoint | None,
    keep: Collection[str],
) -> Fit:
    """Returns the `Fit` of a classifier that is trained by steps."""
    backbone = classifier.backbone
    trainer = Trainer(
        classifier, build_optimiser(classifier, settings), task, settings, generator,
        f"{task.name} {backbone.name} prompt seed {seed}", backbone.engine, checkpoint,
        keep=keep,
    )  # fmt: skip
    trainer.run()
    of_map = sum(each.numel() for each in trained_of(classifier.label_map))
    return fit_of(trainer, classifier.prompt.trained + of_map)


def trained_of(part: nn.Module) -> list[nn.Parameter]:
    """Returns the parameters that are trained; modules of one's own may have others."""
    return [each for each in part.parameters() if each.requires_grad]


def check_learns(classifier: PromptedClassifier, images: Tensor) -> None:
    """Raises UserError unless the loss of images has a gradient to each part that is to learn."""
    logits = classifier.eval()(images)
    for which in ("prompt", "label_map"):
        part = getattr(classifier, which)
        values = trained_of(part)
        found: Sequence[Tensor | None] = ()
        if values and logits.requires_grad:
            found = torch.autograd.grad(logits.sum(), values, retain_graph=True, allow_unused=True)
        if values and all(gradient is None for gradient in found):
            name = type(getattr(part, "module", part)).__name__
            raise UserError(
                f"the {which} {name} would learn nothing: no gradient comes to it; is there a "
                "no_grad or a detach in it, or behind it?"
            )


def learner(
    backbone: Backbone, task: Task, settings: Settings, seed: int, own: Own = NOTHING_OWN
) -> PromptedClassifier:
    """Returns what is trained, with a prompt of zeros, as a state is loaded into it.

    `seed` is for positions at test time, if they are drawn.
    """
    generator = torch.Generator().manual_seed(seed)
    start = settings if own.prompt is not None else settings | {"init": "zeros"}
    return untrained(backbone, task, start, seed, generator, own)


def counted(classifier: PromptedClassifier, task: Task) -> Fit:
    """Returns the `Fit` of a classifier that learns nothing; its label map may be counted."""
    train = task.splits["train"]
    classifier.begin_epoch(1, train.images, train.labels)
    evaluations = evaluate_splits(classifier.eval(), task, classifier.backbone.device)
    images = sum(len(task.splits[name]) for name in evaluations)
    return Fit(unselected(evaluations, copy_of(classifier)), 0, images=images)


def build_optimiser(classifier: PromptedClassifier, settings: Settings) -> torch.optim.Optimizer:
    """Returns the optimiser of a prompt: the official code's is sgd, on the plain gradient.

    A label map that is trained has a rate of its own, map_lr.
    """
    lr, momentum = settings["lr"], settings["momentum"]
    groups = parameter_groups(classifier, settings)
    if settings["optimiser"] == "adam":
        optimiser: torch.optim.Optimizer = torch.optim.Adam(groups, lr=lr, betas=(momentum, 0.999))
    else:
        nesterov = settings["optimiser"] == "nesterov"
        optimiser = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)
    if settings["gradient"] != "plain":  # before each step, when a scaled loss is scaled back

        def change(*_: object) -> None:
            for member in classifier.prompt.members:
                gradients = [each.grad for each in member.parameters() if each.grad is not None]
                if isinstance(member, Whole):
                    unit_image(gradients[0], member.mask)
                else:
                    unit(gradients)

        optimiser.register_step_pre_hook(change)
    return optimiser


def parameter_groups(classifier: PromptedClassifier, settings: Settings) -> list[dict[str, Any]]:
    """Returns the parameter groups of a prompt and of its label map, as far as they are trained."""
    prompt, of_map = trained_of(classifier.prompt), trained_of(classifier.label_map)
    groups: list[dict[str, Any]] = [{"params": prompt}] if prompt else []
    if of_map:
        rate = settings["map_lr"]
        if rate is None:
            name = settings.get("label_map", "of one's own")
            raise UserError(f"label_map {name} is trained: it needs a map_lr")
        groups.append({"params": of_map, "factor": rate / settings["lr"]})
    return groups
