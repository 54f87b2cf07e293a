"""Classes of a task among those that a model was made for: they are matched by name."""

from collections.abc import Sequence

from vpbench.common.errors import UserError
from vpbench.data.folder_classes import class_key, few
from vpbench.data.task import Task


def labels_by_name(task: Task, original: Sequence[str], said: Sequence[str]) -> list[int]:
    """Returns the label of each class of a task among classes that have these names.

    They go by their `original` names or, where settings gave others, by those that are `said`.
    Raises UserError, in one line, if there is a class that none of them is.
    """
    wanted = [class_key(name) for name in task.class_names]
    for names in (original, said):
        keys = [class_key(name) for name in names]
        if wanted == keys:  # also where two classes have one name
            return list(range(len(names)))
        labels = {key: label for label, key in enumerate(keys)}
        if len(labels) == len(names) and labels.keys() >= set(wanted):
            return [labels[key] for key in wanted]
    known = {class_key(name) for name in (*original, *said)}
    unknown = [name for name, key in zip(task.class_names, wanted, strict=True) if key not in known]
    raise UserError(
        f"the model does not know {few(unknown or task.class_names)}, classes of {task.name}; it "
        f"was made for {few(original)}; rename them, say by class names which is which, or fit one "
        "for them"
    )


def unlike(names: Sequence[str]) -> list[str]:
    """Returns names, those that are there more than once with their labels."""
    return [f"{n} ({i})" if names.count(n) > 1 else n for i, n in enumerate(names)]
