"""Tasks: class names, a text template and labelled images of the train, validation, test splits.

A task is a name of catalogue.TASKS or any folder of images with one sub-folder per class.
"""

import hashlib
import importlib
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vpbench import catalogue
from vpbench.batches import take
from vpbench.catalogue import SPLITS
from vpbench.preprocessing import Preprocessing


@dataclass(frozen=True)
class Split:
    """N labelled images; `groups` names the camera, region or hospital of each, if any."""

    images: Tensor  # uint8 [N, H, W, C]
    labels: Tensor  # int64 [N]
    ids: tuple[str, ...]
    groups: tuple[str, ...] | None = None

    def __len__(self):
        return len(self.labels)


@dataclass(frozen=True)
class Task:
    """A classification task; `splits` has train, test and mostly validation."""

    name: str
    display: str
    class_names: tuple[str, ...]  # as on disk; see text.refine_class_name
    template: str
    splits: dict[str, Split]
    facts: dict = field(default_factory=dict)  # published, metric, shift, paper_validation
    deviations: tuple[str, ...] = ()  # what is not as in the paper, in words

    stored_hash: str | None = None  # of a dataset whose cache knows it
    source_hashes: dict[str, str] = field(default_factory=dict)  # of the files that define splits

    @property
    def data_hash(self):
        """The SHA-256 of all images and labels, split by split."""
        if self.stored_hash:
            return self.stored_hash
        digest = hashlib.sha256()
        for name, split in self.splits.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(split.images))  # not a copy of all images
            digest.update(np.ascontiguousarray(split.labels))
        return digest.hexdigest()


def load_task(name, data=None, preprocessing=None, folder=None):
    """Returns the task `name`: a name of catalogue.TASKS, or the path of a folder of images.

    `data` gives the number of images wanted of each split (None: 500, 300, 1000 of a twin, all
    there are elsewhere). Images of real datasets and folders go through `preprocessing`, that of a
    backbone; twins are painted at 56 pixels. `folder` says where the folder is and how it is read,
    if `name` is only its name: the keys of catalogue.folder_schema. Raises ValueError, in one line,
    if the data cannot be used.
    """
    preprocessing = preprocessing or Preprocessing(56, 56)
    if folder is not None or (name not in catalogue.TASKS and Path(name).is_dir()):
        from vpbench.folders import load_folder

        options = folder or {"path": name}
        reading = {key: value for key, value in options.items() if key != "path"}
        task = load_folder(options["path"], preprocessing, data=data, **reading)
        display = name if folder else task.display  # a folder may be called images, or 2750
        return replace(task, name=name, display=display)
    if name not in catalogue.TASKS:
        raise ValueError(
            f"{name!r} is neither a folder of images nor one of the tasks: "
            f"{', '.join(catalogue.TASKS)}"
        )
    if catalogue.is_twin(name):
        return paint_twin(name, data or {"train": 500, "validation": 300, "test": 1000})
    from vpbench.cache import load_dataset

    return load_dataset(name, data or dict.fromkeys(SPLITS), preprocessing)


def paint_twin(name, data):
    """Returns the twin `name` with `data[split]` pictures per split, classes in equal shares.

    Each picture has a generator of its own, so more pictures never change the first ones. The
    shifts have other domains (cameras, years, hospitals) in every split.
    """
    entry = catalogue.TASKS[name]
    module = importlib.import_module(entry.module)
    classes, task_seed = len(module.CLASS_NAMES), zlib.crc32(name.encode())
    splits = {}
    for index, split in enumerate(SPLITS):
        count = data[split]
        if count is None:
            raise ValueError(f"{name} is painted and has no end: say how many images of {split}")
        if count < classes:
            raise ValueError(f"{name} has {classes} classes; {split}: {count} images are too few")
        domains = getattr(module, "DOMAINS", {}).get(split[:3] if split == "validation" else split)
        images, groups = [], []
        for number in range(count):
            rng = np.random.default_rng([task_seed, index, number])
            domain = int(rng.choice(domains)) if domains else 0
            images.append(module.paint(rng, number % classes, domain))
            groups.append(module.GROUPS[domain] if domains else None)
        splits[split] = Split(
            torch.from_numpy(np.stack(images)),
            torch.arange(count) % classes,
            tuple(f"{split}/{number}" for number in range(count)),
            tuple(groups) if domains else None,
        )
    facts = task_facts(name)
    return Task(name, entry.display, module.CLASS_NAMES, entry.template, splits, facts)


def few_shot(task, shots, seed):
    """Returns `task` with `shots` training images of each class, drawn by `seed`.

    A class that has no more keeps all it has; None of shots leaves the task as it is. Its hash is
    that of all images: with shots and seed it tells which were drawn.
    """
    if shots is None:
        return task
    train = task.splits["train"]
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    labels = train.labels[order]
    drawn = [order[labels == number][:shots] for number in labels.unique().tolist()]
    index = torch.cat(drawn).sort().values
    numbers = index.tolist()
    chosen = Split(
        take(train.images, index),
        train.labels[index],
        tuple(train.ids[number] for number in numbers),
        train.groups and tuple(train.groups[number] for number in numbers),
    )
    return replace(task, splits=task.splits | {"train": chosen}, stored_hash=task.data_hash)


def task_facts(name):
    """Returns the facts that a record keeps of the task `name` of catalogue.TASKS."""
    keys = ("published", "metric", "shift", "paper_validation")
    return {key: getattr(catalogue.TASKS[name], key) for key in keys}
