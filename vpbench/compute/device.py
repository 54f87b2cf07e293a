"""The device that is asked for, and why torch sees no GPU where it sees none."""

import os
import warnings

import torch

from vpbench.common.errors import UserError
from vpbench.common.messages import brief, first_line
from vpbench.common.paths import DEVICES

REFUSALS = (RuntimeError, AssertionError, NotImplementedError, TypeError)  # torch's, of a device


def check_device(name: str | torch.device) -> torch.device:
    """Returns the torch.device `name`, ready to compute on; auto is cuda if there is one, else cpu.

    Raises UserError if it cannot be used here.
    """
    if not isinstance(name, str | torch.device):
        raise UserError(f"device {brief(name)}: expected a name; choose {DEVICES}")
    name = str(name)
    if name == "auto":
        name = "cuda" if sees_gpu() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        torch.zeros(1, device=name).item()  # which meta, a device without numbers, refuses too
    except REFUSALS as error:
        raise UserError(
            f"device {brief(name)}: not usable here ({first_line(error)}); choose {DEVICES}"
        ) from None
    return torch.device(name)


def sees_gpu() -> bool:
    """Returns whether torch can compute on a GPU."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a driver that is too old: `without_gpu` says so
        return torch.cuda.is_available()


def without_gpu() -> str:
    """Returns why torch sees no GPU, with the remedy."""
    version = f"torch {torch.__version__}"
    if torch.version.cuda is None and torch.version.hip is None:
        return f"{version} is built for CPUs only; install a torch that is built for CUDA"
    try:
        torch.cuda.init()
    except REFUSALS as error:
        reason = first_line(error).rstrip(".")
    else:
        reason = "no reason is given"
    built = f"CUDA {torch.version.cuda}" if torch.version.cuda else f"ROCm {torch.version.hip}"
    return (
        f"{version}, built for {built}, says: {reason}; "
        "update the driver, or install a torch that is built for the driver's version"
    )
