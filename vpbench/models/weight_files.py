"""Where the weights of a backbone come from: a file put in the weights folder, or the hub.

A file is read only if it holds plain tensors; nothing in it is ever executed.
"""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from vpbench.common import paths
from vpbench.common.errors import UserError
from vpbench.common.messages import first_line, not_written, one_line
from vpbench.spec import made_up
from vpbench.spec.backbones import BACKBONES

if TYPE_CHECKING:  # `vpbench plan` asks where weights are, and starts without torch
    from torch import Tensor, nn

Model = TypeVar("Model", bound="nn.Module")
SUFFIXES = (".safetensors", ".pt", ".pth")
PATIENCE = 5  # seconds for the hub's first answer; its own client would retry for half a minute


class Published(NamedTuple):
    """Weights that lie on the hub: of which backbone, and in which file of which repository."""

    name: str
    stem: str  # how a file that is put in the weights folder by hand is called, without its suffix
    repository: str
    file: str

    @property
    def local_names(self) -> list[Path]:
        """The paths at which a weight file put there by hand is looked for."""
        folder = paths.weights_dir()
        return [
            *(folder / (self.stem + suffix) for suffix in SUFFIXES),
            folder / self.stem / self.file,
        ]

    @property
    def where_to_put(self) -> str:
        """What to do by hand, for people."""
        page = f"https://huggingface.co/{self.repository}"
        return f"put {self.file} of {page} at {self.local_names[0]}"


def published(name: str) -> Published:
    """Returns the weights of the backbone `name` of the catalogue, which are on the hub.

    Backbones made of the same file (BiT-M with its head and with a zeroed one) share the name of
    the first of them.
    """
    hub = BACKBONES[name].hub or ""
    stem = next(other for other, entry in BACKBONES.items() if entry.hub == hub)
    repository, _, file = hub.rpartition("/")
    return Published(name, stem, repository, file)


def find(wanted: Published) -> Path:
    """Returns the path of published weights, fetched from the hub if need be.

    Raises UserError in one line that names the file and where to put it.
    """
    path = find_here(wanted) or fetch(wanted)
    made_up.check_weights(path)
    return path


def find_here(wanted: Published) -> Path | None:
    """Returns the path of published weights on this machine, or None."""
    files = [path for path in wanted.local_names if path.is_file()]
    if len(files) > 1:
        listed = " and ".join(map(str, files))
        raise UserError(f"{wanted.name}: {listed} are both there; keep the one to use")
    if files:
        return files[0]
    # Late: the hub's client takes a while to load, and weights put here by hand need none of it.
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(wanted.repository, wanted.file)
    return Path(cached) if isinstance(cached, str) else None


def fetch(wanted: Published) -> Path:
    """Returns the path of published weights in the hub's cache, once they are there."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url  # late as above

    repository, file = wanted.repository, wanted.file
    try:
        get_hf_file_metadata(hf_hub_url(repository, file), timeout=PATIENCE)
        return Path(hf_hub_download(repository, file))
    except Exception as error:  # the errors of its HTTP library have no common base
        if isinstance(error, OSError) and error.filename:  # a file of this machine, and no network
            raise UserError(
                f"{wanted.name}: weights of the hub were not written to {error.filename}, "
                f"{not_written(error)}; set HF_HOME to a folder that can be written"
            ) from None
        raise UserError(
            f"{wanted.name}: no weights here, and none from the hub ({first_line(error)}); "
            f"{wanted.where_to_put}"
        ) from None


def read(path: Path) -> "dict[str, Tensor]":
    """Returns the tensors by name in a safetensors file or in a pickle of plain tensors.

    Raises UserError in one line for anything else.
    """
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_pickle(path)


def _read_safetensors(path: Path) -> "dict[str, Tensor]":
    from safetensors.torch import load_file  # late: it loads torch, see the top

    try:
        return load_file(path)
    except Exception as error:  # the file's own, or torch's of a kind of number it does not know
        raise UserError(
            f"{path} is not a whole safetensors file ({first_line(error)}); copy or download it "
            "again"
        ) from None


def _read_pickle(path: Path) -> "dict[str, Tensor]":
    document = load_plain(path)
    state = document.get("state_dict", document) if isinstance(document, dict) else None
    if not is_state(state) or not state:
        raise UserError(f"{path} is not a state dict: expected tensors by name")
    return dict(state)


def is_state(state: object) -> bool:
    """Returns whether `state` is a dict of names and tensors that are arrays in memory."""
    import torch  # late, see the top

    return isinstance(state, dict) and all(
        isinstance(name, str)
        and isinstance(value, torch.Tensor)
        and (value.layout, value.device.type) == (torch.strided, "cpu")
        and not (value.is_quantized or value.is_complex())
        and not value.is_nested
        for name, value in state.items()
    )


def load_plain(path: Path) -> Any:
    """Returns what torch.save wrote into a file: tensors, numbers and texts, nothing executed."""
    import torch  # late, see the top

    try:
        if not is_torchscript(path):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # readers of damaged files raise anything at all
        raise UserError(
            f"{path} is not opened: it is not a file of plain tensors ({_cause(error)})"
        ) from None
    raise UserError(
        f"{path} is a TorchScript archive, which is a program and not only weights; "
        "take the safetensors file of the same weights from the hub"
    )


def _cause(error: BaseException) -> str:
    """Returns the part of torch's long explanation that says what was wrong."""
    _, mark, cause = str(error).rpartition("WeightsUnpickler error: ")
    return first_line(cause if mark and cause else error)


def is_torchscript(path: Path) -> bool:
    """Returns whether the file is an archive of torch.jit.save."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def fill(model: Model, state: "dict[str, Tensor]", path: str | Path) -> Model:
    """Returns `model` with the tensors of `state`, which must be all of its own and no others.

    Files of old torch versions lack the batch counters of batch normalisation, which nothing reads
    here. `path` is only named in a message. Raises UserError at any other tensors.
    """
    expected = model.state_dict()
    state = {
        key: value.reshape(expected[key].shape)
        if key in expected and value.numel() == expected[key].numel() == 1
        else value
        for key, value in state.items()
    }  # a temperature may be stored as a vector of one
    missing = [k for k in expected if k not in state and not k.endswith("num_batches_tracked")]
    unknown = [key for key in state if key not in expected]
    misshapen = [k for k in state if k in expected and state[k].shape != expected[k].shape]
    for keys, problem in ((missing, "lacks"), (unknown, "has, unknown to the model,")):
        if keys:
            more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
            raise UserError(f"{path} is of another model: it {problem} {one_line(keys[0])}{more}")
    if misshapen:
        key = misshapen[0]
        raise UserError(
            f"{path} is of another model: {key} is {list(state[key].shape)}, "
            f"expected {list(expected[key].shape)}"
        )
    check_finite(state, path)
    model.load_state_dict(state)
    return model


def check_finite(state: "dict[str, Tensor]", path: str | Path) -> None:
    """Raises UserError if a tensor of a weight file holds values that are not finite."""
    for key, value in state.items():
        if value.is_floating_point() and not value.float().isfinite().all():
            raise UserError(f"{path} is damaged: {one_line(key)} holds values that are not finite")
