"""What the loaders of other people's archives share: fetching them, and refusing them in a line."""

import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from vpbench.common import messages
from vpbench.common.hashing import sha256
from vpbench.data.datasets.source import CorruptDataset, DatasetError, MissingDataset

GROWTH = 50  # times larger than an archive of images, and a table or two, what is in it may be
SLACK = 2**24  # bytes that what is in an archive may take in any case


def fetch(name: str, url: str, path: str | Path, checksum: str | None) -> Path:
    """Returns `path` once it holds the file at `url`, whose SHA-256 is `checksum`.

    None: its publisher states no checksum. What is there already is only checked. Nothing lies at
    `path` before it is complete. Raises MissingDataset if it cannot be fetched, or is another file.
    """
    import pooch  # only a download needs it, and every run of a folder imports this module

    path, known = Path(path), checksum and f"sha256:{checksum}"
    try:
        pooch.retrieve(url, known, path.name, path.parent, progressbar=True)
    except (OSError, ValueError) as error:  # those of its HTTP library are OSErrors
        raise MissingDataset(
            f"{name}: {url} was not fetched ({first_line(error)}); try again, or put it at {path}"
        ) from None
    return path


def require(name: str, files: Iterable[str | Path]) -> None:
    """Raises MissingDataset with the first of `files` that is not there, if one is not.

    Libraries would say the same of a missing file and of a damaged one.
    """
    for file in files:
        if not Path(file).is_file():
            raise MissingDataset(
                f"{name}: {file} is missing; get the dataset with: vpbench data download {name}"
            )


@contextmanager
def refusing(name: str, folder: str | Path) -> Iterator[None]:
    """Turns whatever a library complains of while it lasts into a CorruptDataset of one line."""
    try:
        yield
    except DatasetError:
        raise
    except Exception as error:  # readers of damaged files raise anything at all
        raise CorruptDataset(
            f"{name}: {folder} cannot be read ({first_line(error)}); remove it and get it again "
            f"with: vpbench data download {name}"
        ) from error


def first_line(error: BaseException) -> str:
    """Returns the kind of an exception and the first line of what it says."""
    kind = type(error).__name__
    return f"{kind}: {messages.first_line(error)}" if str(error).strip() else kind


def unpack(archive: Path, folder: Path) -> None:
    """Writes the files in the tar `archive` into `folder`.

    Raises tarfile.FilterError at a path that leads out of it, at a link, or where so many bytes
    come out that the archive was made to fill the disk.
    """
    left = SLACK + GROWTH * archive.stat().st_size

    def only_files(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        nonlocal left
        member = tarfile.data_filter(member, path)
        if not (member.isfile() or member.isdir()):
            raise tarfile.SpecialFileError(member)
        left -= member.size
        if left < 0:
            raise tarfile.FilterError(f"what is in it is more than {GROWTH} times larger")
        return member

    with tarfile.open(archive) as files:
        files.extractall(folder, filter=only_files)


def hashes(root: str | Path, files: Iterable[str | Path]) -> dict[str, str]:
    """Returns the SHA-256 of `files` by their paths below `root`."""
    return {Path(file).relative_to(root).as_posix(): sha256(file) for file in files}


def image(part: Any, number: int) -> Image.Image:
    """Returns image `number` of `part`, a dataset of torchvision."""
    return part[number][0]
