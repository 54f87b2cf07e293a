"""Where and how people start it."""

import csv

import pytest

from tests.helpers.checkout import (
    copy_suite,
    plan,
    planned_jobs,
    read_config,
    snakemake,
    write_config,
)
from tests.helpers.fake_records import write_jobs
from tests.helpers.messages import holds
from vpbench.spec.grid import expand


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    """Returns a copy of the suite in a folder whose name a shell would take to pieces."""
    return copy_suite(tmp_path_factory.mktemp("suite") / "my proj's (1) dir")


def small():
    """Returns a configuration of four runs and a table."""
    config = read_config("smoke") | {"tasks": ["eurosat_twin"], "backbones": ["clip_micro"]}
    methods = ["text_prompt", "visual_prompt", "linear_probe", "fine_tune"]
    config |= {"grid": {"main": {"methods": methods, "seeds": [0]}}, "measurements": {}}
    return config | {"analyses": {"table1": {}}}


def last_line(output):
    """Returns the last line that Snakemake prints."""
    return output.strip().splitlines()[-1]


def test_an_analysis_and_the_report_are_made_in_a_folder_of_any_name(suite):
    given = write_config(suite, small())
    write_jobs(expand(small(), "given.yaml"), suite)
    snakemake(suite, "--configfile", given, "--", "results/table1.csv", "results/report.html")
    with open(suite / "results/table1.csv", newline="") as file:
        cells = {(row["method"], row["task"]): row["measured"] for row in csv.DictReader(file)}
    assert cells["visual_prompt", "eurosat"] == "60.0"
    page = (suite / "results/report.html").read_text()
    assert "<span>4 runs</span>" in page and "given.yaml" in page


def test_partial_results_start_no_training_and_nothing_else_reads_them(suite):
    given = ("--configfile", write_config(suite, small()))
    assert planned_jobs(plan(suite, *given, "--", "partial")) == {"partial": 1}
    both = plan(suite, "--forceall", *given, "--", "all", "partial")
    assert planned_jobs(both)["run_task"] == 1
    assert "results/partial" not in both
    assert not list((suite / "results/requests").glob("partial*"))  # nor does a dry run write


@pytest.mark.parametrize("option", ["--snakefile", "--directory"])
def test_started_for_another_folder_it_names_its_own(suite, tmp_path, option):
    where, value = (tmp_path, suite / "Snakefile") if option == "--snakefile" else (suite, tmp_path)
    output = snakemake(where, "--dry-run", "--cores", "1", option, value, succeeds=False)
    holds(last_line(output), "started in", tmp_path, "cd ", "--snakefile and --directory")
    assert "Traceback" not in output


@pytest.mark.parametrize(
    ("given", "text"),
    [("grid={main: {seeds: [0]}}", "0"), ("engine={compile: true}", "true")],
)
def test_a_number_within_config_is_refused_as_snakemake_makes_it_a_text(suite, given, text):
    output = snakemake(suite, "--dry-run", "--config", given, succeeds=False)
    key = given.partition("=")[0]
    holds(last_line(output), f"--config {key}", f"{text} in it", "text", "--configfile")


def test_names_within_config_are_taken_and_what_it_changes_is_named(suite):
    given = ("--configfile", "config/desk.yaml", "--config", "tasks=[digits,camel]")
    output = snakemake(suite, "--dry-run", *given, succeeds=False)
    holds(last_line(output), "config/desk.yaml, --config at tasks", "'camel'")
