"""What the loaders of other people's archives share: fetching them, and refusing them in a line."""

from contextlib import contextmanager
from pathlib import Path

from vpbench.datasets import CorruptDataset, DatasetError, MissingDataset
from vpbench.weight_files import sha256


def fetch(name, url, path, known):
    """Returns `path` once it holds the file at `url`, whose SHA-256 is `known`.

    None: its publisher states no checksum. What is there already is only checked. Nothing lies at
    `path` before it is complete. Raises MissingDataset if it cannot be fetched, or is another file.
    """
    import pooch

    path = Path(path)
    known = known and f"sha256:{known}"
    try:
        pooch.retrieve(url, known, path.name, path.parent, progressbar=True)
    except (OSError, ValueError) as error:  # those of its HTTP library are OSErrors
        raise MissingDataset(
            f"{name}: {url} was not fetched ({first_line(error)}); try again, or put it at {path}"
        ) from None
    return path


def require(name, files):
    """Returns None if all `files` are there, else raises MissingDataset with the first that is not.

    Libraries would say the same of a missing file and of a damaged one.
    """
    for file in files:
        if not Path(file).is_file():
            raise MissingDataset(
                f"{name}: {file} is missing; get the dataset with: vpbench data download {name}"
            )


@contextmanager
def refusing(name, folder):
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


def first_line(error):
    """Returns the kind of an exception and the first line of what it says."""
    return ": ".join([type(error).__name__, *str(error).splitlines()[:1]])


def hashes(root, files):
    """Returns the SHA-256 of `files` by their paths below `root`."""
    return {Path(file).relative_to(root).as_posix(): sha256(file) for file in files}


def image(part, number):
    """Returns image `number` of `part`, a dataset of torchvision."""
    return part[number][0]
