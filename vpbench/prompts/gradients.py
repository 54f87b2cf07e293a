"""What becomes of a prompt's gradient before the optimiser steps."""

from collections.abc import Sequence

import torch
from torch import Tensor

TINY = 1e-30  # a gradient of zero stays zero


def unit(gradients: Sequence[Tensor]) -> None:
    """Divides the tensors `gradients` by their common L2 norm."""
    norm = torch.nn.utils.get_total_norm(gradients)
    for gradient in gradients:
        gradient.div_(norm.clamp(min=TINY))


def unit_image(gradient: Tensor, mask: Tensor) -> None:
    """Divides a whole image's gradient by its L2 norm, then masks it (EVP).

    The more of a gradient falls on the image beside the prompt, the shorter is the step.
    """
    unit([gradient])
    gradient.mul_(mask)
