"""A real dataset as a task, its images mapped from the cache."""

import hashlib
import warnings

import torch

from vpbench.data.cache import Data, parts, prepare
from vpbench.data.cache_files import map_images, read_labels
from vpbench.data.task import Split, Task
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.tasks import TASKS, task_facts


def load_dataset(name: str, data: Data, preprocessing: Preprocessing) -> Task:
    """Returns the task of the real dataset `name`, its images mapped from the cache.

    `data` and `preprocessing` are those of load.load_task. Makes the cache first where it is
    missing. Raises UserError, in one line, if the dataset or its cache cannot be used.
    """
    splits, digest = {}, hashlib.sha256()
    cards = prepare(name, data, preprocessing)
    for part in parts(name, data, preprocessing):
        card = cards[part.split]
        labels, ids, groups = read_labels(part.path, card)
        with warnings.catch_warnings():
            # Nobody writes into the images of a task, so they are mapped to be read only. Mapped
            # copy-on-write, a file larger than the memory would be refused by Linux.
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            images = torch.from_numpy(map_images(part.path, card))
        splits[part.split] = Split(images, torch.from_numpy(labels), ids, groups)
        digest.update(
            f"{part.split} {card['sha256']['images']} {card['sha256']['labels']}\n".encode()
        )
    entry = TASKS[name]
    return Task(
        name,
        entry.display,
        tuple(card["class_names"]),
        entry.template,
        splits,
        task_facts(name),
        tuple(card["deviations"]),
        preprocessing=preprocessing if part.preprocessing else None,
        stored_hash=digest.hexdigest(),
        source_hashes=card["splits"],
    )
