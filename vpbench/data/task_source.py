"""Tasks that read their images when it is known for which backbone, and so in which size."""

import importlib
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from vpbench.data.cache import Data
from vpbench.data.image_folder import OpenedFolder, check_preprocessing, open_folder
from vpbench.data.load import check_known, checked_name, is_folder, load_task
from vpbench.data.task import AnyTask, Task, TaskSplit, few_shot
from vpbench.spec import made_up
from vpbench.spec.class_names import MANIFESTS, read_manifest
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.tasks import SPLITS, TASKS, is_twin

__all__ = ["TaskSource", "TaskSplit", "from_folder", "source_of"]
Read = Callable[[Preprocessing], Task]


class TaskSource(AnyTask):
    """A task whose images are read when it is known for which backbone."""

    def __init__(
        self,
        name: str,
        display: str,
        class_names: tuple[str, ...],
        template: str,
        splits: Collection[str],
        read: Read,
    ) -> None:
        self.name, self.display, self.class_names = name, display, class_names
        self.template, self.splits, self._read = template, tuple(splits), read
        self._last: tuple[Preprocessing, Task] | None = None

    def load(self, preprocessing: Preprocessing) -> Task:
        """Returns the task for a backbone of this `preprocessing`.

        The last one is kept, so that methods on one backbone share its images; another
        `preprocessing` reads them again. Raises UserError, in one line, if they cannot be read.
        """
        check_preprocessing(preprocessing)
        preprocessing = preprocessing.geometry
        if self._last is None or self._last[0] != preprocessing:
            self._last = None  # its images make room for the next ones
            self._last = preprocessing, self._read(preprocessing)
        return self._last[1]

    def __repr__(self) -> str:
        return f"<task {self.name}: {len(self.class_names)} classes, {', '.join(self.splits)}>"


def from_folder(path: str | Path, **options: Any) -> TaskSource:
    """Returns the task of a folder: `path/class/*.png`, or `path/{train,val,test}/class/*`.

    Listed and checked at once, read when it is used. `options` are those of
    vpbench.data.image_folder.open_folder: split_file, class_names, class_order, template, data
    (a cap on each split), seed, and to_fit=False for a folder that is only there to evaluate.
    """
    opened = open_folder(path, **options)
    return _of_folder(opened, opened.read)


def source_of(name: str | Path, data: Data = None, seed: int = 0) -> TaskSource:
    """Returns the task `name`: one of `vpbench list`, or the path of a folder of images.

    `data` gives the number of images wanted of each split (None: 500, 300, 1000 of a twin, all
    there are elsewhere); with `shots` so many training images of each class are kept, drawn by
    `seed`. The images are read when the task is used, as load.load_task reads them; the name and
    `data` are checked at once. Raises UserError, in one line, if the data cannot be used.
    """
    name = checked_name(name, data, seed)
    if is_folder(name):
        given = dict(data or {})
        shots = given.pop("shots", None)
        opened = open_folder(name, data=given)
        return _of_folder(opened, lambda transform: few_shot(opened.read(transform), shots, seed))
    check_known(name)
    splits = SPLITS if is_twin(name) else made_up.facts_of(name).sizes
    return TaskSource(
        name,
        TASKS[name].display,
        _class_names(name),
        TASKS[name].template,
        splits,
        lambda transform: load_task(name, data, transform, seed=seed),
    )


def _of_folder(opened: OpenedFolder, read: Read) -> TaskSource:
    """Returns the source of an opened folder, whose task `read` makes."""
    facts = (str(opened.folder), opened.display, opened.class_names, opened.template)
    return TaskSource(*facts, opened.lists, read)


def _class_names(name: str) -> tuple[str, ...]:
    """Returns the classes of a task of the catalogue, before any image is read."""
    if name in MANIFESTS:
        return read_manifest(name)
    names: tuple[str, ...] = importlib.import_module(TASKS[name].module).CLASS_NAMES
    return names
