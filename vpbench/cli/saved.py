"""What was saved, and the task it is tried on, as a command line names them."""

from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from vpbench.cli.device import announce_device
from vpbench.common.errors import UserError
from vpbench.common.messages import one_line
from vpbench.spec.tasks import TASKS

if TYPE_CHECKING:  # they load torch: see vpbench.cli
    from vpbench.data.task_source import TaskSource
    from vpbench.methods.model import Model


def saved_model(arguments: Namespace) -> "Model":
    """Returns the model that was saved, on its own backbone or on the one that is named."""
    import vpbench
    from vpbench.prompts import files

    path, card = arguments.prompt, files.read_card(arguments.prompt)
    if card.get("own"):
        raise UserError(
            f"{path} has a {', '.join(card['own'])} of one's own, which no file holds; load it in "
            "Python: vpbench.load"
        )
    name = arguments.backbone or files.address_of(card)
    if name is None:
        raise UserError(
            f"{path} was made for {one_line(card['backbone'])[:80]}, a backbone that was wrapped; "
            "name the same one by --backbone, or load it in Python: vpbench.load"
        )
    device = announce_device(arguments.device)
    return vpbench.load(path, vpbench.load_backbone(name, device))


def open_task(arguments: Namespace, *, to_fit: bool = True) -> "TaskSource":
    """Returns the task the arguments name, a folder with its options.

    Unless it is `to_fit`, a folder may have one split and one class alone.
    """
    import vpbench

    keys = ("split_file", "class_names", "class_order", "template")
    given = {key: getattr(arguments, key) for key in keys}
    given = {key: value for key, value in given.items() if value is not None}
    if arguments.task in TASKS and given:
        option = next(iter(given)).replace("_", "-")
        raise UserError(f"--{option} is for folders of images, not for {arguments.task}")
    if arguments.task not in TASKS and Path(arguments.task).is_dir():
        return vpbench.from_folder(arguments.task, **given, to_fit=to_fit)
    return vpbench.load_task(arguments.task)
