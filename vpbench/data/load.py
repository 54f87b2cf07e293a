"""Tasks: class names, a text template and labelled images of the train, validation, test splits.

A task is a name of spec.tasks.TASKS or any folder of images with one sub-folder per class.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, instead, one_line
from vpbench.data.cache import Data
from vpbench.data.dataset import load_dataset
from vpbench.data.image_folder import load_folder
from vpbench.data.subsets import check_seed
from vpbench.data.task import Task, few_shot
from vpbench.data.twin import paint_twin
from vpbench.spec import schema_check
from vpbench.spec.fingerprints import check_fingerprint
from vpbench.spec.grid_checks import check_test_start
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.schema import data_schema, folder_schema
from vpbench.spec.tasks import SPLITS, TASKS, is_twin


def load_task(
    name: str | Path,
    data: Data = None,
    preprocessing: Preprocessing | None = None,
    folder: dict[str, Any] | None = None,
    seed: int = 0,
) -> Task:
    """Returns the task `name`: a name of spec.tasks.TASKS, or the path of a folder of images.

    `data` gives the number of images wanted of each split (None: 500, 300, 1000 of a twin, all
    there are elsewhere); with `shots` so many training images of each class are kept, drawn by
    `seed` as by that of a run. Images of real datasets and folders go through `preprocessing`, that
    of a backbone; twins are painted at 56 pixels. If `name` is only the name of a folder, `folder`
    says where that is and how it is read: the keys of spec.schema.folder_schema. Raises UserError,
    in one line, if the data cannot be used.
    """
    name = checked_name(name, data, seed)
    given = dict(data or {})
    shots = given.pop("shots", None)
    return few_shot(_loaded(name, given, preprocessing, folder), shots, seed)


def checked_name(name: str | Path, data: Data, seed: int) -> str:
    """Returns the name or path of a task; raises UserError if what is asked of it makes no sense.

    Whether there is such a task is not looked at: the name may be that of a folder elsewhere.
    """
    if not isinstance(name, str | Path):
        raise UserError(f"task {brief(name)}: expected a name, or the path of a folder of images")
    check_seed(seed)
    name = str(name)
    if data is not None:
        where, complete = f"data of {one_line(name)}", is_twin(name)
        legal = data_schema(complete, of_run=True, of_twins=True)
        schema_check.check(data, legal, where)
        check_test_start(name, data, where)
    return name


def _loaded(
    name: str,
    data: dict[str, Any],
    preprocessing: Preprocessing | None,
    folder: dict[str, Any] | None,
) -> Task:
    """Returns the task `name` with all its training images."""
    preprocessing = preprocessing or Preprocessing(56, 56)
    if folder is not None or is_folder(name):
        options: dict[str, Any] = {"path": name} if folder is None else folder
        schema_check.check(options, folder_schema(), f"folder of {one_line(name)}")
        check_fingerprint(options)
        reading = {key: options[key] for key in options if key not in ("path", "fingerprint")}
        task = load_folder(options["path"], preprocessing, data=data, **reading)
        display = name if folder else task.display  # a folder may be called images, or 2750
        return replace(task, name=name, display=display)
    check_known(name)
    if is_twin(name):
        return paint_twin(name, data or {"train": 500, "validation": 300, "test": 1000})
    return load_dataset(name, data or dict.fromkeys(SPLITS), preprocessing)


def is_folder(name: str) -> bool:
    """Returns whether a task is a folder of images, by its path; a task's own name goes first."""
    return name not in TASKS and Path(name).is_dir()


def check_known(name: str) -> None:
    """Raises UserError unless a task has this name."""
    if name not in TASKS:
        raise UserError(
            f"{name!r} is neither a folder of images nor the name of a task; {instead(name, TASKS)}"
        )
