"""SHA-256 of files and of JSON."""

import hashlib
import json
from pathlib import Path
from typing import Any


def canonical(value: Any) -> str:
    """Returns `value` as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(specs: list[dict[str, Any]]) -> str:
    """Returns the SHA-256 of a list of specs."""
    return hashlib.sha256(canonical(specs).encode()).hexdigest()


def sha256(path: str | Path) -> str:
    """Returns the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
