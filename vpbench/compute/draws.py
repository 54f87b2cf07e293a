"""What is drawn from torch's own generators, by code that is handed none."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def draws_apart(device: torch.device, seed: int | None = None) -> Iterator[None]:
    """Brings torch's generators back, after a block, to where they were before it.

    In the block they start from `seed` if there is one.
    """
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        if seed is not None:
            torch.manual_seed(seed)
        yield
