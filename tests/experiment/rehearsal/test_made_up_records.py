import json

import numpy as np
import pytest

from analysis.common.scales import scale_of
from tests.helpers.checkout import read_config
from tests.helpers.messages import holds
from tests.helpers.refused import refused
from vpbench.common import atomic_files
from vpbench.common.errors import RecordError
from vpbench.experiment.rehearsal import full_size, made_up_measurements, made_up_records
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.spec.grid import expand, measurement_files


@pytest.fixture(scope="module")
def wanted():
    """Returns the grid of the paper, as a rehearsal of it."""
    return expand(full_size.of_records(read_config("paper")), "given.yaml")


def find(wanted, **facts):
    """Returns the first spec of the grid with these facts."""
    specs = wanted.specs.values()
    return next(spec for spec in specs if all(spec[key] == facts[key] for key in facts))


def written(spec, runs):
    """Returns the record of a spec, written and read again."""
    made_up_records.write_all([spec], runs)
    path = record_path(spec, runs)
    return reading.read(path) | {"file": str(path)}


def test_a_made_up_record_is_as_large_as_the_paper_s_and_says_what_it_is(wanted, tmp_path):
    spec = find(wanted, task="camelyon17", method="visual_prompt", backbone="clip_vit_b32")
    record = written(spec, tmp_path / "runs")
    assert record["spec"]["kind"] == "rehearsal" and "made up" in record["backbone"]["origin"]
    assert len(record["history"]) == 1000 and record["rule"] == "best_validation"
    predictions = reading.arrays(record, "predictions")
    assert len(predictions["id"]) == len(set(predictions["id"])) == 85_054
    right = predictions["label"] == predictions["prediction"]
    test = record["selection"]["best_validation"]["test"]
    assert test["accuracy"] == pytest.approx(100 * right.mean()) and 10 < test["accuracy"] < 90
    assert set(predictions["group"]) == {"group 0", "group 1", "group 2"}
    assert record["trained_parameters"] == 69_840  # of a padding of 30 pixels
    right = predictions["validation_label"] == predictions["validation_prediction"]
    validation = record["selection"]["best_validation"]["validation"]
    assert len(right) == 34_904 and validation["accuracy"] == pytest.approx(100 * right.mean())


def test_runs_of_one_task_and_level_share_their_predictions_on_disk(wanted, tmp_path):
    specs = [spec for spec in wanted.specs.values() if spec["task"] == "cats_dogs"]
    made_up_records.write_all(specs, tmp_path / "runs")
    files = [record_path(spec, tmp_path / "runs") for spec in specs]
    by_level = {}
    for spec, file in zip(specs, files, strict=True):
        number = file.with_suffix(".predictions.npz").stat().st_ino
        by_level.setdefault(made_up_records.level_of(spec), set()).add(number)
    assert all(len(numbers) == 1 for numbers in by_level.values())


def test_a_dataset_without_a_validation_split_has_none(wanted, tmp_path):
    spec = find(wanted, task="clevr", method="linear_probe", backbone="rn50")
    record = written(spec, tmp_path / "runs")
    assert record["selection"]["last"]["validation"] is None and record["history"] == []


def test_the_prompt_of_one_pixel_changes_one_pixel():
    arrays = made_up_records.examples("fixed_patch", 1, 224, 0)
    changed = (arrays["canvas"] != 0).any(0)
    assert changed.sum() == 1 and changed[0, 0]
    frame = (made_up_records.examples("padding", 30, 224, 0)["canvas"] != 0).any(0)
    assert frame.sum() == 69_840 / 3


def test_measurements_have_a_row_for_each_prompt_and_condition(wanted, tmp_path):
    ((_, (spec,)),) = list(measurement_files(wanted, "deployability").items())[:1]
    made_up_measurements.write(spec, tmp_path)
    record = json.loads(record_path(spec, tmp_path).read_text())
    assert len(record["rows"]) == len(spec["runs"]) * (4 + 2 * 3)
    with np.load(record_path(spec, tmp_path).with_suffix(".arrays.npz")) as file:
        assert file["correct"].shape == (len(record["rows"]), 1000)


def test_an_analysis_refuses_measured_records_beside_made_up_ones(wanted, tmp_path):
    spec = find(wanted, task="clevr", method="linear_probe", backbone="rn50")
    made = written(spec, tmp_path / "runs")
    real = made | {"spec": spec | {"kind": "paper", "scale": "paper"}}
    holds(refused(RecordError, scale_of, [made, real]), "two scales", "rehearsal")


def test_no_reader_takes_both(wanted, tmp_path):
    spec = find(wanted, task="clevr", method="linear_probe", backbone="rn50")
    made = written(spec, tmp_path / "runs")
    real = made | {"spec": spec | {"kind": "paper", "scale": "paper"}}
    real = {key: value for key, value in real.items() if key != "file"}
    other = atomic_files.write(record_path(real["spec"], tmp_path / "runs"), real)
    line = refused(RecordError, reading.load, [made["file"], other])
    holds(line, made["file"], "is a rehearsal's", other)
    assert len(reading.load([other])) == len(reading.load([made["file"]])) == 1


def test_a_configuration_of_the_paper_refuses_a_made_up_record(wanted, tmp_path):
    spec = find(wanted, task="clevr", method="linear_probe", backbone="rn50")
    path = written(spec, tmp_path / "runs")["file"]
    real = expand(read_config("paper"), "given.yaml")
    (digest,) = (
        real.job_digests[file]
        for file, specs in real.jobs.items()
        if specs[0] | {"kind": "rehearsal", "scale": "rehearsal"} == spec
    )
    line = refused(RecordError, reading.load, [path], None, {path: digest})
    holds(line, "another configuration")
