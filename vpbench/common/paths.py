"""What a machine says for itself: where datasets and weights are, and what it computes on.

It is no part of any result: another folder or device makes nothing again.
"""

import os
import re
from pathlib import Path

from vpbench.common.errors import UserError
from vpbench.common.messages import brief

DEVICE = r"^(auto|cpu|mps|cuda(:[0-9]+)?)\Z"  # names of devices
DEVICES = "auto, cpu, cuda, cuda:1 or mps"  # the same, for people


def data_dir() -> Path:
    """Returns the folder of the datasets and of their caches: VPBENCH_DATA, or data/."""
    return Path(os.environ.get("VPBENCH_DATA", "data"))


def weights_dir() -> Path:
    """Returns the folder of weight files put there by hand: VPBENCH_WEIGHTS, or weights/."""
    return Path(os.environ.get("VPBENCH_WEIGHTS", "weights"))


def device() -> str:
    """Returns the name of the device to compute on: VPBENCH_DEVICE, or auto."""
    return os.environ.get("VPBENCH_DEVICE") or "auto"


def known_device() -> str:
    """Returns the same; raises UserError if it is the name of no device."""
    name = device()
    if not re.match(DEVICE, name):
        raise UserError(f"VPBENCH_DEVICE is {brief(name)}, no device; choose {DEVICES}")
    return name


def placed(path: str | Path) -> Path:
    """Returns where a path in a configuration is: one in `data` or `weights` in those folders.

    So `data/imagenet/train` follows VPBENCH_DATA, as datasets do; other paths are what they are.
    """
    first, *rest = Path(path).parts or ("",)
    folder = {"data": data_dir, "weights": weights_dir}.get(first)
    return folder().joinpath(*rest) if folder else Path(path)


def use(
    data_dir: str | Path | None = None,
    weights_dir: str | Path | None = None,
    device: str | None = None,
) -> None:
    """Makes this process, and those it starts, use what is given from here on."""
    given = {"VPBENCH_DATA": data_dir, "VPBENCH_WEIGHTS": weights_dir, "VPBENCH_DEVICE": device}
    for variable, value in given.items():
        if value is not None:
            os.environ[variable] = str(value)
