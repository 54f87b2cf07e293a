"""Files that come inside Python packages: found, and their SHA-256 verified."""

from importlib.util import find_spec
from pathlib import Path

from vpbench.common import hashing
from vpbench.common.errors import UserError


def packaged_file(package: str, file: str, sha256: str) -> Path:
    """Returns the path of `file` in the installed `package`; UserError if it is not this file."""
    spec, name = find_spec(package), package.replace("_", "-")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(f"the package {name} is not installed: pip install 'vpbench[desk]'")
    path = Path(spec.submodule_search_locations[0], file)
    if not path.is_file():
        raise UserError(f"{path} is missing: reinstall {name}")
    actual = hashing.sha256(path)
    if actual != sha256:
        raise UserError(
            f"{path} has the SHA-256 {actual[:12]}..., expected {sha256[:12]}...: reinstall {name}"
        )
    return path
