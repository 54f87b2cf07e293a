"""VP: one prompt learned through the frozen backbone (sections 3.2 to 3.4), officially by SGD."""

import torch

from vpbench.label_maps import label_map
from vpbench.methods import Fit
from vpbench.prompts import build_prompt
from vpbench.text import worded
from vpbench.training import optimise


def prompted(prompt, backbone, logits, placement):
    """Returns the classifier uint8 images -> logits with `prompt` added.

    `placement` is after_normalization (the official code: the prompt lives in normalised units)
    or before_normalization (pixel units 0..1).
    """
    if placement == "after_normalization":
        return lambda images: logits(prompt(backbone.normalize(backbone.scale_pixels(images))))
    return lambda images: logits(backbone.normalize(prompt(backbone.scale_pixels(images))))


def head(backbone, task, settings):
    """Returns the function normalised images -> logits [N, K] of `settings`: its map and words."""
    words = worded(task, settings)
    return label_map(settings["label_map"], backbone, words, settings["source_classes"])


def build_optimiser(prompt, settings):
    """Returns the optimiser of a prompt: the official code's is sgd, on the plain gradient."""
    parameters, lr, momentum = prompt.parameters(), settings["lr"], settings["momentum"]
    if settings["optimiser"] == "adam":
        optimiser = torch.optim.Adam(parameters, lr=lr, betas=(momentum, 0.999))
    else:
        nesterov = settings["optimiser"] == "nesterov"
        optimiser = torch.optim.SGD(parameters, lr=lr, momentum=momentum, nesterov=nesterov)
    if settings["gradient"] == "unit":  # before each step, when a scaled loss is scaled back
        optimiser.register_step_pre_hook(to_unit_length)
    return optimiser


def to_unit_length(optimiser, *_):
    """Returns None; all gradients of `optimiser` together have an L2 norm of 1 from here on.

    A gradient of zero stays zero.
    """
    gradients = [each.grad for group in optimiser.param_groups for each in group["params"]]
    norm = torch.nn.utils.get_total_norm(gradients)
    for gradient in gradients:
        gradient.div_(norm.clamp(min=1e-30))


def fit(backbone, task, settings, seed, checkpoint=None):
    """Returns the `Fit` of a prompt; its state is the prompt's state dict.

    From a `checkpoint` (checkpoints.Checkpoint) the training goes on where it was.
    """
    generator = torch.Generator().manual_seed(seed)
    prompt = build_prompt(
        settings["template"],
        backbone.image_size,
        settings["size"],
        init=settings["init"],
        generator=generator,
        position_range=settings["position_range"],
        test_position=settings["test_position"],
    ).to(backbone.device)
    logits = head(backbone, task, settings)
    classifier = prompted(prompt, backbone, logits, settings["placement"])
    optimiser = build_optimiser(prompt, settings)
    history, selection, micro_batch = optimise(
        prompt, classifier, optimiser, task, settings, generator,
        f"{task.name} {backbone.name} visual_prompt seed {seed}", backbone.engine, checkpoint,
    )  # fmt: skip
    parameters = sum(p.numel() for p in prompt.parameters())
    images = settings["epochs"] * len(task.splits["train"])
    return Fit(selection, parameters, history, images=images, micro_batch=micro_batch)
