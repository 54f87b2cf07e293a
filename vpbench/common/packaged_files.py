"""Files that come inside Python packages: found, and their SHA-256 verified."""

from importlib.util import find_spec
from pathlib import Path

from vpbench.common import hashing
from vpbench.common.errors import UserError


def packaged_file(package, file, sha256):
    """Returns the path of `file` in the installed `package`; UserError if it is not this file."""
    spec = find_spec(package)
    if spec is None:
        raise UserError(
            f"the package {package.replace('_', '-')} is not installed: pip install 'vpbench[desk]'"
        )
    path = Path(spec.submodule_search_locations[0], file)
    if not path.is_file():
        raise UserError(f"{path} is missing: reinstall {package.replace('_', '-')}")
    found = hashing.sha256(path)
    if found != sha256:
        raise UserError(
            f"{path} has the SHA-256 {found[:12]}..., expected {sha256[:12]}...: reinstall "
            f"{package.replace('_', '-')}"
        )
    return path
