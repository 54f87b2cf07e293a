"""What a description names: `module:name`, imported when it is used."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256


def implementation(reference: str) -> Any:
    """Returns the object that `reference`, module:name, stands for."""
    module, _, name = reference.partition(":")
    found = getattr(imported(module), name, None)
    if found is None:
        raise UserError(f"{module} has no {name}, which a description names; mend one of the two")
    return found


def imported(module: str) -> ModuleType:
    """Returns a module that a description names.

    Raises UserError, in one line, if there is none; what fails inside of it keeps its traceback.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and f"{module}.".startswith(f"{error.name}."):
            raise UserError(
                f"there is no module {error.name}; a description names {module}: mend it, or "
                "install the package that has it"
            ) from None
        raise


def source_of(part: Any) -> dict[str, str | None]:
    """Returns what tells a class, function or module that is not ours: its `name` and its code.

    Another object is told by its class. `name` is qualified by its module; `file_sha256` is the
    SHA-256 of the file that defines it, None where there is none, as of what was typed into a
    prompt.
    """
    if not hasattr(part, "__qualname__") and not isinstance(part, ModuleType):
        part = type(part)
    module = sys.modules.get(getattr(part, "__module__", "")) or part
    name = getattr(part, "__qualname__", "")
    qualified = f"{getattr(part, '__module__', '')}.{name}" if name else part.__name__
    file = getattr(module, "__file__", None)
    known = sha256(file) if file is not None and Path(file).is_file() else None
    return {"name": qualified, "file_sha256": known}
