"""Whatever stands in a record, a manifest, a card or beside them: it is used, or refused in a line.

Nothing in them is executed, and none of them makes us read another folder.
"""

import json
import zipfile
from hashlib import sha256

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.helpers import fake_dataset
from tests.helpers.fake_measurements import measurement
from tests.helpers.fake_records import record, write_all
from tests.helpers.hostile import (
    ODD_VALUES,
    WAYS,
    Planted,
    as_json,
    changed,
    damaged,
    examples,
    only_reads_below,
    value_or_line,
    watched,
)
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from tests.helpers.tiny import PADDING
from vpbench.cli import main
from vpbench.common import atomic_files, paths
from vpbench.common.errors import RecordError
from vpbench.data import cache
from vpbench.data.dataset import load_dataset
from vpbench.prompts.build import build_prompt
from vpbench.prompts.files import CARD, prompt_card, read_prompt, write_prompt
from vpbench.records import reading
from vpbench.records.paths import manifest, record_path
from vpbench.spec.dataset_facts import FACTS
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.tasks import TASKS
from vpbench.training.checkpoint import Checkpoint

RECORD = record("eurosat_twin", "clip_micro", "visual_prompt", 71.2)
OTHER = record("eurosat_twin", "clip_micro", "linear_probe", 50.0)
MANIFEST = manifest([RECORD["spec"], OTHER["spec"]])
SMALL = Preprocessing(8, 8)
STATE = {"step": 3, "values": torch.arange(4.0), "order": [2, 0, 1]}
ABOUT = {"spec": {"seed": 0}}


def shown(path):
    """Returns the record of a file that `vpbench show` can print, or None after a line."""
    found = value_or_line(lambda: reading.read(path), path)
    if found is not None:
        assert main.main(["show", str(path)]) == 0
    return found


@given(damaged(as_json(RECORD)))
@examples(80)
def test_a_damaged_record_is_read_or_refused_in_a_line(tmp_path, data):
    path = tmp_path / "seed0.json"
    path.write_bytes(data)
    shown(path)


@given(changed(RECORD))
@examples(200)
def test_a_record_with_odd_values_is_shown_or_refused_in_a_line(tmp_path, document):
    path = tmp_path / "seed0.json"
    path.write_bytes(as_json(document))
    found = shown(path)
    if found is not None:
        assert record_path(found["spec"], tmp_path).parents[5] == tmp_path


@given(st.data())
@examples(80)
def test_a_measurement_with_odd_values_is_shown_or_refused_in_a_line(tmp_path, data):
    path = measurement("transfer", "eurosat_twin", [{"accuracy": 1.0}], tmp_path, correct=[[True]])
    path.write_bytes(as_json(data.draw(changed(json.loads(path.read_text())))))
    shown(path)


def test_a_measurement_and_a_run_without_numbers_can_be_shown(tmp_path, capsys):
    path = measurement("transfer", "eurosat_twin", [{"accuracy": 1.0}], tmp_path)
    assert main.main(["show", str(path)]) == 0
    assert "1 rows, device: cpu" in capsys.readouterr().out
    diverged = json.loads(json.dumps(RECORD))
    diverged["selection"]["last"]["test"] |= {"nll": None, "ece": None}
    path = atomic_files.write(tmp_path / "seed0.json", diverged)
    assert main.main(["show", str(path)]) == 0
    assert "NLL -, ECE -)" in capsys.readouterr().out


@given(changed(MANIFEST), st.booleans())
@examples(150)
def test_a_manifest_with_odd_values_reads_its_own_folder_or_is_refused(tmp_path, document, same):
    write_all([record("dtd_twin", "clip_micro", "visual_prompt", 1.0)], tmp_path / "beside")
    folder = tmp_path / "runs"
    (path,) = write_all([RECORD, OTHER], folder)
    if same and isinstance(document, dict):  # somebody who knows how digests are made
        try:
            document["digest"] = reading.digest([entry["spec"] for entry in document["records"]])
        except (TypeError, KeyError, ValueError):
            pass
    path.write_bytes(as_json(document))
    with watched() as opened:
        value_or_line(lambda: reading.load([path]), path, folder)
    assert only_reads_below(folder, opened)


@given(ODD_VALUES)
@examples(40)
def test_an_odd_digest_that_is_asked_for_is_refused_in_a_line(tmp_path, expected):
    (path,) = write_all([RECORD, OTHER], tmp_path)
    value_or_line(lambda: reading.load([path], digests={str(path): expected}), path)


@given(damaged(as_json(MANIFEST)))
@examples(60)
def test_a_damaged_manifest_is_read_or_refused_in_a_line(tmp_path, data):
    (path,) = write_all([RECORD, OTHER], tmp_path)
    path.write_bytes(data)
    value_or_line(lambda: reading.load([path]), path, tmp_path)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("task", ".."),
        ("task", "/"),
        ("scale", "../.."),
        ("variant", "../../default"),
        ("variant", "default\n"),
        ("method", "../.."),
        ("backbone", ".."),
    ],
)
def test_a_spec_whose_record_would_lie_elsewhere_is_refused(tmp_path, key, value):
    spec = RECORD["spec"] | {key: value}
    path = atomic_files.write(tmp_path / "seed0.json", RECORD | {"spec": spec})
    assert str(path) in refused(RecordError, reading.read, path)


def test_a_manifest_named_from_within_its_folder_finds_its_records(tmp_path, monkeypatch):
    (path,) = write_all([RECORD], tmp_path / "runs")
    monkeypatch.chdir(path.parent)
    (found,) = reading.load([path.name])
    assert found["spec"] == RECORD["spec"]


def predictions(folder):
    """Returns the bytes of the predictions of a run."""
    values = {"id": ["a", "b", "c"], "label": [0, 1, 2], "prediction": [0, 1, 1]}
    path = atomic_files.write_arrays(folder / "seed0.predictions.npz", values)
    return path, path.read_bytes()


def arrays(path):
    """Returns the arrays of a side file, or None after a line."""
    about = {"file": str(path).replace(".predictions.npz", ".json")}
    return value_or_line(lambda: reading.arrays(about, "predictions"), path)


@given(st.data())
@examples(150)
def test_damaged_predictions_are_read_or_refused_in_a_line(tmp_path, data):
    path, content = predictions(tmp_path)
    path.write_bytes(data.draw(damaged(content)))
    found = arrays(path)
    if found is not None:
        assert found["label"].shape == found["prediction"].shape == found["id"].shape


@given(WAYS)
@examples(8)
def test_predictions_with_code_in_them_are_refused_and_nothing_of_it_runs(tmp_path, way):
    path, marker = tmp_path / "seed0.predictions.npz", tmp_path / "ran"
    values = np.array([Planted(way, marker)] * 3, dtype=object)
    np.savez(path, id=values, label=values, prediction=values)
    with watched():
        assert arrays(path) is None
    assert not marker.exists()


def test_an_array_that_claims_to_be_gigantic_is_refused_by_name(tmp_path):
    path, _ = predictions(tmp_path)
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**12,)}
    with zipfile.ZipFile(path, "w") as file:
        with file.open("label.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, header)
    assert arrays(path) is None


def test_a_side_file_that_would_fill_the_memory_is_refused_before_it_is_unpacked(
    tmp_path, monkeypatch
):
    path, _ = predictions(tmp_path)
    monkeypatch.setattr(reading, "LARGEST", 100)
    about = {"file": str(tmp_path / "seed0.json")}
    message = refused(RecordError, reading.arrays, about, "predictions")
    holds(message, path, "not read", "would take")


@pytest.fixture(scope="module")
def saved(tmp_path_factory, clip, task):
    """Returns (path, bytes, card) of a prompt that nobody trained."""
    prompt = build_prompt("padding", clip.image_size, 7)
    card = prompt_card(PADDING, clip, task, {"test": 50.0})
    path = write_prompt(tmp_path_factory.mktemp("prompt") / "prompt", prompt, {}, card)
    return path, path.read_bytes(), json.loads(path.with_suffix(".json").read_text())


def load_prompt(saved, clip, data=None, card=None):
    """Returns the prompt once the bytes and the card are at its place, or None after a line."""
    path, content, its_card = saved
    path.write_bytes(content if data is None else data)
    path.with_suffix(".json").write_bytes(as_json(its_card) if card is None else card)
    stored = value_or_line(lambda: read_prompt(path, clip), path.with_suffix(""))
    if stored is not None:
        assert stored.prompt.canvas().shape == (1, 3, clip.image_size, clip.image_size)
        assert set(CARD) <= set(stored.card)
    return stored


def test_a_prompt_that_was_left_alone_is_read(saved, clip):
    assert load_prompt(saved, clip) is not None


@given(st.data())
@examples(100)
def test_a_prompt_with_an_odd_card_is_read_or_refused_in_a_line(saved, clip, data):
    load_prompt(saved, clip, card=as_json(data.draw(changed(saved[2]))))


@given(st.data())
@examples(60)
def test_a_prompt_with_a_damaged_card_is_read_or_refused_in_a_line(saved, clip, data):
    load_prompt(saved, clip, card=data.draw(damaged(as_json(saved[2]))))


@given(st.data())
@examples(100)
def test_a_damaged_prompt_is_read_or_refused_even_if_its_card_has_its_hash(saved, clip, data):
    content = data.draw(damaged(saved[1]))
    card = saved[2] | {"sha256": sha256(content).hexdigest()}
    load_prompt(saved, clip, content, as_json(card))


@pytest.fixture(scope="module")
def made_cache(tmp_path_factory):
    """Returns (folder, contents) of a cache of the fake dataset, which stays registered."""
    with pytest.MonkeyPatch.context() as patch:
        name = fake_dataset.register(patch.setitem)
        root = tmp_path_factory.mktemp("data")
        patch.setenv("VPBENCH_DATA", str(root))
        fake_dataset.write_files(root)
        load_dataset(name, None, SMALL)
        folder = paths.data_dir() / "cache" / name / SMALL.key
        yield folder, {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def load_cache(made_cache, path, data):
    """Returns the task of the cache with other bytes in one of its files, or None after a line."""
    folder, contents = made_cache
    for other, content in contents.items():
        other.write_bytes(content)
    path.write_bytes(data)
    task = value_or_line(lambda: load_dataset(fake_dataset.NAME, None, SMALL), folder)
    if task is not None:
        for split in task.splits.values():
            assert len(split.images) == len(split.labels) == len(split.ids)
            assert split.labels.max() < len(task.class_names)
    return task


@given(st.data())
@examples(100)
def test_a_cache_with_an_odd_card_is_used_or_refused_in_a_line(made_cache, data):
    path = made_cache[0] / f"{data.draw(st.sampled_from(list(fake_dataset.SIZES)))}.json"
    load_cache(made_cache, path, as_json(data.draw(changed(json.loads(made_cache[1][path])))))


@given(st.data())
@examples(150)
def test_a_cache_with_a_damaged_file_is_used_or_refused_in_a_line(made_cache, data):
    files = [path for path in made_cache[1] if path.name != cache.LOCK]
    path = data.draw(st.sampled_from(sorted(files)))
    load_cache(made_cache, path, data.draw(damaged(made_cache[1][path])))


def test_a_cache_that_was_left_alone_is_used(made_cache):
    path = made_cache[0] / "train.json"
    assert load_cache(made_cache, path, made_cache[1][path]) is not None
    assert fake_dataset.NAME in TASKS and fake_dataset.NAME in FACTS


@given(st.data())
@examples(120)
def test_a_damaged_checkpoint_is_the_state_or_none(tmp_path, data):
    path = tmp_path / "seed0.pt"
    Checkpoint(path, 300, ABOUT).write(STATE)
    path.write_bytes(data.draw(damaged(path.read_bytes())))
    found = Checkpoint(path, 300, ABOUT).read()
    if found is not None:
        assert found.keys() == STATE.keys() and torch.equal(found["values"], STATE["values"])


@given(WAYS, st.booleans())
@examples(16)
def test_a_checkpoint_with_code_in_it_is_not_used_and_nothing_of_it_runs(tmp_path, way, sound):
    path, marker = tmp_path / "seed0.pt", tmp_path / "ran"
    content = {"step": Planted(way, marker)}
    if sound:  # with the checksum of its content
        Checkpoint(path, 300, ABOUT).write(content)
    else:
        torch.save({"about": ABOUT, "seconds": 0.0, "state": content}, path)
    with watched(allowed=("os.rename",)):
        assert Checkpoint(path, 300, ABOUT).read() is None
    assert not marker.exists()
