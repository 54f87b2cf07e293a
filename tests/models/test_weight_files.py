import hashlib
import time

import huggingface_hub
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.common.hashing import sha256
from vpbench.models import weight_files
from vpbench.models.weight_files import published

pytestmark = pytest.mark.usefixtures("weights")


@pytest.mark.parametrize(
    "name", ["rn18.safetensors", "rn18.pt", "rn18.pth", "rn18/model.safetensors"]
)
def test_a_file_in_the_weights_folder_is_found_by_its_backbone_or_its_own_name(weights, name):
    file = weights / name
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"x")
    assert weight_files.find(published("rn18")) == weight_files.find_here(published("rn18")) == file


def test_of_two_files_none_is_taken(weights):
    (weights / "rn18.pt").write_bytes(b"x")
    (weights / "rn18.safetensors").write_bytes(b"x")
    message = refused(UserError, weight_files.find, published("rn18"))
    holds(message, "rn18", weights / "rn18.safetensors", weights / "rn18.pt", "both", "keep")


def test_bit_m_with_a_zeroed_head_is_made_of_the_file_with_the_head(weights):
    file = weights / "bit_m_r50x1.safetensors"
    file.write_bytes(b"x")
    assert weight_files.find(published("bit_m_r50x1_zero_head")) == file


def test_a_file_in_the_cache_of_the_hub_is_taken_without_asking_the_hub(tmp_path, monkeypatch):
    asked = []

    def cached(repository, file):
        asked.append((repository, file))
        return str(tmp_path / "cached")

    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", cached)
    assert weight_files.find(published("rn50")) == tmp_path / "cached"
    assert asked == [("timm/resnet50.tv_in1k", "model.safetensors")]


def test_without_file_and_network_one_line_names_the_file_and_its_place(weights):
    started = time.perf_counter()
    message = refused(UserError, weight_files.find, published("clip_vit_b32"))
    assert time.perf_counter() - started < 2
    holds(message, "clip_vit_b32", "no weights here", "none from the hub")
    holds(message, "open_clip_model.safetensors", weights / "clip_vit_b32.safetensors")
    holds(message, "https://huggingface.co/timm/vit_base_patch32_clip_224.openai")


def test_a_hub_that_does_not_answer_is_asked_once(monkeypatch):
    asked = []

    def unreachable(url, timeout):
        asked.append((url, timeout))
        raise ConnectionError("no route to host\nand a traceback")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", unreachable)
    holds(refused(UserError, weight_files.find, published("rn18")), "rn18", "no route to host")
    ((url, timeout),) = asked
    assert url.endswith("timm/resnet18.tv_in1k/resolve/main/model.safetensors") and timeout == 5


def test_a_cache_that_cannot_be_written_is_no_fault_of_the_hub(monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied", "/home/nobody/.cache")

    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: None)
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    message = refused(UserError, weight_files.find, published("rn18"))
    holds(message, "rn18", "/home/nobody/.cache", "no permission", "HF_HOME")


def test_a_hub_that_answers_is_asked_for_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(huggingface_hub, "get_hf_file_metadata", lambda *_, **__: None)
    monkeypatch.setattr(
        huggingface_hub, "hf_hub_download", lambda repository, file: f"{tmp_path}/{file}"
    )
    assert weight_files.find(published("rn18")) == tmp_path / "model.safetensors"


def test_the_hash_is_the_sha256_of_the_file(tmp_path):
    (tmp_path / "file").write_bytes(b"weights")
    assert sha256(tmp_path / "file") == hashlib.sha256(b"weights").hexdigest()


STATE = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}


def same(state):
    """Returns whether `state` is STATE."""
    return state.keys() == STATE.keys() and all(torch.equal(state[k], STATE[k]) for k in STATE)


def test_safetensors_and_both_kinds_of_pickles_of_tensors_are_read(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    torch.save(STATE, tmp_path / "b.pt")
    torch.save({"epoch": 3, "state_dict": STATE}, tmp_path / "c.pth")
    for name in ("a.safetensors", "b.pt", "c.pth"):
        assert same(weight_files.read(tmp_path / name))


def test_half_of_a_safetensors_file_is_refused(tmp_path):
    save_file(STATE, tmp_path / "a.safetensors")
    data = (tmp_path / "a.safetensors").read_bytes()
    (tmp_path / "a.safetensors").write_bytes(data[: len(data) // 2])
    message = refused(UserError, weight_files.read, tmp_path / "a.safetensors")
    holds(message, tmp_path / "a.safetensors", "not a whole", "download it again")


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_a_torchscript_archive_is_refused(tmp_path):
    torch.jit.save(torch.jit.trace(nn.Linear(3, 2), torch.ones(1, 3)), tmp_path / "a.pt")
    message = refused(UserError, weight_files.read, tmp_path / "a.pt")
    holds(message, tmp_path / "a.pt", "TorchScript", "program")


def test_a_pickle_with_a_class_in_it_is_refused_and_nothing_of_it_runs(tmp_path):
    ran = tmp_path / "ran"

    class Touch:
        def __reduce__(self):
            return open, (str(ran), "w")

    torch.save({"state_dict": STATE, "args": Touch()}, tmp_path / "a.pt")
    message = refused(UserError, weight_files.read, tmp_path / "a.pt")
    holds(message, tmp_path / "a.pt", "not a file of plain tensors", "open")
    assert not ran.exists()


@pytest.mark.parametrize("document", [{"epoch": 1}, {}, [torch.ones(1)], torch.ones(1)])
def test_a_pickle_without_a_state_dict_is_refused(tmp_path, document):
    torch.save(document, tmp_path / "a.pt")
    holds(refused(UserError, weight_files.read, tmp_path / "a.pt"), "a.pt", "not a state dict")


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>", b"PK\x03\x04 half an archive"])
def test_what_is_no_file_of_torch_is_refused(tmp_path, data):
    (tmp_path / "a.pt").write_bytes(data)
    holds(refused(UserError, weight_files.read, tmp_path / "a.pt"), "a.pt", "not opened")


def test_a_model_is_filled_with_the_tensors_of_the_file(tmp_path):
    model = weight_files.fill(nn.Linear(3, 2), {k: v.half() for k, v in STATE.items()}, "file")
    assert same(model.state_dict()) and model.weight.dtype == torch.float32


def test_old_files_without_batch_counters_and_with_a_temperature_in_a_vector_are_complete():
    model = nn.BatchNorm1d(2)
    state = {key: value + 1 for key, value in model.state_dict().items()}
    del state["num_batches_tracked"]
    weight_files.fill(model, state, "file")
    assert model.running_var.tolist() == [2, 2]

    model = nn.Module()
    model.logit_scale = nn.Parameter(torch.tensor(1.0))
    weight_files.fill(model, {"logit_scale": torch.tensor([4.0])}, "file")
    assert model.logit_scale.item() == 4


@pytest.mark.parametrize(
    ("changes", "facts"),
    [
        ({"weight": None}, ("lacks", "weight")),
        ({"weight": None, "bias": None}, ("lacks", "weight", "1 more")),
        ({"scale": torch.ones(1)}, ("unknown", "scale")),
        ({"weight": torch.ones(5, 3)}, ("weight", "[5, 3]", "expected [2, 3]")),
    ],
)
def test_tensors_of_another_model_are_refused_by_name(changes, facts):
    state = {key: value for key, value in (STATE | changes).items() if value is not None}
    message = refused(UserError, weight_files.fill, nn.Linear(3, 2), state, "file")
    holds(message, "file", "another model", *facts)
