"""The device and the threads that a verb computes with."""

import os
import sys
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from vpbench.common.errors import UserError
from vpbench.compute import gpu, memory

if TYPE_CHECKING:  # which takes seconds to load, and not before GPUs are claimed: see vpbench.cli
    import torch

ON_A_GPU = ("paper",)  # kinds of scale that are not computed on a CPU unless somebody says so


def claim_gpus(count: int) -> None:
    """Lets this process see only GPUs that are its own, if the machine has any.

    Where torchrun has started this process, it uses the GPU of its number among all it sees.
    """
    if "LOCAL_RANK" not in os.environ:
        gpu.claim(max(1, count))


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
    from vpbench.compute.device import check_device

    device = check_device(name)
    if device.type == "cpu":
        memory.keep_freed()
    return device


def announce_device(name: str, specs: Collection[dict[str, Any]] = ()) -> "torch.device":
    """Returns the same for what `specs` ask for, once the first line of the log says what it is.

    Raises UserError if no GPU is there for a spec of a kind that wants one, unless `name` is cpu.
    """
    from vpbench.compute.device import without_gpu

    device = check_device(name)
    unasked = device.type == "cpu" and name == "auto"
    kinds = sorted({spec["kind"] for spec in specs} & set(ON_A_GPU)) if unasked else []
    if kinds:
        raise UserError(
            f"kind {kinds[0]} wants a GPU: {without_gpu()}; to compute on the CPU all the same say "
            "--device cpu, in the workflow --config device=cpu"
        )
    line = described(device, specs)
    if unasked and (ids := gpu.visible()):
        line += f"; GPU {', '.join(ids)} is listed here but torch sees none: {without_gpu()}"
    if os.environ.get("RANK", "0") == "0":  # once for a run that several processes share
        print(f"device: {line}", file=sys.stderr, flush=True)
    return device


def described(device: "torch.device", specs: Collection[dict[str, Any]]) -> str:
    """Returns what a log says of a device: its name, the GPUs seen, torch, precision, processes."""
    import torch

    from vpbench.experiment.provenance import device_name, processor

    name = processor() if device.type == "cpu" else device_name(device)
    parts = [f"{device} ({name})"]
    if device.type == "cuda":
        parts.append(f"GPU {', '.join(gpu.visible())}")
    parts.append(f"torch {torch.__version__}")
    engines = [spec.get("engine", {}) for spec in specs] or [{}]
    parts += sorted({engine.get("precision", "fp32") for engine in engines})
    count = int(os.environ.get("WORLD_SIZE", 1))
    return ", ".join(parts + ([f"{count} processes"] if count > 1 else []))
