"""What becomes of a prompt's gradient before the optimiser steps."""

import torch

TINY = 1e-30  # a gradient of zero stays zero


def unit(gradients):
    """Returns None; the tensors `gradients` together have an L2 norm of 1 from here on."""
    norm = torch.nn.utils.get_total_norm(gradients)
    for gradient in gradients:
        gradient.div_(norm.clamp(min=TINY))


def unit_image(gradient, mask):
    """Returns None; a whole image's gradient is divided by its L2 norm, then masked (EVP).

    The more of a gradient falls on the image beside the prompt, the shorter is the step.
    """
    unit([gradient])
    gradient.mul_(mask)
