"""A twin as a task: its pictures are painted."""

import importlib
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from vpbench.common.errors import UserError
from vpbench.data.task import Split, Task
from vpbench.spec.tasks import SPLITS, TASKS, task_facts


def paint_twin(name: str, data: Mapping[str, Any]) -> Task:
    """Returns the twin `name` with `data[split]` pictures per split, classes in equal shares.

    Each picture has a generator of its own, so more pictures never change the first ones. Those of
    test begin with the number `data["test_start"]`, 0 if it is absent. The shifts have other
    domains (cameras, years, hospitals) in every split.
    """
    check_counts(name, data)
    entry = TASKS[name]
    module = importlib.import_module(entry.module)
    classes, task_seed = len(module.CLASS_NAMES), zlib.crc32(name.encode())
    splits = {}
    for index, split in enumerate(SPLITS):
        start = data.get("test_start", 0) if split == "test" else 0
        numbers = range(start, start + data[split])
        domains = getattr(module, "DOMAINS", {}).get(split[:3] if split == "validation" else split)
        images, groups = [], []
        for number in numbers:
            rng = np.random.default_rng([task_seed, index, number])
            domain = int(rng.choice(domains)) if domains else 0
            images.append(module.paint(rng, number % classes, domain))
            if domains:
                groups.append(module.GROUPS[domain])
        splits[split] = Split(
            torch.from_numpy(np.stack(images)),
            torch.tensor(numbers) % classes,
            tuple(f"{split}/{number}" for number in numbers),
            tuple(groups) or None,
        )
    facts = task_facts(name)
    return Task(name, entry.display, module.CLASS_NAMES, entry.template, splits, facts)


def check_counts(name: str, data: Mapping[str, Any]) -> None:
    """Raises UserError unless so many pictures of the twin `name` can be painted."""
    classes = len(importlib.import_module(TASKS[name].module).CLASS_NAMES)
    for split in SPLITS:
        count = data[split]
        if count is None:
            raise UserError(f"{name} is painted and has no end: say how many images of {split}")
        if count < classes:
            raise UserError(f"{name} has {classes} classes; {split}: {count} images are too few")
