"""VP and its relatives: a prompt learned through a frozen backbone (sections 3.2 to 3.4).

The official recipe, EVP, adversarial reprogramming and the other forms are settings of one thing:
how an image is prepared, what the prompt is, where it is added, how the answers are mapped, and
how all that is trained.
"""

from contextlib import ExitStack, contextmanager
from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from vpbench.common.errors import UserError
from vpbench.methods.fit import Fit, unselected
from vpbench.prompts.gradients import unit, unit_image
from vpbench.prompts.label_maps import label_map
from vpbench.prompts.pixel import prompt_of
from vpbench.spec.text_prompts import worded
from vpbench.training.evaluate import predict
from vpbench.training.trainer import copy_of, evaluate_splits, optimise


class Prompted(nn.Module):
    """uint8 images to logits [N, K]; what it learns are its `prompt` and its `label_map`."""

    def __init__(self, prompt, backbone, label_map, settings):
        super().__init__()
        self.prompt, self.label_map = prompt, label_map
        self.__dict__["backbone"] = backbone  # not a submodule: it is frozen
        self.prompt_space, self.side = settings["prompt_space"], settings["image_side"]

    def forward(self, images):
        return self.answers(self.label_map, images)

    def answers(self, logits, images):
        """Returns what `logits` gives to prompted uint8 images, averaged over the members."""
        classifier = prompted(self.prompt, self.backbone, logits, self.prompt_space, self.side)
        return classifier(images).unflatten(0, (self.prompt.copies, -1)).mean(0)

    @contextmanager
    def held(self):
        """Holds what is drawn at random for a batch, for the time of a block."""
        with ExitStack() as stack:
            for member in self.prompt.members:
                if hasattr(member, "held"):
                    stack.enter_context(member.held())
            yield

    def begin_epoch(self, epoch, images, labels):
        """Returns None; a label map that is counted from training images is, if it is time."""
        when = self.label_map.refresh
        if when == "epoch" or (when == "once" and epoch == 1):
            self.eval()
            source = self.source_logits(images)
            self.label_map.update(source, labels.to(source.device))

    def source_logits(self, images):
        """Returns what the backbone says of prompted uint8 images: source logits [N, S]."""
        answers = partial(self.answers, self.label_map.source)
        return predict(answers, images, self.backbone.device)


def prompted(prompt, backbone, logits, prompt_space, side=None):
    """Returns the classifier uint8 images -> logits with `prompt` added.

    `prompt_space` is normalized (the official code: the prompt lives in normalised units)
    or pixel (pixel units 0..1). The images are shrunk to `side` pixels before, in
    the middle of black, if one is given.
    """

    def pixels(images):
        found = backbone.scale_pixels(images)
        return found if side is None else shrunk(found, side)

    if prompt_space == "normalized":
        return lambda images: logits(prompt(backbone.normalize(pixels(images))))
    return lambda images: logits(backbone.normalize(prompt(pixels(images))))


def shrunk(pixels, side):
    """Returns images [N, C, S, S] at `side` pixels in the middle of as much black as is needed."""
    size = pixels.shape[-1]
    if side > size:
        raise UserError(f"image_side {side}: the backbone's images have {size} pixels; shrink them")
    small = F.interpolate(pixels, (side, side), mode="bicubic", antialias=True).clamp(0, 1)
    before = (size - side) // 2
    return F.pad(small, (before, size - side - before, before, size - side - before))


def head(backbone, task, settings, seed=0, state=None):
    """Returns the label map of `settings`, in their words, with the tensors `state` it learned."""
    found = label_map(backbone, worded(task, settings), settings, seed)
    if state:
        found.load_state_dict(state)
    return found


def trained(prompt, backbone, task, settings, of_map=None):
    """Returns the `Prompted` of a trained prompt and of the tensors that its label map learned."""
    logits = head(backbone, task, settings, state=of_map)
    return Prompted(prompt, backbone, logits, settings).eval()


def build_optimiser(module, settings):
    """Returns the optimiser of a `Prompted`: the official code's is sgd, on the plain gradient.

    A label map that is trained has a rate of its own, map_lr.
    """
    lr, momentum = settings["lr"], settings["momentum"]
    prompt, of_map = list(module.prompt.parameters()), list(module.label_map.parameters())
    groups = [{"params": prompt}] if prompt else []
    if of_map:
        rate = settings["map_lr"]
        if rate is None:
            raise UserError(f"label_map {settings['label_map']} is trained: it needs a map_lr")
        groups.append({"params": of_map, "factor": rate / lr})
    if settings["optimiser"] == "adam":
        optimiser = torch.optim.Adam(groups, lr=lr, betas=(momentum, 0.999))
    else:
        nesterov = settings["optimiser"] == "nesterov"
        optimiser = torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)
    if settings["gradient"] != "plain":  # before each step, when a scaled loss is scaled back

        def change(*_):
            for member in module.prompt.members:
                if settings["gradient"] == "unit":
                    unit([parameter.grad for parameter in member.parameters()])
                else:
                    unit_image(member.picture.grad, member.mask)

        optimiser.register_step_pre_hook(change)
    return optimiser


def fit(backbone, task, settings, seed, checkpoint=None):
    """Returns the `Fit` of a prompt; its state is that of a `Prompted`.

    From a `checkpoint` (checkpoints.Checkpoint) the training goes on where it was.
    """
    generator = torch.Generator().manual_seed(seed)
    prompt = prompt_of(settings, backbone.image_size, generator)
    logits = head(backbone, task, settings, seed)
    module = Prompted(prompt, backbone, logits, settings).to(backbone.device)
    if not list(module.parameters()):
        return untrained(module, backbone, task)
    history, selection, micro_batch = optimise(
        module, module, build_optimiser(module, settings), task, settings, generator,
        f"{task.name} {backbone.name} prompt seed {seed}", backbone.engine, checkpoint,
    )  # fmt: skip
    parameters = module.prompt.trained + sum(p.numel() for p in module.label_map.parameters())
    images = settings["epochs"] * len(task.splits["train"])
    return Fit(selection, parameters, history, images=images, micro_batch=micro_batch)


def untrained(module, backbone, task):
    """Returns the `Fit` of a `Prompted` that learns nothing; its label map may be counted."""
    train = task.splits["train"]
    module.begin_epoch(1, train.images, train.labels)
    evaluations = evaluate_splits(module.eval(), task, len(task.class_names), backbone.device)
    images = sum(len(task.splits[name]) for name in evaluations)
    return Fit(unselected(evaluations, copy_of(module)), 0, images=images)
