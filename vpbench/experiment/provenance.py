"""What a record says of where its numbers come from: data, weights, versions, machine."""

import platform
import re
import resource
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from vpbench.common import paths
from vpbench.data.task import Task
from vpbench.models.backbone import Backbone
from vpbench.records.schema import CHANGED
from vpbench.spec import made_up
from vpbench.spec.backbones import BACKBONES

UNCOMMITTED = "--no-optional-locks", "status", "--porcelain", "--untracked-files=no"
PACKAGES = ("vpbench", "torch", "open_clip_torch", "timm", "scikit-learn", "torchmetrics", "numpy")


def hashes(task: Task, backbone: Backbone) -> dict[str, Any]:
    """Returns the SHA-256 of what a run reads: weights, images and labels, pretraining world."""
    return {
        "weights": backbone.weights_hash,
        "data": task.data_hash,
        "world": backbone.world_hash,
    } | ({"splits": task.source_hashes} if task.source_hashes else {})


def versions() -> dict[str, str]:
    """Returns the versions of Python and of the packages that make the numbers."""
    packages = {package: metadata.version(package) for package in PACKAGES}
    return {"python": platform.python_version()} | packages


@cache
def processor() -> str:
    """Returns the name of the processor: numbers of vision models differ between kinds of them."""
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        text = ""
    names = re.findall(r"(?m)^model name\s*: (.+)$", text)
    return names[0] if names else platform.processor() or platform.machine()


@cache
def commit() -> str | None:
    """Returns the commit of the repository that this code lies in, None for an installed wheel.

    It ends with records.schema.CHANGED where files that git tracks have changes.
    """
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    head = git(root, "rev-parse", "HEAD")
    return head and head + (CHANGED if git(root, *UNCOMMITTED) else "")


def git(root: Path, *arguments: str) -> str | None:
    """Returns what git says in a folder, None if nothing."""
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    return done.stdout.strip() or None


def describe_task(task: Task) -> dict[str, Any]:
    """Returns the facts of a task that a record keeps."""
    return {
        "display": task.display,
        "published": task.facts["published"],
        "classes": len(task.class_names),
        "class_names": list(task.class_names),
        "template": task.template,
        "sizes": {name: len(split) for name, split in task.splits.items()},
        "chance": 100 / len(task.class_names),
        "metric": task.facts["metric"],
        "shift": task.facts["shift"],
        "paper_validation": task.facts["paper_validation"],
        "deviations": list(task.deviations),
    } | ({"notes": list(task.notes)} if task.notes else {})


def describe_backbone(name: str, backbone: Backbone) -> dict[str, Any]:
    """Returns the facts of a backbone, `name` in the catalogue, that a record keeps."""
    entry = BACKBONES[name]
    random = entry.hub is not None and made_up.is_random(paths.weights_dir(), name)
    return {
        "role": entry.role,
        "modality": backbone.modality,
        "architecture": entry.architecture,
        "parameters": sum(p.numel() for p in backbone.model.parameters()),
    } | ({"origin": "random weights of a rehearsal"} if random else {})


def device_name(device: torch.device) -> str:
    """Returns what a device calls itself, e.g. NVIDIA H100 80GB HBM3."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return platform.processor() or platform.machine()


def peak_memory(device: torch.device) -> float:
    """Returns the peak memory in MB: of the GPU where one is used, else of this process so far."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    unit = 1 if sys.platform == "darwin" else 1024  # ru_maxrss is in bytes on macOS
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20
