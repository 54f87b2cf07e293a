"""Weights for a rehearsal: the real ones where they are, else random ones of the same shapes."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vpbench.common import atomic_files
from vpbench.models import weight_files
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.made_up import MARKER

ROW = 100_003  # random numbers that are repeated: half a billion would take long
BYTES = 2  # of a random number: half a float


def place_all(names: Iterable[str], folder: Path) -> list[str]:
    """Returns the backbones of `names` whose weights are random, once those of all are in `folder`.

    Real ones are linked to. The folder is marked; a random file serves all backbones of its name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    here = {
        name: weight_files.find_here(weight_files.published(name))
        for name in names
        if BACKBONES[name].hub
    }
    random = [name for name, path in here.items() if path is None]
    for name, path in here.items():
        target = folder / f"{stem_of(name)}{path.suffix if path else '.safetensors'}"
        if path is not None and not target.exists():
            target.symlink_to(path.resolve())
        elif path is None and not target.exists():
            write_random(name, target)
    atomic_files.write(folder / MARKER, {"random": random})
    return random


def stem_of(name: str) -> str:
    """Returns what the weight file of a backbone is called."""
    return weight_files.published(name).stem


def gigabytes(names: Iterable[str]) -> float:
    """Returns what random weights of these backbones take on disk."""
    parameters = {stem_of(name): BACKBONES[name].parameters or 0 for name in names}
    return sum(parameters.values()) * BYTES / 1e9


def write_random(name: str, path: Path) -> None:
    """Writes random weights for a backbone's architecture, such that signals keep their size."""
    import torch
    from safetensors.torch import save_file

    from vpbench.models import hub_backbones

    with torch.device("meta"):
        shapes = hub_backbones.build(name).state_dict()
    save_file({key: random_values(key, value) for key, value in shapes.items()}, path)


def random_values(name: str, value: Any) -> Any:
    """Returns values in half for the tensor `name` of a model.

    They are a short row of random numbers, again and again.
    """
    import torch

    if not value.is_floating_point():
        return torch.zeros(value.shape, dtype=value.dtype)
    if value.ndim < 2:
        one = name.endswith(("weight", "running_var", "gamma", "scale"))
        return torch.full(value.shape, float(one)).half()
    row = torch.randn(ROW, generator=torch.Generator().manual_seed(len(name)))
    copies = -(-value.numel() // len(row))
    scale = math.prod(value.shape[1:]) ** -0.5
    return (row * scale).half().repeat(copies)[: value.numel()].view(value.shape).clone()
