"""Tasks: class names, a text template and labelled images of the train, validation, test splits.

A task is a name of catalogue.TASKS or any folder of images with one sub-folder per class.
"""

from dataclasses import replace
from pathlib import Path

from vpbench.common.errors import UserError
from vpbench.data.twin import paint_twin
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.tasks import SPLITS, TASKS, is_twin


def load_task(name, data=None, preprocessing=None, folder=None):
    """Returns the task `name`: a name of catalogue.TASKS, or the path of a folder of images.

    `data` gives the number of images wanted of each split (None: 500, 300, 1000 of a twin, all
    there are elsewhere). Images of real datasets and folders go through `preprocessing`, that of a
    backbone; twins are painted at 56 pixels. `folder` says where the folder is and how it is read,
    if `name` is only its name: the keys of catalogue.folder_schema. Raises UserError, in one line,
    if the data cannot be used.
    """
    preprocessing = preprocessing or Preprocessing(56, 56)
    if folder is not None or (name not in TASKS and Path(name).is_dir()):
        from vpbench.data.image_folder import load_folder

        options = folder or {"path": name}
        reading = {key: value for key, value in options.items() if key != "path"}
        task = load_folder(options["path"], preprocessing, data=data, **reading)
        display = name if folder else task.display  # a folder may be called images, or 2750
        return replace(task, name=name, display=display)
    if name not in TASKS:
        raise UserError(
            f"{name!r} is neither a folder of images nor one of the tasks: {', '.join(TASKS)}"
        )
    if is_twin(name):
        return paint_twin(name, data or {"train": 500, "validation": 300, "test": 1000})
    from vpbench.data.dataset import load_dataset

    return load_dataset(name, data or dict.fromkeys(SPLITS), preprocessing)
