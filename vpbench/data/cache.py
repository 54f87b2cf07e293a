"""The cache of a real dataset: its images decoded once, as uint8 arrays that are mapped from disk.

In `cache/<dataset>/<transform>/` under the data folder, for each split: `<split>.npy` (the pixels
[N, S, S, 3]), `<split>.labels.npz` (labels, ids, groups) and `<split>.json`, the card, which is
written last: without it the rest counts as not there. A part of a split has its number of images
in these names. No torch here: `dataset` makes a task of it.

A run that reads a cache needs no memory for its pixels: what the system holds of the file, it gives
back when memory is short. What does grow with the number of images is about 0.1 KB for the label
and id of each (0.3 KB while they are read), and, of each split that is looked at, its logits, N x K
float32, for each of up to three epochs that are kept. A linear probe holds its features, N x D
float64, and what scikit-learn makes of them.

Every load checks the card, the labels' SHA-256, and that the array has the size and header that
the card promises. All pixels are read again only when they have just been written and by `vpbench
data status --verify`: a pass over 60 GB at every start would take longer than many a run.
"""

import hashlib
import os
import shutil
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.common.locks import hold
from vpbench.common.messages import brief, first_line, gigabytes
from vpbench.common.paths import data_dir
from vpbench.data.cache_files import REMEDY, card_path, hash_labels, labels_path, read_card, verify
from vpbench.data.datasets.source import CorruptDataset, Listing, known_dataset, open_dataset
from vpbench.data.subsets import balanced
from vpbench.spec import made_up
from vpbench.spec.preprocessing import Preprocessing, preprocess
from vpbench.spec.schema import SCHEMA

Data = Mapping[str, Any] | None  # as in a spec: images of each split, resolution; None: all
SAME = ("class_names", "splits", "deviations")  # in the cards of all splits of a task
LOCK = "lock"
BLOCK = 256  # images that are decoded before they are written; bounds the memory


class Part(NamedTuple):
    """The cached images of a split, or of a balanced part of it."""

    split: str
    images: int
    side: int  # of the squares, in pixels
    preprocessing: str | None  # the key of the transform; None: as they are on disk
    path: Path  # of the array; card and labels are beside it

    @property
    def bytes(self) -> int:
        """What the pixels take on disk."""
        return self.images * self.side**2 * 3


def parts(name: str, data: Data, preprocessing: Preprocessing) -> list[Part]:
    """Returns what the cache of a task has to hold: one `Part` per split, train first."""
    facts, wanted = made_up.facts_of(known_dataset(name)), data or {}
    side, folder = preprocessing.crop, preprocessing.key
    key: str | None = preprocessing.key
    if wanted.get("resolution") == "native":
        if facts.native_size is None:
            raise UserError(
                f"{name}: its images are of many sizes, none is native to all; "
                "choose resolution: backbone"
            )
        if facts.native_size >= preprocessing.crop:
            raise UserError(
                f"{name}: its images of {facts.native_size} pixels are not smaller than the "
                f"{preprocessing.crop} of the backbone; choose resolution: backbone"
            )
        side, key, folder = facts.native_size, None, f"native{facts.native_size}"
    listed = []
    for split, size in facts.sizes.items():
        count = wanted.get(split)
        images = size if count is None else min(count, size)
        file = f"{split}.npy" if images == size else f"{split}.part{images}.npy"
        path = Path(data_dir(), "cache", name, folder, file)
        listed.append(Part(split, images, side, key, path))
    return listed


def prepare(name: str, data: Data, preprocessing: Preprocessing) -> dict[str, dict[str, Any]]:
    """Returns split -> card of the cache of a task, which is made first where it is missing."""
    made_up.check_data(name, data_dir())
    wanted = parts(name, data, preprocessing)
    folder = wanted[0].path.parent
    if missing(wanted):
        folder.mkdir(parents=True, exist_ok=True)
        with hold(folder / LOCK) as check_lock:
            build(name, missing(wanted), preprocessing, check_lock)
    cards = {part.split: read_card(card_path(part.path)) for part in wanted}
    for part in wanted:
        check_card(name, part, cards[part.split], cards["train"])
    return cards


def missing(wanted: Sequence[Part]) -> list[Part]:
    """Returns those of the parts that are not there yet."""
    return [part for part in wanted if not card_path(part.path).exists()]


def build(
    name: str,
    wanted: Sequence[Part],
    preprocessing: Preprocessing,
    check_lock: Callable[[], None],
) -> None:
    """Makes the parts `wanted` of a cache, whose lock the caller holds."""
    if not wanted:  # another process has made them in the meantime
        return
    folder = wanted[0].path.parent
    for left in folder.glob(f".*{atomic_files.PART}"):  # of a process that was killed
        left.unlink()
    source = open_dataset(name, data_dir())
    announce(name, wanted)
    for part in wanted:
        listing = source.splits[part.split]
        chosen = balanced(listing.labels.tolist(), part.images)
        labels = np.asarray(listing.labels, np.int64)[chosen]
        ids = [listing.ids[i] for i in chosen]
        groups = [listing.groups[i] for i in chosen] if listing.groups else None
        pixels = write_images(name, part, listing, chosen, preprocessing, check_lock)
        arrays = {"labels": labels, "ids": ids} | ({"groups": groups} if groups else {})
        atomic_files.write_arrays(labels_path(part.path), arrays)
        card = {
            "schema": SCHEMA,
            "dataset": name,
            "split": part.split,
            "images": part.images,
            "of": len(listing),
            "side": part.side,
            "preprocessing": part.preprocessing,
            "sha256": {"images": pixels, "labels": hash_labels(labels, ids, groups)},
            "class_names": list(source.class_names),
            "splits": source.hashes,
            "deviations": list(source.deviations),
            "versions": {key: metadata.version(key) for key in ("vpbench", "pillow", "numpy")},
        }
        verify(part.path, card)
        check_lock()
        atomic_files.write(card_path(part.path), card)


def announce(name: str, wanted: Sequence[Part]) -> None:
    """Says on stderr how much will be written; raises UserError if that does not fit."""
    folder, needed = wanted[0].path.parent, sum(part.bytes for part in wanted)
    native = made_up.facts_of(name).native_size
    advice = ""
    if native and native < wanted[0].side:
        small = sum(part.images for part in wanted) * native**2 * 3
        advice = f"; resolution: native would take {gigabytes(small)}"
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(
            f"{name}: its cache needs {gigabytes(needed)}, {folder} has {gigabytes(free)} free; "
            f"choose another disk with --data-dir{advice}"
        )
    print(f"{name}: writing {gigabytes(needed)} to {folder}{advice}", file=sys.stderr, flush=True)


def write_images(
    name: str,
    part: Part,
    listing: Listing,
    chosen: Sequence[int],
    preprocessing: Preprocessing,
    check_lock: Callable[[], None],
) -> str:
    """Returns the SHA-256 of the pixels of the images `chosen`, once they are in their array.

    Written image by image, not into a mapped file: a full disk is then an error, not a crash.
    """

    def read(i: int) -> np.ndarray:
        try:
            image = listing.read(i)
            native = part.preprocessing is None
            pixels = np.asarray(image) if native else preprocess(image, preprocessing)
        except (OSError, SyntaxError) as error:
            reason = first_line(error)
            raise CorruptDataset(f"{name}: {listing.ids[i]} cannot be read ({reason})") from None
        if pixels.shape != (part.side, part.side, 3) or pixels.dtype != np.uint8:
            raise CorruptDataset(
                f"{name}: {listing.ids[i]} is {pixels.dtype} {pixels.shape}, "
                f"expected uint8 {(part.side, part.side, 3)}"
            )
        return np.ascontiguousarray(pixels)

    digest = hashlib.sha256()
    shape = (part.images, part.side, part.side, 3)
    header = {"descr": "|u1", "fortran_order": False, "shape": shape}
    with (
        ThreadPoolExecutor(workers()) as pool,
        atomic_files.whole_file(part.path) as file,
        tqdm(total=part.images, desc=f"{name} {part.split}", mininterval=5) as progress,
    ):
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, part.images, BLOCK):
            check_lock()
            for pixels in pool.map(read, chosen[start : start + BLOCK]):
                file.write(pixels.data)
                digest.update(pixels.data)
                progress.update()
    return digest.hexdigest()


def workers() -> int:
    """Returns how many threads decode: as many as torch and the BLAS may use, else all."""
    allowed = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, int(allowed)) if allowed.isdigit() else os.cpu_count() or 1


def check_card(name: str, part: Part, card: dict[str, Any], first: dict[str, Any]) -> None:
    """Raises CorruptDataset unless a card is of `part` and fits `first`, of the train split."""
    expected = {
        "dataset": name,
        "of": made_up.facts_of(name).sizes[part.split],
        "split": part.split,
        "images": part.images,
        "side": part.side,
        "preprocessing": part.preprocessing,
    } | {key: first[key] for key in SAME}
    for key, value in expected.items():
        if card[key] != value:
            raise CorruptDataset(
                f"{card_path(part.path)}: {key} is {brief(card[key])}, expected {brief(value)}; "
                f"{REMEDY}"
            )
