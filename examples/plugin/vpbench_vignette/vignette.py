"""A prompt of rings: each has one colour, and the innermost is around the middle of the image."""

from typing import Any

import torch
from torch import Tensor, nn

from vpbench.prompts.pixel import Draws, Prompt


class Vignette(Prompt):
    """`size` rings of equal width, from the middle to the corners: 3 x size parameters."""

    def __init__(self, image_size: int, size: int, init: str, generator: Draws, **form: Any):
        super().__init__(**form)
        start = torch.zeros(1, 3, size)
        if init == "normal":
            start = torch.randn(1, 3, size, generator=generator)
        self.colours = nn.Parameter(start)
        places = torch.arange(image_size) - (image_size - 1) / 2
        radius = torch.hypot(places[:, None], places[None])
        ring = (size * radius / radius.max()).long().clamp(max=size - 1)
        self.ring: Tensor
        self.register_buffer("ring", ring, persistent=False)  # [S, S]

    def canvas(self) -> Tensor:
        """Returns the prompt alone [1, 3, S, S]."""
        return self.bound(self.colours)[:, :, self.ring]
