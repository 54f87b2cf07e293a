"""The paper's datasets as they lie on disk: one file per kind of format, each with `open_source`.

Nothing is decoded here: a `Source` lists the images of each split and reads them one by one.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from vpbench.common.errors import UserError
from vpbench.common.messages import instead
from vpbench.spec import made_up
from vpbench.spec.class_names import MANIFESTS, read_manifest
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.tasks import TASKS
from vpbench.spec.text_prompts import refine_class_name


class DatasetError(UserError):
    """A dataset that cannot be used; its message is one line that says what to do."""


class MissingDataset(DatasetError):
    """Files of the dataset are not there."""


class CorruptDataset(DatasetError):
    """Files of the dataset are there but cannot be read, or contradict each other."""


class WrongSize(DatasetError):
    """A split or the list of classes has another size than the paper's Table 6."""


@dataclass(frozen=True)
class Listing:
    """The N images of a split; `read(i)` returns the i-th as a PIL image in RGB."""

    labels: np.ndarray  # int64 [N]
    ids: tuple[str, ...]  # stable names, e.g. paths relative to the dataset's folder
    read: Callable[[int], Image.Image]
    groups: tuple[str, ...] | None = None  # camera, region or hospital of each

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Source:
    """A dataset on disk: `splits` has train, test and, where Table 6 has one, validation.

    `hashes` maps the files that define the splits to their SHA-256; `deviations` says in words
    what is not as in the paper, e.g. a regenerated split. Both go into every record.
    """

    class_names: tuple[str, ...]
    splits: dict[str, Listing]
    hashes: dict[str, str] = field(default_factory=dict)
    deviations: tuple[str, ...] = ()


def open_dataset(name: str, root: str | Path) -> Source:
    """Returns the `Source` of the dataset `name` under the folder `root`, sizes and names checked.

    Raises MissingDataset, CorruptDataset or WrongSize, each with one line.
    """
    source: Source = importlib.import_module(TASKS[name].module).open_source(name, root)
    check_sizes(name, source)
    check_names(name, source)
    return source


def download_dataset(name: str, root: str | Path) -> Source:
    """Returns the `Source` of the dataset `name` once it is below the folder `root`, checked.

    Raises MissingDataset, with the steps, if images have to be fetched by hand.
    """
    module = importlib.import_module(TASKS[known_dataset(name)].module)
    source: Source = module.download(name, root)
    check_sizes(name, source)
    check_names(name, source)
    return source


def known_dataset(name: str) -> str:
    """Returns `name` if it is that of a real dataset, else raises UserError."""
    if name not in FACTS:
        raise UserError(f"{name!r} is not a real dataset; {instead(name, FACTS)}")
    return name


def check_sizes(name: str, source: Source) -> None:
    """Raises WrongSize unless the classes and splits of `source` are as large as in Table 6."""
    facts = made_up.facts_of(name)
    if len(source.class_names) != facts.classes:
        raise WrongSize(f"{name} has {len(source.class_names)} classes, expected {facts.classes}")
    for split, expected in facts.sizes.items():
        count = len(source.splits[split]) if split in source.splits else 0
        if count != expected:
            raise WrongSize(
                f"{name}: the {split} split has {count} images, expected {expected}"
                f"{'; ' + facts.remark if facts.remark else ''}"
            )


def check_names(name: str, source: Source) -> None:
    """Raises CorruptDataset unless the classes are called as in the list of the dataset, if any."""
    expected = read_manifest(name) if name in MANIFESTS else ()
    for label, (mine, listed) in enumerate(zip(source.class_names, expected)):
        if refine_class_name(mine) != refine_class_name(listed):
            raise CorruptDataset(
                f"{name}: class {label} is called {mine!r}, expected {listed!r}; the labels are "
                "not those of the dataset"
            )
