"""From nothing to a cache: real datasets fetched where that takes nobody, decoded once."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.common.locks import hold
from vpbench.common.messages import instead
from vpbench.common.paths import data_dir
from vpbench.data import cache, cache_files
from vpbench.data.datasets.coop import stored_as
from vpbench.data.datasets.source import (
    MissingDataset,
    Source,
    download_dataset,
    known_dataset,
    open_dataset,
)
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.preprocessing import Preprocessing, straight_to


def prepare_all(
    names: Sequence[str],
    backbones: Sequence[str],
    data: cache.Data = None,
    sides: Sequence[int] = (),
    done: str | Path | None = None,
) -> None:
    """Fetches real datasets, and makes a cache for the transform of each backbone.

    All datasets if `names` is empty; `data` is that of load.load_task. Of recipes that shrink the
    images there is a cache for each of their `sides`. The file `done`, if one is given, lists in
    the end what is made, as seen from its folder: see spec.caches.stands.
    """
    made: list[Path] = []
    unknown = [name for name in backbones if name not in BACKBONES]
    if unknown:
        raise UserError(f"unknown backbone {unknown[0]!r}; {instead(unknown[0], BACKBONES)}")
    if any(side < 1 for side in sides):
        raise UserError(f"image_side {min(sides)}: expected 1 pixel or more")
    transforms = {Preprocessing(*BACKBONES[name].preprocessing) for name in backbones}
    transforms |= {straight_to(side) for side in sides}
    for name in [known_dataset(name) for name in names or FACTS]:
        wanted = {transform: cache.parts(name, data, transform) for transform in transforms}
        if not wanted or any(map(cache.missing, wanted.values())):
            source = fetch_missing(name)
            print(f"{name}: {sum(map(len, source.splits.values())):,} images", flush=True)
        for transform, parts in wanted.items():
            cache.prepare(name, data, transform)
            made += [path for part in parts for path in cache_files.files_of(part.path)]
            images = sum(part.images for part in parts)
            print(f"{name}: {images:,} images in {parts[0].path.parent}", flush=True)
    if done is not None:
        folder = Path(done).parent
        atomic_files.write(done, [os.path.relpath(path, folder) for path in made])


def fetch_missing(name: str) -> Source:
    """Returns the `Source` of a dataset, which is fetched first if it is missing.

    Of one that has to be fetched by hand its split file is, and the rest is said.
    """
    with download_lock(name):  # nobody opens it while another process unpacks it
        try:
            return open_dataset(name, data_dir())
        except MissingDataset:
            if FACTS[name].download == "automatic":
                print(f"{name}: fetching {FACTS[name].gigabytes:g} GB", file=sys.stderr, flush=True)
            return download_dataset(name, data_dir())


def fetch(name: str) -> Source:
    """Returns the `Source` of a dataset, fetched again where its files are not what they were."""
    known_dataset(name)
    with download_lock(name):
        return download_dataset(name, data_dir())


def download_lock(name: str) -> AbstractContextManager[Callable[[], None]]:
    """Returns the lock, not yet held, of the files of a dataset."""
    data_dir().mkdir(parents=True, exist_ok=True)
    return hold(data_dir() / f".{stored_as(name)}.lock")
