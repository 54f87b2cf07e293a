"""Where this machine keeps datasets and weights; not part of any result."""

import os
from pathlib import Path


def data_dir() -> Path:
    """Returns the folder of the datasets and of their caches: VPBENCH_DATA, or data/."""
    return Path(os.environ.get("VPBENCH_DATA", "data"))


def weights_dir() -> Path:
    """Returns the folder of weight files put there by hand: VPBENCH_WEIGHTS, or weights/."""
    return Path(os.environ.get("VPBENCH_WEIGHTS", "weights"))


def use(data_dir: str | Path | None = None, weights_dir: str | Path | None = None) -> None:
    """Makes this process, and those it starts, use these folders from here on, if given."""
    for variable, folder in (("VPBENCH_DATA", data_dir), ("VPBENCH_WEIGHTS", weights_dir)):
        if folder is not None:
            os.environ[variable] = str(folder)
