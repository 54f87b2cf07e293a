"""A classification task and its splits."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.spec.preprocessing import Preprocessing


class AnyTask:
    """A task whose images are read already, or one that reads them when it is asked to."""

    name: str
    display: str
    class_names: tuple[str, ...]
    template: str
    splits: Collection[str]

    def load(self, preprocessing: Preprocessing) -> "Task":
        """Returns the task with its images as a backbone of this `preprocessing` takes them."""
        raise NotImplementedError

    @property
    def train(self) -> "TaskSplit":
        """The training split."""
        return _part(self, "train")

    @property
    def validation(self) -> "TaskSplit":
        """The validation split; a UserError says that there is none."""
        return _part(self, "validation")

    @property
    def test(self) -> "TaskSplit":
        """The test split; a UserError says that there is none."""
        return _part(self, "test")


class TaskSplit(NamedTuple):
    """A split of a task, by its name."""

    task: AnyTask
    split: str

    def load(self, preprocessing: Preprocessing) -> tuple["Task", str]:
        """Returns the task, read for `preprocessing` if it was not read before, and the name."""
        return self.task.load(preprocessing), self.split


def _part(task: AnyTask, split: str) -> TaskSplit:
    """Returns a split of a task, which must have one of this name."""
    if split not in task.splits:
        raise UserError(f"{task.name} has no {split} split; it has: {', '.join(task.splits)}")
    return TaskSplit(task, split)


@dataclass(frozen=True)
class Split:
    """N labelled images; `groups` names the camera, region or hospital of each, if any."""

    images: Tensor  # uint8 [N, H, W, C]
    labels: Tensor  # int64 [N]
    ids: tuple[str, ...]
    groups: tuple[str, ...] | None = None
    hashes: tuple[str, ...] | None = None  # of the files of one's own images

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Task(AnyTask):
    """A classification task; `splits` has train, test and mostly validation."""

    name: str
    display: str
    class_names: tuple[str, ...]  # as on disk; see spec.text_prompts.refine_class_name
    template: str
    splits: dict[str, Split]
    facts: dict[str, Any] = field(
        default_factory=dict
    )  # published, metric, shift, paper_validation
    deviations: tuple[str, ...] = ()  # what is not as in the paper, in words
    preprocessing: Preprocessing | None = None  # of its images; None: they are as they were
    notes: tuple[str, ...] = ()  # what was left out or changed of one's own images, in words
    stored_hash: str | None = None  # of a dataset whose cache knows it
    source_hashes: dict[str, str] = field(default_factory=dict)  # of the files that define splits

    def load(self, preprocessing: Preprocessing) -> "Task":
        """Returns the task as it is: its images were read before."""
        return self

    @property
    def data_hash(self) -> str:
        """The SHA-256 of all images and labels, split by split."""
        if self.stored_hash:
            return self.stored_hash
        digest = hashlib.sha256()
        for name, split in self.splits.items():
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(split.images).data)  # not a copy of all images
            digest.update(np.ascontiguousarray(split.labels).data)
        return digest.hexdigest()


def take(images: Tensor, index: Tensor | slice) -> Tensor:
    """Returns images[index], `index` a slice or a tensor of numbers.

    Indexing copies byte by byte, this image by image: ten times as fast.
    """
    if isinstance(index, slice):
        return images[index]
    return images.index_select(0, index.to(images.device))


def few_shot(task: Task, shots: int | None, seed: int) -> Task:
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
        train.hashes and tuple(train.hashes[number] for number in numbers),
    )
    return replace(task, splits=task.splits | {"train": chosen}, stored_hash=task.data_hash)
