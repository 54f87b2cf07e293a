"""What a configuration takes of the disk, of the machine's memory and of the GPU's."""

import shutil
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from vpbench.common.paths import data_dir, device
from vpbench.data import cache
from vpbench.data.cache_files import card_path
from vpbench.spec import measurement_memory, memory_costs
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import measurements
from vpbench.spec.caches import caches
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.grid import Grid, measurement_specs
from vpbench.spec.memory_costs import Memory
from vpbench.spec.methods import METHODS

Spec = dict[str, Any]  # of a run


def number(value: float | None) -> str:
    """Returns hours or gigabytes for people: 0.04, 3.2, 1,234."""
    if value is None:
        return "?"
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}" if value >= 1 else f"{value:.2f}"


def memory(wanted: Grid) -> dict[str, Memory]:
    """Returns path of the record -> `Memory` of the run, on a GPU unless the device is cpu."""
    on_gpu = device() != "cpu"
    return {path: memory_costs.memory(spec, on_gpu) for path, spec in wanted.specs.items()}


def cached_parts(wanted: Grid) -> dict[Path, cache.Part]:
    """Returns path -> `Part` of every cache that runs and measurements of real datasets read."""
    listed = [cache.parts(each.task, each.data, each.transform) for each in caches(wanted)]
    return {part.path: part for parts in listed for part in parts}


def weight_sizes(wanted: Grid) -> dict[str, float]:
    """Returns backbone -> gigabytes of its weight file, of those that are on the hub."""
    names = dict.fromkeys(spec["backbone"] for spec in wanted.specs.values())
    by_file = {BACKBONES[name].hub: name for name in names if BACKBONES[name].hub}
    return {name: (BACKBONES[name].parameters or 0) * 4 / 1e9 for name in by_file.values()}


def report_space(wanted: Grid) -> list[str]:
    """Returns the lines about disk and memory."""
    return [*report_disk(wanted), *report_memory(wanted)]


def report_disk(wanted: Grid) -> list[str]:
    """Returns the lines about disk."""
    tasks = list(dict.fromkeys(spec["task"] for spec in wanted.specs.values()))
    parts = cached_parts(wanted)
    if not parts:
        return ["disk: next to nothing, no dataset is read from disk"]
    downloads = sum(FACTS[task].gigabytes for task in tasks if task in FACTS)
    caches: dict[Path, float] = defaultdict(float)
    for path, part in parts.items():
        caches[path.parent] += part.bytes / 1e9
    files = sum(weight_sizes(wanted).values())
    return [
        f"disk: datasets {number(downloads)} GB, caches {number(sum(caches.values()))} GB in "
        f"{len(caches)} folders (one per dataset and transform), weights {number(files)} GB; "
        f"{number(free_space(data_dir()))} GB are free at {data_dir()}",
    ]


def disk_needed(wanted: Grid, datasets: Iterable[str], backbones: Iterable[str]) -> float:
    """Returns the gigabytes still to be written: caches, and these datasets and weights."""
    weights = weight_sizes(wanted)
    caches = sum(
        part.bytes / 1e9
        for path, part in cached_parts(wanted).items()
        if not card_path(path).exists()
    )
    downloads = sum(FACTS[name].gigabytes for name in datasets)
    return caches + downloads + sum(weights.get(name, 0) for name in backbones)


def report_memory(wanted: Grid) -> list[str]:
    """Returns the lines about memory: the most that a run of each method takes."""
    lines = [
        "memory at most, in GB, of the machine and of the GPU (where it is short, fewer images "
        "go through at a time):"
    ]
    most: dict[str, tuple[Memory, Memory, Spec]] = {}
    for path, each in memory(wanted).items():
        spec = wanted.specs[path]
        host, card, worst = most.get(spec["method"], (each, each, spec))
        # On a CPU, where no GPU has any, it is the run that takes most of the machine.
        worst = spec if (each.gpu, each.host) > (card.gpu, host.host) else worst
        most[spec["method"]] = max(host, each), max(card, each, key=lambda one: one.gpu), worst
    for method, (host, card, spec) in most.items():
        where = f"{spec['task']} on {spec['backbone']}"
        lines.append(
            f"  {METHODS[method].display}: {number(host.host)} and {number(card.gpu)}, {where}"
        )
    lines += [
        f"  measuring {name}: {number(most_measured(wanted, name))} of the machine"
        for name in measurements(wanted.config)
    ]
    return [*lines, "a run maps the pixels of a dataset from its cache, which is no part of that"]


def most_measured(wanted: Grid, name: str) -> float:
    """Returns the gigabytes of the machine that a measurement takes, of the task with the most."""
    specs = measurement_specs(wanted, name, photographs=False)
    return max(measurement_memory.gigabytes(spec, device() != "cpu") for spec in specs)


def free_space(folder: Path) -> float:
    """Returns the gigabytes that are free where `folder` is or will be."""
    folder = folder.absolute()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free / 1e9
