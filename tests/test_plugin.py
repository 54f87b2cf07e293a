"""The package in examples/plugin: installed, run as part of a workflow, and verified."""

import csv
import json
import os
import shutil
import subprocess
import sys

import pytest
import yaml

from tests.helpers.checkout import ROOT, command, copy_suite, environment
from vpbench.common.hashing import sha256

PLUGIN = ROOT / "examples/plugin"
YAML = PLUGIN / "vignette.yaml"
CONFIG = yaml.safe_load(YAML.read_text())
PARTS = {"visual_prompt": ["template"], "class_means": ["method"], "text_prompt": []}


@pytest.fixture(scope="module")
def plugin(tmp_path_factory):
    """Returns the folder that the package is installed in."""
    folder = tmp_path_factory.mktemp("plugin")
    shutil.copytree(PLUGIN, folder / "source")
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target")
    subprocess.run(
        [sys.executable, "-m", "pip", "install", *options, folder / "site", folder / "source"],
        check=True,
    )
    return folder / "site"


def python(plugin, folder, *line, succeeds=True):
    """Returns what a command prints in a copy of the suite, with the package."""
    variables = environment() | {"PYTHONPATH": str(plugin), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        line, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert (done.returncode == 0) == succeeds, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def finished(plugin, tmp_path_factory):
    """Returns a copy of the suite in which the configuration of the package was run."""
    folder = copy_suite(tmp_path_factory.mktemp("finished"))
    given = ("--configfile", YAML, "--", "all")
    python(plugin, folder, *command("--cores", 2, *given))
    return folder


def records(folder):
    """Returns the records of all runs."""
    return [
        json.loads(path.read_text()) for path in (folder / "results/runs").rglob("seed*[0-9].json")
    ]


@pytest.mark.slow
def test_all_parts_of_the_package_are_used_and_stand_in_the_records(finished, plugin):
    made = records(finished)
    cells = {(one["spec"]["method"], one["spec"]["backbone"]) for one in made}
    assert cells == {
        ("text_prompt", "clip_micro"),
        *(
            (name, each)
            for name in ("visual_prompt", "class_means")
            for each in CONFIG["backbones"]
        ),
    }
    for one in made:
        outside = {each["part"]: each for each in one.get("outside", ())}
        backbone = ["backbone"] if one["spec"]["backbone"] == "tiny_resnet" else []
        assert sorted(outside) == sorted(PARTS[one["spec"]["method"]] + backbone)
        for each in outside.values():
            assert (each["distribution"], each["version"]) == ("vpbench-vignette", "0.1.0")
            module = plugin / "/".join(each["name"].split(".")[:2])
            assert each["file_sha256"] == sha256(f"{module}.py")
            assert len(each["state_sha256"]) == 64
        if backbone:
            assert outside["backbone"]["state_sha256"] == one["hashes"]["weights"]
        if one["spec"]["method"] == "visual_prompt":
            assert outside["template"]["name"] == "vpbench_vignette.vignette.Vignette"
            assert one["trained_parameters"] == 3 * 7


@pytest.mark.slow
def test_the_csv_and_the_figure_have_what_the_package_brings(finished):
    with open(finished / "results/above_chance.csv", newline="") as file:
        rows = {tuple(row.values())[:3]: float(row["above_chance"]) for row in csv.DictReader(file)}
    for one in records(finished):
        spec = one["spec"]
        accuracy = one["selection"][one["rule"]]["test"]["accuracy"] - one["task"]["chance"]
        where = spec["task"], spec["backbone"], spec["method"]
        assert rows.pop(where) == pytest.approx(accuracy, abs=1e-3)
    assert not rows
    with open(finished / "results/methods.csv", newline="") as file:
        found = [row for row in csv.DictReader(file) if row["method"] == "class_means"]
    measured = {row["task"] for row in found if row["measured"]}
    assert measured == {"eurosat", "svhn", "those_run"}  # two of 15 datasets
    assert (finished / "results/figures/methods.png").read_bytes().startswith(b"\x89PNG")
    page = (finished / "results/report.html").read_text()
    assert "By how many percent of the test images each run beats guessing." in page


@pytest.mark.slow
def test_verify_reads_what_the_records_say_of_the_package(finished, plugin, tmp_path):
    own = shutil.copytree(finished, tmp_path / "own")
    check = (sys.executable, "-m", "vpbench", "verify", "results", "--configfile", YAML)
    python(plugin, own, *check)
    other = shutil.copytree(plugin, tmp_path / "site")
    with open(other / "vpbench_vignette/class_means.py", "a") as file:
        file.write("# another version\n")
    said = python(other, own, *check, succeeds=False)
    assert "outside: file_sha256 of method class_means is" in said
    assert "install vpbench-vignette 0.1.0 as it was, or run it again" in said


@pytest.mark.slow
def test_without_the_package_its_records_are_one_line_that_names_it(finished, tmp_path):
    path = next((finished / "results/runs").rglob("class_means/default/seed0.json"))
    line = (sys.executable, "-m", "vpbench", "show", path)
    said = python(os.devnull, finished, *line, succeeds=False)
    assert said.count("\n") == 1 and "install 'vpbench-vignette 0.1.0'" in said
