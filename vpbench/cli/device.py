"""The device and the threads that a verb computes with."""

import os
import sys
from typing import TYPE_CHECKING

from vpbench.common.errors import UserError
from vpbench.common.messages import first_line
from vpbench.compute import gpu, memory

if TYPE_CHECKING:  # which takes seconds to load, and not before GPUs are claimed: see vpbench.cli
    import torch


def claim_gpus(count: int) -> None:
    """Lets this process see only GPUs that are its own, if the machine has any.

    Where torchrun has started this process, it uses the GPU of its number among all it sees.
    """
    if "LOCAL_RANK" not in os.environ:
        ids = gpu.claim(max(1, count))
        if ids:
            print(f"vpbench: may use GPU {', '.join(ids)}", file=sys.stderr, flush=True)


def limit_threads(count: int) -> None:
    """Lets torch and the BLAS of numpy and scipy use `count` threads from here on."""
    if count < 1:
        raise UserError(f"--threads {count}: choose 1 or more")
    count = max(1, count // int(os.environ.get("LOCAL_WORLD_SIZE", 1)))  # torchrun's processes
    # Read when the libraries load. Snakemake sets them to the threads a job claims, and with
    # --cores 8 on two processors a job claims four to be alone on its one.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    import torch

    torch.set_num_threads(count)


def check_device(name: str) -> "torch.device":
    """Returns the torch.device `name` (auto: cuda if there is one), ready to compute on."""
    import torch

    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', 0)}"
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UserError(
            f"--device {name}: not usable here ({first_line(error)}); try --device cpu"
        ) from None
    if name == "cpu":
        memory.keep_freed()
    return torch.device(name)
