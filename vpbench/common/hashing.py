"""SHA-256 of files and of JSON."""

import hashlib
import json


def canonical(value):
    """Returns `value` as JSON that is the same for equal values."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"))


def digest(specs):
    """Returns the SHA-256 of a list of specs."""
    return hashlib.sha256(canonical(specs).encode()).hexdigest()


def sha256(path):
    """Returns the SHA-256 of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
