import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.helpers.fake_records import record, spec, write_all
from tests.helpers.messages import complains, holds
from vpbench.common import atomic_files
from vpbench.common.errors import RecordError, UserError
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.records.schema import difference
from vpbench.spec.schema import SCHEMA

RECORD = record("eurosat_twin", "clip_micro", "visual_prompt", 71.2)

OF_A_PACKAGE = {
    "part": "template", "name": "mine.Vignette", "distribution": "mine", "version": "1",
    "file_sha256": "0" * 64, "state_sha256": None,
}  # fmt: skip


def stored(folder, *made):
    """Returns the manifests of `made` under `folder`."""
    return write_all(made or [RECORD], folder)


def load(*arguments, **options):
    """Returns the records as they were written, without the files they were read from."""
    found = reading.load(*arguments, **options)
    assert all(Path(record.pop("file")).is_file() for record in found)
    return found


def test_the_path_of_a_record_names_its_cell():
    path = record_path(spec("svhn_twin", "rn50_micro", "linear_probe", seed=2), "runs")
    assert path.as_posix() == "runs/lab/svhn_twin/rn50_micro/linear_probe/default/seed2.json"


def test_the_digest_ignores_the_order_of_keys_but_not_of_specs():
    first, second = {"a": 1, "b": [2]}, {"b": [2], "a": 1}
    assert reading.digest([first]) == reading.digest([second])
    assert reading.digest([first, {"a": 2}]) != reading.digest([{"a": 2}, first])


def test_the_digest_of_no_specs_is_the_sha256_of_an_empty_list():
    # printf '[]' | sha256sum
    expected = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    assert reading.digest([]) == expected


def test_a_record_comes_back_as_it_was_written(tmp_path):
    path = atomic_files.write(tmp_path / "deep" / "seed0.json", RECORD)
    assert reading.read(path) == RECORD
    assert [file.name for file in path.parent.iterdir()] == ["seed0.json"]


def test_numbers_of_numpy_are_stored_as_numbers_and_nan_as_null(tmp_path):
    path = atomic_files.write(
        tmp_path / "a.json", {"x": np.float32(0.5), "y": np.arange(2), "z": np.nan}
    )
    assert json.loads(path.read_text()) == {"x": 0.5, "y": [0, 1], "z": None}


@pytest.mark.parametrize(
    ("number", "reason"), [(28, "disk is full"), (13, "no permission to write")]
)
def test_a_failed_write_leaves_nothing_and_says_why(tmp_path, monkeypatch, number, reason):
    def fail(*_):
        raise OSError(number, "in other words")

    monkeypatch.setattr(os, "fsync", fail)
    with complains(UserError, "seed0.json", "not written", reason):
        atomic_files.write(tmp_path / "seed0.json", RECORD)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_keeps_the_earlier_record(tmp_path, monkeypatch):
    path = atomic_files.write(tmp_path / "seed0.json", RECORD)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(UserError):
        atomic_files.write(path, {"schema": 1})
    assert reading.read(path) == RECORD
    assert list(tmp_path.iterdir()) == [path]


def test_broken_json_is_refused_by_name(tmp_path):
    manifest = stored(tmp_path)
    broken = record_path(RECORD["spec"], tmp_path)
    broken.write_text(broken.read_text()[:100])
    with complains(RecordError, broken, "broken JSON"):
        reading.load(manifest)


def test_a_record_without_a_key_or_of_another_schema_is_refused_by_name(tmp_path):
    path = atomic_files.write(tmp_path / "a.json", RECORD | {"schema": SCHEMA + 1})
    with complains(RecordError, path, f"schema is {SCHEMA + 1}", SCHEMA):
        reading.read(path)
    atomic_files.write(path, {key: RECORD[key] for key in RECORD if key != "hashes"})
    with complains(RecordError, path, "lacks", "hashes"):
        reading.read(path)
    atomic_files.write(path, RECORD | {"task": {"display": "?"}})
    with complains(RecordError, path, "lacks", "task.published"):
        reading.read(path)
    atomic_files.write(path, [RECORD])
    with complains(RecordError, path, "not a JSON object"):
        reading.read(path)


def test_what_a_record_may_have_besides_is_read_and_checked(tmp_path):
    more = {
        "outside": [OF_A_PACKAGE],
        "processor": "EPYC",
        "commit": None,
    }
    path = atomic_files.write(tmp_path / "seed0.json", RECORD | more)
    assert reading.read(path) == RECORD | more
    for key, value, facts in (
        ("outside", [{"part": "template"}], ["outside.name"]),
        ("processor", 3, ["processor", 3]),
    ):
        atomic_files.write(path, RECORD | {key: value})
        with complains(RecordError, path, *facts):
            reading.read(path)


def test_a_record_of_a_part_that_is_not_installed_names_the_package(tmp_path):
    theirs = RECORD | {"spec": RECORD["spec"] | {"settings": {"template": "rings"}}}
    path = atomic_files.write(tmp_path / "seed0.json", theirs)
    with complains(RecordError, path, "template 'rings' is not known here; install the package"):
        reading.read(path)
    atomic_files.write(path, theirs | {"outside": [OF_A_PACKAGE]})
    with complains(RecordError, path, "template 'rings' is not known here; install 'mine 1'"):
        reading.read(path)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({}, None),
        ({"validation_label": [1, 0], "validation_prediction": [1, 1]}, None),
        ({"validation_label": [1, 0]}, "validation_prediction"),
        ({"validation_label": [1, 0], "validation_prediction": [1]}, "not lists of one length"),
    ],
)
def test_predictions_on_validation_may_be_there_but_not_by_halves(tmp_path, arrays, words):
    test = {"id": ["a", "b", "c"], "label": [0, 1, 2], "prediction": [0, 1, 1]}
    atomic_files.write_arrays(tmp_path / "seed0.predictions.npz", test | arrays)
    one = RECORD | {"file": str(tmp_path / "seed0.json")}
    if words is None:
        found = reading.arrays(one, "predictions")
        assert {key: list(values) for key, values in found.items()} == test | arrays
    else:
        with pytest.raises(RecordError, match=f"seed0.predictions.npz: not read, .*{words}"):
            reading.arrays(one, "predictions")


def test_the_first_differing_key_is_found_inside_the_settings():
    mine, other = {"seed": 0, "settings": {"lr": 40.0}}, {"seed": 0, "settings": {"lr": 20.0}}
    assert difference(mine, other) == ("settings.lr", 40.0, 20.0)
    assert difference({"settings": {}}, mine) == ("seed", "absent", 0)
    assert difference(mine, mine) is None


def test_a_record_of_other_settings_than_its_manifest_is_refused_by_name(tmp_path):
    made = record("eurosat_twin", "clip_micro", "visual_prompt", 71.2, settings={"lr": 40.0})
    manifest = stored(tmp_path, made)
    file = record_path(made["spec"], tmp_path)
    atomic_files.write(file, made | {"spec": made["spec"] | {"settings": {"lr": 20.0}}})
    listed = "40.0 in vision_language.main.manifest.json"
    with complains(RecordError, file, "settings.lr is 20.0", listed, "run it again"):
        reading.load(manifest)


def test_a_manifest_from_another_configuration_is_refused_by_name(tmp_path):
    (manifest,) = stored(tmp_path)
    right = reading.digest([RECORD["spec"]])
    assert load([manifest], digests={str(manifest): right}) == [RECORD]
    with complains(RecordError, manifest, "digest", right[:12]):
        reading.load([manifest], digests={str(manifest): "0" * 64})
    with complains(RecordError, manifest, "no digest"):
        reading.load([manifest], digests={})


def test_a_single_record_can_be_checked_by_the_digest_of_its_spec(tmp_path):
    path = atomic_files.write(tmp_path / "seed0.json", RECORD)
    digests = {str(path): reading.digest([RECORD["spec"]])}
    assert load([path], digests=digests) == [RECORD]
    with complains(RecordError, path, "digest"):
        reading.load([path], digests={str(path): "0" * 64})


def test_a_manifest_edited_by_hand_is_refused(tmp_path):
    (manifest,) = stored(tmp_path)
    document = json.loads(manifest.read_text())
    document["records"][0]["spec"]["seed"] = 1
    atomic_files.write(manifest, document)
    with complains(RecordError, manifest, "digest", "specs"):
        reading.load([manifest])


def test_a_missing_record_is_named_on_stderr_and_left_out(tmp_path, capsys):
    other = record("eurosat_twin", "clip_micro", "linear_probe", 50.0)
    manifest = stored(tmp_path, RECORD, other)
    gone = record_path(RECORD["spec"], tmp_path)
    gone.unlink()
    assert load(manifest) == [other]
    holds(capsys.readouterr().err, "warning", gone, "missing")


def test_a_moved_folder_reads_its_own_records(tmp_path):
    stored(tmp_path / "old")
    (tmp_path / "old").rename(tmp_path / "new")
    stored(tmp_path / "old", RECORD | {"device": "another"})
    found = reading.load((tmp_path / "new").rglob("*.manifest.json"))
    assert [one["device"] for one in found] == ["cpu"]


def test_a_record_given_twice_is_read_once(tmp_path):
    manifest = stored(tmp_path)
    file = record_path(RECORD["spec"], tmp_path)
    assert load([*manifest, file, *manifest]) == [RECORD]


@pytest.mark.parametrize(
    ("select", "kept"),
    [
        ({}, [0, 1, 2]),
        ({"tasks": ["svhn_twin"]}, [2]),
        ({"backbones": ["clip_micro"]}, [0, 1]),
        ({"methods": ["visual_prompt"], "variants": ["default"]}, [0]),
        ({"variants": ["wide"]}, [1]),
        ({"modality": "vision"}, [2]),
        ({"shift": True}, [1]),
        ({"shift": False, "modality": "vision_language"}, [0]),
    ],
)
def test_a_selection_keeps_its_slice(tmp_path, select, kept):
    made = [
        RECORD,
        record("fmow_twin", "clip_micro", "linear_probe", 40.0, variant="wide"),
        record("svhn_twin", "rn50_micro", "linear_probe", 30.0),
    ]
    assert load(stored(tmp_path, *made), select) == [made[index] for index in kept]


def test_a_selection_with_an_unknown_key_is_refused_with_the_legal_ones(tmp_path):
    with complains(RecordError, "unknown", "'method'", "choose", "tasks", "methods"):
        reading.load(stored(tmp_path), {"method": ["visual_prompt"]})
