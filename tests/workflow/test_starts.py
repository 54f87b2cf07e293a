"""Where and how people start it."""

import csv
import json

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
from tests.helpers.fake_sides import beside
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


def write_runs(folder):
    """Returns the paths of the records of those runs, which have their predictions beside them."""
    records = write_jobs(expand(small(), "given.yaml"), folder)
    for path in records:
        beside(json.loads(path.read_text()), folder / "results/runs")
    return records


def last_line(output):
    """Returns the last line that Snakemake prints."""
    return output.strip().splitlines()[-1]


def test_an_analysis_and_the_report_are_made_in_a_folder_of_any_name(suite):
    given = write_config(suite, small())
    write_runs(suite)
    snakemake(suite, "--configfile", given, "--", "results/table1.csv", "results/report.html")
    with open(suite / "results/table1.csv", newline="") as file:
        cells = {(row["method"], row["task"]): row["measured"] for row in csv.DictReader(file)}
    assert cells["visual_prompt", "eurosat"] == "60.0"
    page = (suite / "results/report.html").read_text()
    assert "<span>4 runs</span>" in page and "given.yaml" in page


@pytest.mark.slow
def test_a_damaged_request_is_written_again_and_only_pages_that_were_made_are_named(suite):
    given = write_config(suite, small())
    write_runs(suite)
    again = ("--force", "--configfile", given, "--", "results/table1.csv")
    assert "report.html" not in snakemake(suite, *again)
    (request,) = (suite / "results/requests").glob("table1.*.txt")
    right = request.read_bytes()
    for rubbish in (b"", b"\xff\x00"):
        request.write_bytes(rubbish)
        snakemake(suite, *again)
        assert request.read_bytes() == right


@pytest.mark.slow
def test_a_record_that_was_deleted_is_made_again_where_its_manifest_is_the_target(suite):
    given = ("--dry-run", "--configfile", write_config(suite, small()), "--")
    records = write_runs(suite)
    snakemake(suite, *given[1:], "results/table1.csv")
    (manifest,) = (suite / "results/runs/smoke/eurosat_twin").glob("*.manifest.json")
    records[0].unlink()
    manifest.unlink()
    assert "Nothing to be done" in snakemake(suite, *given, "results/table1.csv")
    output = snakemake(suite, *given, manifest.relative_to(suite))
    assert planned_jobs(output) == {"run_task": 1}


def test_requests_that_cannot_be_written_are_one_line_before_any_job(tmp_path):
    suite = copy_suite(tmp_path)
    write_runs(suite)
    (suite / "results/requests").touch()
    given = ("--configfile", write_config(suite, small()), "--", "results/table1.csv")
    output = snakemake(suite, *given, succeeds=False)
    holds(last_line(output), "results/requests", "File exists", "a folder that can be written")
    assert "Traceback" not in output and "rule table1" not in output


@pytest.mark.parametrize("where", ["--config", "VPBENCH_DEVICE"])
def test_a_device_that_is_none_is_refused_though_nothing_is_to_be_done(suite, monkeypatch, where):
    monkeypatch.setenv("VPBENCH_DEVICE", "quark")
    given = ("--config", "device=quark") if where == "--config" else ()
    output = snakemake(suite, "--dry-run", *given, "--", "config/lab.yaml", succeeds=False)
    place = "at device" if given else "VPBENCH_DEVICE"
    holds(last_line(output), place, "'quark'", "choose auto, cpu, cuda, cuda:1 or mps")


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
