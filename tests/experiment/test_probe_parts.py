"""A probe in two parts, features and regression, is the probe in one."""

import json
import re
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from tests.helpers.tiny import spec
from vpbench.cli.main import main
from vpbench.common.errors import UserError
from vpbench.data import load
from vpbench.experiment import probe_parts, run
from vpbench.records import reading
from vpbench.records.paths import record_path

PROBE = spec("linear_probe", C=[0.1, 1.0])


@pytest.fixture
def task():
    """Returns the task of the probe."""
    return load.load_task(PROBE["task"], PROBE["data"])


@pytest.fixture
def features(tmp_path, task, clip):
    """Returns the file of the features of the probe."""
    return probe_parts.extract(tmp_path / "features.safetensors", PROBE, task, clip)


def test_the_record_and_the_predictions_are_those_of_one_part(tmp_path, task, clip, features):
    whole, parts = record_path(PROBE, tmp_path / "whole"), record_path(PROBE, tmp_path / "parts")
    run.complete(whole, PROBE, task, clip)
    probe_parts.regress(parts, PROBE, task, features)
    one, two = reading.read(whole), reading.read(parts)
    assert one.keys() == two.keys() and one["measured"].keys() == two["measured"].keys()
    for record in (one, two):
        del record["measured"]
    assert two == one
    arrays = [np.load(path.with_suffix(".predictions.npz")) for path in (whole, parts)]
    assert all((arrays[0][name] == arrays[1][name]).all() for name in arrays[0].files)


def test_the_seconds_of_both_parts_count(tmp_path, task, features):
    with safe_open(features, "pt") as file:
        card = json.loads(file.metadata()["card"])
    card |= {"seconds": 1000.0}
    save_file(load_file(features), features, {"card": json.dumps(card)})
    path = probe_parts.regress(tmp_path / "seed0.json", PROBE, task, features)
    measured = reading.read(path)["measured"]
    assert 1000 < measured["seconds"] < 1060
    # 24 + 12 + 24 images were looked at
    assert measured["images_per_second"] == pytest.approx(60 / measured["seconds"])


def test_features_of_another_run_or_of_other_images_are_refused(tmp_path, task, features):
    out = tmp_path / "seed0.json"
    with pytest.raises(UserError, match=r"its settings\.standardize is False, the run's is True"):
        other = PROBE | {"settings": PROBE["settings"] | {"standardize": True}}
        probe_parts.regress(out, other, task, features)
    test = task.splits["test"]
    darker = replace(task, splits=task.splits | {"test": replace(test, images=test.images // 2)})
    with pytest.raises(UserError, match="the features of other images"):
        probe_parts.regress(out, PROBE, darker, features)
    assert not out.exists()


@pytest.mark.parametrize("content", [b"", b"half a file"])
def test_a_broken_file_of_features_is_one_line(tmp_path, task, content):
    path = tmp_path / "broken.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match="holds no features .*delete it and make it again"):
        probe_parts.regress(tmp_path / "seed0.json", PROBE, task, path)


def test_the_command_line_does_both_parts_of_a_probe_alone(tmp_path, capsys):
    features, out = tmp_path / "features.safetensors", record_path(PROBE, tmp_path)
    given = json.dumps(PROBE)
    assert main(["features", given, "--out", str(features), "--device", "cpu"]) == 0
    command = ["run", given, "--features", str(features), "--device", "cpu", "--out", str(out)]
    assert main(command) == 0
    assert reading.holds(out, PROBE)
    prompt = json.dumps(spec("visual_prompt"))
    assert main(["features", prompt, "--out", str(features), "--device", "cpu"]) == 2
    assert re.search("visual_prompt has no features of its own", capsys.readouterr().err)
