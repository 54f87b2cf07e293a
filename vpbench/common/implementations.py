"""What a description names: `module:name`, imported when it is used."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from vpbench.common.hashing import sha256


def implementation(reference: str) -> Any:
    """Returns the object that `reference`, module:name, stands for."""
    module, _, name = reference.partition(":")
    return getattr(import_module(module), name)


def source_of(part: Any) -> dict[str, str | None]:
    """Returns what tells a class, function or module that is not ours: its `name` and its code.

    `name` is qualified by its module; `file_sha256` is the SHA-256 of the file that defines it,
    None where there is none, as of what was typed into a prompt.
    """
    module = sys.modules.get(getattr(part, "__module__", "")) or part
    name = getattr(part, "__qualname__", "")
    qualified = f"{getattr(part, '__module__', '')}.{name}" if name else part.__name__
    file = getattr(module, "__file__", None)
    known = file is not None and Path(file).is_file()
    return {"name": qualified, "file_sha256": sha256(file) if known else None}
