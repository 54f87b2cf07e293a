"""The files that say which image is in which split: CoOp's, and the lists of Resisc45.

They are taken as published, by their SHA-256. None is ever made up silently; see `coop_rule` for
a split drawn anew.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.common.messages import brief, first_line, one_line
from vpbench.data.datasets.archives import fetch
from vpbench.data.datasets.source import CorruptDataset, MissingDataset
from vpbench.spec import made_up

Entries = list[tuple[str, int]]  # path and label of each image of a split
# Of a file in CoOp's format; it says val, and some people say validation
KEYS = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
DRAWN = "regenerated"  # the key under which a split drawn anew says how


class SplitFile(NamedTuple):
    """A published file: its name, where it is fetched from, and its SHA-256."""

    file: str
    url: str
    sha256: str


_DRIVE = "https://drive.google.com/uc?export=download&id="
# A copy under a fixed revision; the authors' own address is
# https://storage.googleapis.com/remote_sensing_representations/
_LISTS = (
    "https://huggingface.co/datasets/torchgeo/resisc45/resolve/"
    "a826b44d938a883185f11ebe3d512d38b464312f/"
)
# CoOp's file identifiers are those of its DATASETS.md. Five of its hashes were computed from the
# files. Those of Food101 and SUN397 are as registered in a public repository (dczyjh/HAPR-LAPR),
# whose other five agree; its length of the SUN397 file is exact to the byte.
SPLIT_FILES = {
    "flowers102": (
        SplitFile(
            "split_zhou_OxfordFlowers.json", _DRIVE + "1Pp0sRXzZFZq15zVOzKjKBu4A9i01nozT",
            "2f50c42fc1a17ca13c271cb4269b1347bdb43d2be672e34f74a4e4cbfbcca794",
        ),
    ),
    "food101": (
        SplitFile(
            "split_zhou_Food101.json", _DRIVE + "1QK0tGi096I0Ba6kggatX1ee6dJFIcEJl",
            "7c3d456c4f348255e1a363e0ea5118318936488f3ec20d83758e0ee67cb9037c",
        ),
    ),
    "eurosat": (
        SplitFile(
            "split_zhou_EuroSAT.json", _DRIVE + "1Ip7yaCWFi0eaOFUGga0lUdVi_DDQth1o",
            "541503a77d0b26b735d85ec7a3e672804fe0aa466c2e5f07da772cc6c0af8ad2",
        ),
    ),
    "sun397": (
        SplitFile(
            "split_zhou_SUN397.json", _DRIVE + "1y2RD81BYuiyvebdN-JymPfyWYcd8_MUq",
            "9847f9ef611008073ac42adee6614bbb83f877cfbcfbd3115fc8284e0c8c1c47",
        ),
    ),
    "ucf101": (
        SplitFile(
            "split_zhou_UCF101.json", _DRIVE + "1I0S0q91hJfsV9Gf4xDIjgDq4AqBNJb1y",
            "d78cb834f7c5792ceaff2c5ee2d7c76a9e4086e48a3a6b01232989d29cbefdd8",
        ),
    ),
    "oxfordpets": (
        SplitFile(
            "split_zhou_OxfordPets.json", _DRIVE + "1501r8Ber4nNKvmlFVQZ8SeUHTcdTTEqs",
            "d7f3ffe65b3919f95132e51422894ae18686b83c331fd8c0adcdc3dc2de6301e",
        ),
    ),
    "dtd": (
        SplitFile(
            "split_zhou_DescribableTextures.json", _DRIVE + "1u3_QfB467jqHgNXC00UIzbLZRQCg2S7x",
            "f26ebeccd2b58e68d70f07a0dc39fe49bf7b69024bac34396b954dfd87969c38",
        ),
    ),
    "resisc45": (  # in the order train, validation, test
        SplitFile(
            "resisc45-train.txt", _LISTS + "resisc45-train.txt",
            "ecfa963be4d85eac83665f8be8634abcb4fe6f3546472cc0e87999e2cab4449b",
        ),
        SplitFile(
            "resisc45-val.txt", _LISTS + "resisc45-val.txt",
            "08d81f642526bec240589000af7f49a47e8d071a6e7925b0f36246a78ab64342",
        ),
        SplitFile(
            "resisc45-test.txt", _LISTS + "resisc45-test.txt",
            "e0927e80130b47317a2f18520d98382b6fc56f0d3edd3345140f7d02267c3805",
        ),
    ),
}  # fmt: skip


def find_split_file(split_file: SplitFile, root: Path, folders: Iterable[Path]) -> Path | None:
    """Returns the path of a published file, in one of `folders` or in `root`/splits, or None."""
    paths = (folder / split_file.file for folder in (*folders, root / "splits"))
    return next((path for path in paths if path.is_file()), None)


def published_path(name: str, split_file: SplitFile, root: Path, folders: Iterable[Path]) -> Path:
    """Returns the path of a published file; it must be there, and unchanged."""
    path = find_split_file(split_file, root, folders)
    if path is None:
        raise MissingDataset(
            f"{name}: {split_file.file} is missing; get it with: vpbench data download {name}, or "
            f"put {split_file.url} at {root / 'splits' / split_file.file}"
        )
    actual, expected = sha256(path), made_up.checksum(name, split_file.file, split_file.sha256)
    if actual != expected:
        raise CorruptDataset(
            f"{name}: {path} is not the published file, its SHA-256 is {actual}, expected "
            f"{expected}; remove it and run: vpbench data download {name}"
        )
    return path


def parse_split(path: str | Path) -> tuple[tuple[str, ...], dict[str, Entries]]:
    """Returns (class names, split -> [(path, label), ...]) of a file in CoOp's format.

    The names are taken from all splits. Raises CorruptDataset in one line for anything else.
    """
    splits: dict[str, Entries] = {}
    named: dict[int, str] = {}
    try:
        document = strict_json.parse_json(Path(path).read_bytes())
        document.pop(DRAWN, None)
        for key, rows in document.items():
            entries = splits.setdefault(KEYS[key], [])
            for file, label, class_name in rows:
                if not isinstance(label, int | str):
                    raise TypeError(f"{brief(label)} is no label")
                for text in (file, class_name):
                    if not isinstance(text, str) or one_line(text) != text or not text.strip():
                        raise TypeError(f"{brief(text)} is no path or name in one line")
                number = int(label)
                entries.append((file, number))
                if (name := named.setdefault(number, class_name)) != class_name:
                    raise UserError(f"class {number} has two names, {name}, {class_name}")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
        raise CorruptDataset(
            f"{path} is not a split file ({kind}{first_line(error)}); expected JSON: "
            '{"train": [["class/image.jpg", 0, "class"], ...], "val": [...], "test": [...]}'
        ) from None
    if sorted(named) != list(range(len(named))):
        raise CorruptDataset(f"{path}: the labels must be 0 to {len(named) - 1} without gaps")
    return tuple(named[label] for label in range(len(named))), splits


def fetch_split_files(name: str, root: Path, folders: Sequence[Path]) -> None:
    """Fetches those of the published files of a dataset that are not there, and checks all.

    Raises MissingDataset in one line if they cannot be fetched.
    """
    for split_file in SPLIT_FILES[name]:
        if find_split_file(split_file, root, folders) is None:
            fetch(name, split_file.url, root / "splits" / split_file.file, split_file.sha256)
        published_path(name, split_file, root, folders)
