"""What becomes of a prompt's gradient before the optimiser steps."""

import torch

TINY = 1e-30  # a gradient of zero stays zero


def unit(gradients):
    """Returns None; the tensors `gradients` together have an L2 norm of 1 from here on."""
    norm = torch.nn.utils.get_total_norm(gradients)
    for gradient in gradients:
        gradient.div_(norm.clamp(min=TINY))


def unit_image(gradients, masks):
    """Returns None; whole-image gradients are divided by their L2 norm, then masked (EVP).

    The more of a gradient falls on the image beside the prompt, the shorter is the step.
    """
    unit(gradients)
    for gradient, mask in zip(gradients, masks, strict=True):
        gradient.mul_(mask)
