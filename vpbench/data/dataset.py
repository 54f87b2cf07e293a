"""A real dataset as a task, its images mapped from the cache."""

import hashlib
import warnings

from vpbench.data.cache import parts, prepare
from vpbench.data.cache_files import map_images, read_labels
from vpbench.spec.tasks import TASKS


def load_dataset(name, data, preprocessing):
    """Returns the task of the real dataset `name`, its images mapped from the cache.

    `data` and `preprocessing` are those of tasks.load_task. Makes the cache first where it is
    missing. Raises UserError, in one line, if the dataset or its cache cannot be used.
    """
    import torch

    from vpbench.data.task import Split, Task
    from vpbench.spec.tasks import task_facts

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
        stored_hash=digest.hexdigest(),
        source_hashes=card["splits"],
    )
