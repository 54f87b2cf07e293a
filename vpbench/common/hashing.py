"""SHA-256 of files, of JSON, and of the state of a module."""

import hashlib
import json
from collections.abc import Mapping
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


def state_hash(state: Mapping[str, Any]) -> str:
    """Returns the SHA-256 of the tensors of a module by name, whatever order they come in."""
    whole = hashlib.sha256()
    for name in sorted(state):
        value = state[name].detach().cpu()
        whole.update(f"{name} {value.dtype} {list(value.shape)}".encode())
        plain = value.float() if str(value.dtype) == "torch.bfloat16" else value  # numpy has none
        whole.update(plain.contiguous().numpy().tobytes())
    return whole.hexdigest()
