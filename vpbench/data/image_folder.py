"""Any folder of images as a task: one sub-folder per class, with or without a split."""

import math
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm import tqdm

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, gigabytes, one_line
from vpbench.common.paths import data_dir
from vpbench.data.datasets.split_files import KEYS as SPLIT_FOLDERS
from vpbench.data.datasets.split_files import parse_split
from vpbench.data.subsets import balanced, cut
from vpbench.data.task import Split, Task
from vpbench.spec.preprocessing import Preprocessing, open_image, preprocess
from vpbench.spec.tasks import SPLITS

Lists = dict[str, list[tuple[Path, int]]]  # split -> image files and their labels
IN_MEMORY = 2**30  # bytes of the images of a split; more are mapped from a file
EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm")


def load_folder(
    folder: str | Path,
    preprocessing: Preprocessing = Preprocessing(56, 56),
    *,
    data: Mapping[str, Any] | None = None,
    split_file: str | Path | None = None,
    class_names: str | Path | None = None,
    template: str = "This is a photo of a {}",
    seed: int = 0,
) -> Task:
    """Returns the task of a folder: `folder/class/*.png`, or `folder/{train,val,test}/class/*`.

    Without split folders, `split_file` (JSON of lists [path, label, class name] under train, val,
    test, paths relative to the folder) says which image is where; without that, each class is cut
    60/20/20 by `seed`. `class_names` is a text file with one name per class, in the order of the
    sorted sub-folders. Images go through `preprocessing`, that of a backbone; `data` caps the
    images of each split. Raises UserError in one line for anything that cannot be used.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise UserError(f"{folder} is not a folder")
    names: Sequence[str]
    if split_file is not None:
        names, lists = _read_split_file(folder, Path(split_file))
    elif any((folder / name).is_dir() for name in ("train", "test")):
        names, lists = _read_split_folders(folder)
    else:
        names, lists = _cut(folder, seed)
    if len(names) < 2:
        raise UserError(f"{folder} has {len(names)} class; a task needs at least two sub-folders")
    if class_names is not None:
        names = _read_class_names(Path(class_names), names)
    splits = {}
    for split in SPLITS:
        if lists.get(split):
            entries, count = lists[split], (data or {}).get(split)
            kept = balanced([label for _, label in entries], count, seed)
            splits[split] = _read_images(folder, [entries[i] for i in kept], preprocessing)
    for split in ("train", "test"):
        if split not in splits:
            raise UserError(f"{folder}: the {split} split has no images")
    facts = {"published": None, "metric": "accuracy", "shift": False}
    facts["paper_validation"] = "validation" in splits
    return Task(str(folder), folder.resolve().name, tuple(names), template, splits, facts)


def _class_folders(folder: Path, root: Path) -> list[str]:
    names = sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if not names:
        raise UserError(f"{folder} is empty: expected one sub-folder of images per class")
    for name in names:
        _check(folder / name, root)
    return names


def _check(path: Path, root: Path) -> None:
    """Raises UserError unless `path` has a name that fits a line, and is no link out of `root`."""
    name = str(path.relative_to(root))
    if one_line(name) != name or not path.name.strip():
        raise UserError(f"{root}: the name {brief(name)} is blank or has odd characters; rename it")
    if path.is_symlink() and not _inside(path, os.path.realpath(root)):
        raise UserError(
            f"{path} is a link that leads out of {root}; put what it leads to in its place"
        )


def _inside(path: Path, real_folder: str) -> bool:
    """Returns whether a path is in a folder once all links are followed, as they are in its own."""
    return os.path.realpath(path).startswith(os.path.join(real_folder, ""))


def _images(folder: Path, name: str, root: Path) -> list[Path]:
    files = sorted(p for p in (folder / name).rglob("*") if p.suffix.lower() in EXTENSIONS)
    if not files:
        raise UserError(
            f"{folder / name} has no images; expected files ending in {', '.join(EXTENSIONS)}"
        )
    for file in files:
        _check(file, root)
    return files


def _cut(folder: Path, seed: int) -> tuple[list[str], Lists]:
    names = _class_folders(folder, folder)
    lists: Lists = {split: [] for split in SPLITS}
    for label, name in enumerate(names):
        files = _images(folder, name, folder)
        if len(files) < 3:
            raise UserError(f"{folder / name} has {len(files)} images; a split needs at least 3")
        for split, part in cut(len(files), name, seed).items():
            lists[split] += [(files[i], label) for i in part]
    return names, lists


def _read_split_folders(folder: Path) -> tuple[list[str], Lists]:
    names: list[str] = []
    lists: Lists = {}
    for directory in sorted(p for p in folder.iterdir() if p.is_dir()):
        split = SPLIT_FOLDERS.get(directory.name)
        if split is None:
            continue
        _check(directory, folder)
        classes = _class_folders(directory, folder)
        if names and classes != names:
            odd = sorted(set(classes) ^ set(names))
            raise UserError(f"{folder}: the splits have different classes: {', '.join(odd)}")
        names = classes
        lists[split] = [
            (file, label)
            for label, name in enumerate(names)
            for file in _images(directory, name, folder)
        ]
    return names, lists


def _read_split_file(folder: Path, split_file: Path) -> tuple[Sequence[str], Lists]:
    names, splits = parse_split(split_file)
    root = os.path.realpath(folder)
    lists: Lists = {}
    for split, entries in splits.items():
        lists[split] = [(folder / path, label) for path, label in entries]
        for path, _ in lists[split]:
            if not _inside(path, root):
                raise UserError(f"{split_file}: {one_line(path)} leads out of {folder}")
    return names, lists


def _read_class_names(path: Path, names: Sequence[str]) -> list[str]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: class names not read, {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: class names not read, it is no UTF-8 ({error})") from None
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if one_line(line) != line:
            raise UserError(f"{path}: the class name {brief(line)} has odd characters; mend it")
    if len(lines) != len(names):
        raise UserError(
            f"{path} lists {len(lines)} classes, the images have {len(names)}; it needs one line "
            f"for each of: {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}"
        )
    return lines


def _read_images(
    folder: Path, entries: Sequence[tuple[Path, int]], preprocessing: Preprocessing
) -> Split:
    shape = (len(entries), preprocessing.crop, preprocessing.crop, 3)
    with tqdm(entries, desc=str(folder), mininterval=5) as progress:  # closed on errors as well
        pictures = (read_image(path, preprocessing) for path, _ in progress)
        if math.prod(shape) <= IN_MEMORY:
            images: np.ndarray = np.empty(shape, np.uint8)  # a list would be a second copy
            for number, picture in enumerate(pictures):
                images[number] = picture
        else:
            images = _on_disk(pictures, shape)
    return Split(
        torch.from_numpy(images),
        torch.tensor([label for _, label in entries]),
        tuple(path.relative_to(folder).as_posix() for path, _ in entries),
    )


def _on_disk(pictures: Iterable[np.ndarray], shape: tuple[int, ...]) -> np.memmap:
    """Returns an array mapped from a file without a name, which goes when the process does."""
    where = data_dir() / "cache"
    try:
        where.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=where) as file:
            for picture in pictures:  # into a mapped file a full disk would be a crash
                file.write(np.ascontiguousarray(picture).data)
            file.flush()
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise UserError(
            f"{where}: {shape[0]:,} images, {gigabytes(math.prod(shape))}, do not go there "
            f"({error.strerror or error}); choose another disk with --data-dir, or fewer images"
        ) from None


def read_image(path: Path, preprocessing: Preprocessing) -> np.ndarray:
    """Returns the image file as uint8 RGB [crop, crop, 3]: resized, centre-cropped."""
    return preprocess(open_image(path), preprocessing)
