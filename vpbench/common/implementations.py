"""What a description names: `module:name`, imported when it is used."""

from importlib import import_module
from typing import Any


def implementation(reference: str) -> Any:
    """Returns the object that `reference`, module:name, stands for."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)
