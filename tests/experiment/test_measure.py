import json

import numpy as np
import pytest
import torch

from tests.helpers.tiny import DATA, spec
from vpbench.cli import main
from vpbench.common.errors import RecordError
from vpbench.experiment import run
from vpbench.experiment.measure import measure_all
from vpbench.experiment.provenance import commit
from vpbench.records import reading
from vpbench.spec.measurements import MEASUREMENTS, Measurement

MODULE = '''
"""Counts the test images and the prompts it was given."""

import numpy as np

from vpbench.experiment.measurements.measured import Measured


def measure(load, settings, runs, device):
    """Returns the counts."""
    task = load(None)
    rows = [{"images": len(task.splits["test"]), "prompts": len(runs), "file": runs[0]["file"]}]
    return Measured(task, rows, {"twice": np.array([2 * settings["weight"]])})
'''


@pytest.fixture
def counting(tmp_path, monkeypatch):
    """Returns a function run specs -> the spec of a measurement that a module of ours makes."""
    (tmp_path / "counting.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    legal = {"weight": {"type": "integer"}}
    entry = Measurement("counting", legal, reads_prompts=True)
    monkeypatch.setitem(MEASUREMENTS, "counting", entry)

    def made(*read, **settings):
        facts = {"scale": "lab", "kind": "twins", "measurement": "counting", "task": "eurosat_twin"}
        return facts | {"data": DATA, "settings": {"weight": 3} | settings, "runs": list(read)}

    return made


@pytest.fixture
def prompt(tmp_path):
    """Returns the spec of a run whose record is there."""
    one = spec("text_prompt")
    list(run.run_all([one], tmp_path / "runs"))
    return one


def measure(wanted, folder):
    """Returns the records of measurements."""
    device = torch.device("cpu")
    paths = measure_all(wanted, folder / "runs", folder / "measurements", device)
    return reading.load(list(paths))


def test_a_measurement_is_one_module_and_one_line(counting, prompt, tmp_path):
    (record,) = measure([counting(prompt)], tmp_path)
    file = tmp_path / "runs/lab/eurosat_twin/clip_micro/text_prompt/default/seed0.json"
    assert record["rows"] == [{"images": DATA["test"], "prompts": 1, "file": str(file)}]
    assert record["task"]["display"] == "EuroSAT twin"
    assert record["commit"] == commit()
    assert reading.arrays(record, "arrays")["twice"] == [6]
    assert record["file"] == str(tmp_path / "measurements/lab/counting/eurosat_twin.json")


def test_what_is_measured_already_is_not_measured_again(counting, prompt, tmp_path, capsys):
    measure([counting(prompt)], tmp_path)
    measure([counting(prompt)], tmp_path)
    assert capsys.readouterr().out.count("already there") == 1
    measure([counting(prompt, weight=4)], tmp_path)
    assert capsys.readouterr().out.count("already there") == 0


def test_a_measurement_of_another_recipe_is_refused(counting, prompt, tmp_path):
    other = prompt | {"settings": prompt["settings"] | {"text_prompt": "{}"}}
    with pytest.raises(RecordError, match="text_prompt is None, but '{}' is asked"):
        measure([counting(other)], tmp_path)


def test_a_measurement_without_its_run_names_the_file(counting, tmp_path):
    with pytest.raises(RecordError, match="seed0.json: not read, No such file"):
        measure([counting(spec("text_prompt"))], tmp_path)


def test_a_setting_that_no_measurement_has_is_refused_in_one_line(counting, prompt, tmp_path):
    with pytest.raises(ValueError, match=r"unknown key 'height'; did you mean weight\?"):
        measure([counting(prompt, height=4)], tmp_path)


def test_the_command_writes_a_manifest_that_the_analyses_read(counting, prompt, tmp_path):
    wanted, out = [counting(prompt)], tmp_path / "measurements/lab/counting/all.manifest.json"
    places = ["--runs", tmp_path / "runs", "--measurements", tmp_path / "measurements"]
    arguments = ["measure", json.dumps(wanted), *places, "--out", out]
    assert main.main(list(map(str, arguments))) == 0
    (record,) = reading.load([out], digests={str(out): reading.digest(wanted)})
    assert record["rows"][0]["prompts"] == 1
    other = {str(out): reading.digest([counting(prompt, weight=9)])}
    with pytest.raises(RecordError, match="made from another configuration"):
        reading.load([out], digests=other)


def test_examples_show_the_prompt_in_pixels_as_a_file_would_hold_it(tmp_path):
    (path,) = run.run_all([spec()], tmp_path)
    (record,) = reading.load([path])
    shown = reading.arrays(record, "examples")
    assert shown["images"].shape == shown["prompted"].shape == (4, 56, 56, 3)
    assert len(set(shown["labels"])) == 4
    assert shown["canvas"].shape == (3, 56, 56)
    inside = shown["canvas"][:, 7:-7, 7:-7]
    assert (inside == 0).all()
    pixels = shown["images"] / 255 + shown["canvas"].transpose(1, 2, 0)
    expected = np.clip(pixels, 0, 1) * 255
    assert np.abs(shown["prompted"] - expected).max() <= 0.5 + 1e-3


def test_a_side_file_that_is_missing_is_named(tmp_path):
    (path,) = run.run_all([spec("text_prompt")], tmp_path)
    (record,) = reading.load([path])
    with pytest.raises(RecordError, match="seed0.examples.npz is missing"):
        reading.arrays(record, "examples")
