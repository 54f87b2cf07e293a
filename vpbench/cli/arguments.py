"""What people type: JSON and settings."""

import os
from argparse import Namespace
from typing import Any

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.messages import brief, one_line


def read_json(text: str) -> Any:
    """Returns the JSON document in `text`, or in the file that it names, with or without an @."""
    if text.startswith("@"):
        return strict_json.read_json(text[1:])
    if not text.lstrip().startswith(("{", "[")):  # no spec, nor a list of them
        if not os.path.isfile(text):  # also of a text that can be no path
            raise UserError(f"the spec {brief(text)} is not JSON, nor a file; give one of both")
        return strict_json.read_json(text)
    try:
        return strict_json.parse_json(text)
    except UserError as error:
        raise UserError(f"the spec is not JSON: {error}") from None


def read_specs(text: str) -> list[dict[str, Any]]:
    """Returns the specs in `text`, a JSON list of at least one, or in the file that it names."""
    specs = read_json(text)
    if not isinstance(specs, list) or not specs:
        raise UserError("the specs must be a JSON list of at least one")
    return specs


def read_checkpoint_options(arguments: Namespace) -> tuple[str, float, int | None]:
    """Returns (folder, seconds, steps): where and when a run is kept while it goes on."""
    if arguments.checkpoint_steps is not None and arguments.checkpoint_steps < 1:
        raise UserError(f"--checkpoint-steps {arguments.checkpoint_steps}: choose 1 or more")
    return arguments.checkpoints, arguments.checkpoint_every, arguments.checkpoint_steps


def read_change(text: str) -> tuple[str, Any]:
    """Returns (name, value) of NAME=VALUE; the value is JSON, or a plain word."""
    name, equals, value = text.partition("=")
    if not equals:
        raise UserError(f"--set {one_line(text)}: expected NAME=VALUE, for example size=3")
    try:
        return name, strict_json.parse_json(value)
    except UserError:
        return name, value
