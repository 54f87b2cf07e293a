"""What people type: JSON, settings, folders."""

from pathlib import Path

from vpbench.common.errors import UserError
from vpbench.common.messages import one_line


def read_json(text):
    """Returns the JSON document in `text`."""
    from vpbench.common import strict_json

    try:
        return strict_json.parse_json(text)
    except ValueError as error:
        raise UserError(f"the spec is not JSON: {error}") from None


def read_specs(text):
    """Returns the specs in `text`, a JSON list."""
    specs = read_json(text)
    if not isinstance(specs, list):
        raise UserError("the specs must be a JSON list")
    return specs


def read_checkpoint_options(arguments):
    """Returns (folder, seconds, steps): where and when a run is kept while it goes on."""
    if arguments.checkpoint_steps is not None and arguments.checkpoint_steps < 1:
        raise UserError(f"--checkpoint-steps {arguments.checkpoint_steps}: choose 1 or more")
    return arguments.checkpoints, arguments.checkpoint_every, arguments.checkpoint_steps


def read_change(text):
    """Returns (name, value) of NAME=VALUE; the value is JSON, or a plain word."""
    from vpbench.common import strict_json

    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {one_line(text)}: expected NAME=VALUE, for example size=3")
    try:
        return name, strict_json.parse_json(value)
    except ValueError:
        return name, value


def read_task(arguments, backbone):
    """Returns the task the arguments name, a folder read with its options."""
    from vpbench.data import image_folder, load
    from vpbench.spec.tasks import TASKS

    options = {
        "split_file": arguments.split_file,
        "class_names": arguments.class_names,
        "template": arguments.template,
    }
    given = {key: value for key, value in options.items() if value is not None}
    if arguments.task in TASKS:
        if given:
            option = next(iter(given)).replace("_", "-")
            raise UserError(f"--{option} is for folders of images, not for {arguments.task}")
    if given and Path(arguments.task).is_dir():
        return image_folder.load_folder(arguments.task, backbone.preprocessing, **given)
    return load.load_task(arguments.task, preprocessing=backbone.preprocessing)
