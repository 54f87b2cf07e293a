"""Statistics of a reference in the data folder: made once, by whoever comes first.

In `cache/references/` under the data folder: `<key>.safetensors` and `<key>.json`, the card, which
is written last: without it the rest counts as not there. The key is the hash of all that the
numbers depend on, so nothing there is ever out of date.
"""

import hashlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from vpbench.common import atomic_files, hashing, strict_json
from vpbench.common.errors import UserError
from vpbench.common.locks import hold
from vpbench.common.paths import data_dir
from vpbench.spec.schema import SCHEMA

About = dict[str, Any]  # all that the statistics depend on


def path_of(about: About) -> Path:
    """Returns where the statistics about a reference are."""
    return data_dir() / "cache" / "references" / f"{hashing.digest([about])[:16]}.safetensors"


def fingerprint(files: Sequence[str], read: Sequence[str]) -> str:
    """Returns the SHA-256 of the names of all `files`, and the sizes of those that are `read`.

    Names are those from the folder that all of them share, so that it may move.
    """
    folders = {os.path.dirname(file) for file in files}
    shared = os.path.commonpath(folders)
    within = {each: os.path.relpath(each, shared) for each in folders}
    within = {each: "" if place == os.curdir else place for each, place in within.items()}
    parts = (os.path.split(file) for file in files)
    names = "".join(f"{os.path.join(within[folder], name)}\n" for folder, name in parts)
    sizes = "".join(f"{os.path.getsize(file)}\n" for file in read)
    return hashlib.sha256(f"{names}\n{sizes}".encode("utf-8", "surrogateescape")).hexdigest()


def shared(about: About, make: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
    """Returns the statistics, which are made first where they are missing.

    Others that want the same wait meanwhile.
    """
    path = path_of(about)
    card = path.with_suffix(".json")
    if not card.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with hold(path.with_suffix(".lock")) as check_lock:
            if not card.exists():  # another process may have made them in the meantime
                tensors = {name: values.cpu().contiguous() for name, values in make().items()}
                check_lock()
                atomic_files.write_bytes(path, safetensors.torch.save(tensors))
                about_file = {"schema": SCHEMA, "about": about, "sha256": hashing.sha256(path)}
                atomic_files.write(card, about_file)
    return read(path, about)


def read(path: Path, about: About) -> dict[str, Tensor]:
    """Returns the statistics in a file that are about this reference; UserError at any other."""
    remedy = f"delete {path.with_suffix('.json')}, they will be made again"
    try:
        card = strict_json.read_json(path.with_suffix(".json"))
        data = path.read_bytes()
    except (OSError, UserError) as error:
        raise UserError(
            f"{path}: statistics of a reference, not read ({error}); {remedy}"
        ) from None
    sound = isinstance(card, dict) and card.get("about") == about
    if not sound or card.get("sha256") != hashlib.sha256(data).hexdigest():
        raise UserError(f"{path}: statistics of a reference, not those of its card; {remedy}")
    return dict(safetensors.torch.load(data))
