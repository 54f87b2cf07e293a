"""The training step of the official code, written anew from its facts: what ours is measured by.

The facts are those of github.com/hjbahng/visual_prompting, main_clip.py and main_vision.py. No
weight is frozen: every step also computes the gradients of all weights, and since only those of the
prompt are set to zero before a step, they add up for ever. With CLIP every step turns all class
texts into tokens, and goes forward and backward through the text tower too. The memory format is
PyTorch's default. On a GPU the official CLIP step is in mixed precision, on a CPU in fp32.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn

LR, MOMENTUM, WARM_UP = 40.0, 0.9, 1000  # SGD; the warm-up is in steps
LARGEST_LOGIT_SCALE = 4.6052


class Border(nn.Module):
    """The padding prompt: four strips around an image, the upper and lower ones as wide as it."""

    def __init__(self, pad_up, pad_down, pad_left, pad_right):
        super().__init__()
        self.pad_up, self.pad_down = nn.Parameter(pad_up), nn.Parameter(pad_down)
        self.pad_left, self.pad_right = nn.Parameter(pad_left), nn.Parameter(pad_right)

    def forward(self, images):
        height, width = self.pad_left.shape[2], self.pad_up.shape[3] - 2 * self.pad_left.shape[3]
        inside = torch.zeros(1, 3, height, width, device=images.device)
        rows = torch.cat((self.pad_left, inside, self.pad_right), dim=3)
        whole = torch.cat((self.pad_up, rows, self.pad_down), dim=2)
        return images + torch.cat(len(images) * [whole])


def sgd(prompt):
    """Returns the optimiser of the prompt alone."""
    return torch.optim.SGD(prompt.parameters(), lr=LR, momentum=MOMENTUM)


def learning_rate(step, steps):
    """Returns the learning rate of `step` of `steps`."""
    if step < WARM_UP:
        return LR * (step + 1) / WARM_UP
    return LR * 0.5 * (1 + math.cos(math.pi * (step - WARM_UP) / (steps - WARM_UP)))


def clip_step(model, tokenize, texts, prompt, optimiser, images, labels, lr):
    """Returns the loss of one step of main_clip.py on normalised `images` [N, 3, H, W]."""

    def forward():
        features, words, scale = model(prompt(images), tokenize(texts))
        return F.cross_entropy(scale * features @ words.t(), labels)

    loss = descend(forward, optimiser, lr)
    model.logit_scale.data.clamp_(0, LARGEST_LOGIT_SCALE)
    return loss


def vision_step(model, classes, prompt, optimiser, images, labels, lr):
    """Returns the loss of one step of main_vision.py; the first outputs stand for the `classes`."""
    return descend(
        lambda: F.cross_entropy(model(prompt(images))[:, list(range(classes))], labels),
        optimiser, lr,
    )  # fmt: skip


def descend(forward, optimiser, lr):
    """Returns the loss `forward()` before one step of the optimiser against it."""
    for group in optimiser.param_groups:
        group["lr"] = lr
    optimiser.zero_grad()
    loss = forward()
    loss.backward()
    optimiser.step()
    return loss.item()
