"""The smoke test for real: it trains, so it is the slowest file of the tests."""

import csv
import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.helpers.checkout import command, copy_suite, environment, read_config, snakemake
from vpbench.spec.methods import PAPER_METHODS
from vpbench.spec.schema import spec_schema
from vpbench.spec.schema_check import complaint

OFFLINE = ("unshare", "--user", "--map-root-user", "--net")
CELLS = {"role", "method", "task", "measured", "published", "chance", "seeds", "rule"}
GIVEN = ("--configfile", "config/smoke.yaml", "--")
COUNT_RECORDS = '''"""Count records: how many runs each method has."""

from collections import Counter

import pandas

from analysis.common import style
from analysis.common.csv_file import write_csv


def write(records, out, figures):
    """Writes the csv file and the figure."""
    counts = Counter(record["spec"]["method"] for record in records)
    frame = pandas.DataFrame(sorted(counts.items()), columns=["method", "runs"])
    write_csv(frame, out)
    style.save(frame.plot.bar("method", "runs").figure, figures, "count_records")
'''
UNIT = Path("results/runs/smoke/eurosat_twin/vision_language.main.manifest.json")


def can_go_offline():
    """Returns whether a process without network can be started here."""
    if not shutil.which(OFFLINE[0]):
        return False
    return subprocess.run([*OFFLINE, "true"], capture_output=True).returncode == 0


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Returns a copy of the suite with a finished smoke test, and what it printed."""
    folder = copy_suite(tmp_path_factory.mktemp("smoke") / "my proj's (1) dir [x]")
    done = subprocess.run(
        [*(OFFLINE if can_go_offline() else ()), *command("smoke")],
        cwd=folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return folder, done.stdout


@pytest.fixture
def own(smoke, tmp_path):
    """Returns a copy of that folder, for a test that changes it."""
    return shutil.copytree(smoke[0], tmp_path / smoke[0].name)


def records_of(folder, unit=UNIT):
    """Returns path -> record of what a manifest lists."""
    paths = [entry["path"] for entry in json.loads(Path(folder, unit).read_text())["records"]]
    return {path: json.loads(Path(folder, path).read_text()) for path in paths}


def written(folder, paths):
    """Returns path -> when the file was written."""
    return {path: Path(folder, path).stat().st_mtime_ns for path in paths}


def repeatable(record):
    """Returns a record without what differs from time to time."""
    return {key: value for key, value in record.items() if key != "measured"}


@pytest.mark.skipif(not can_go_offline(), reason="needs unshare and its permission")
def test_the_smoke_test_needs_no_network(smoke):
    probe = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"
    offline = subprocess.run([*OFFLINE, "python3", "-c", probe], capture_output=True, text=True)
    assert "Network is unreachable" in offline.stderr
    assert "100%" in smoke[1]  # the run of the fixture was such a process


def test_it_says_what_it_does_and_where_the_results_are(smoke):
    runs = len(list((smoke[0] / "results/runs/smoke").rglob("seed*[0-9].json")))
    assert f"config/smoke.yaml: {runs} runs at smoke scale" in smoke[1]
    assert "the report is results/report.html, tables are in results/" in smoke[1]


@pytest.mark.parametrize("name", read_config("smoke")["analyses"])
def test_every_table_and_figure_is_there(smoke, name):
    results = smoke[0] / "results"
    assert (results / f"{name}.csv").stat().st_size
    if name.startswith("table"):
        assert (results / f"{name}.md").stat().st_size
        assert (results / f"{name}.tex").stat().st_size
    else:
        assert (results / f"figures/{name}.pdf").read_bytes().startswith(b"%PDF")
        assert (results / f"figures/{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["table1", "table2", "table4", "table5"])
def test_a_table_has_measured_and_published_numbers_side_by_side(smoke, name):
    with open(smoke[0] / f"results/{name}.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert CELLS <= set(rows[0])
    measured = [row for row in rows if row["measured"] and row["task"] != "average"]
    assert measured
    assert all(0 <= float(row["measured"]) <= 100 and row["published"] for row in measured)


def test_each_record_is_whole_and_keeps_its_spec(smoke):
    records = records_of(smoke[0])
    methods = {record["spec"]["method"] for record in records.values()}
    assert methods == set(PAPER_METHODS)
    for path, record in records.items():
        assert complaint(record["spec"], spec_schema(), path) is None
        assert record["measured"]["images_per_second"] > 0
        assert Path(smoke[0], path).with_suffix(".predictions.npz").stat().st_size


def test_progress_bars_are_in_the_logs(smoke):
    log = smoke[0] / "results/logs/smoke/eurosat_twin/vision_language.main.log"
    assert re.search(r"\d+%\|", log.read_text())


def test_the_report_shows_every_table_and_figure_also_one_without_a_caption(own):
    (own / "workflow/report/cost.rst").unlink()
    output = snakemake(own, "--configfile", "config/smoke.yaml", "--report", "report.html")
    for name in read_config("smoke")["analyses"]:
        assert re.search(rf"Adding {name}\.(csv|png)", output)
    assert (own / "report.html").stat().st_size


def test_nothing_that_was_half_written_is_left(smoke):
    left = [path for path in (smoke[0] / "results").rglob("*") if path.suffix == ".part"]
    assert left == []


def test_verification_finds_nothing_wrong(smoke):
    verify = [sys.executable, "-m", "vpbench", "verify", "results", *GIVEN[:2], "--deep"]
    done = subprocess.run(
        verify, cwd=smoke[0], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "nothing is wrong" in done.stdout


def test_a_second_run_has_nothing_to_do(smoke):
    assert "Nothing to be done" in snakemake(smoke[0], "smoke")


def test_other_numbers_of_cores_change_nothing(smoke):
    assert "Nothing to be done" in snakemake(smoke[0], "--cores", "8", "smoke")
    assert "Nothing to be done" in snakemake(smoke[0], "--cores", "1", "smoke")


def test_without_its_manifest_a_job_makes_only_the_records_that_are_missing(own):
    before = records_of(own)
    times = written(own, before)
    lost = next(path for path in before if "visual_prompt" in path)
    manifest = (own / UNIT).read_text()
    (own / UNIT).unlink()
    (own / lost).unlink()
    snakemake(own, *GIVEN, UNIT)
    assert (own / UNIT).read_text() == manifest
    times.pop(lost)
    assert written(own, times) == times
    assert repeatable(records_of(own)[lost]) == repeatable(before[lost])


def test_another_setting_makes_only_the_records_it_touches_and_the_old_one_the_old_records(own):
    before = records_of(own)
    times = written(own, before)
    config = own / "config/smoke.yaml"
    text = config.read_text()
    config.write_text(text.replace("C: [0.01, 0.1, 1]", "C: [0.01, 0.1]"))
    snakemake(own, *GIVEN, UNIT)
    again = {path for path, time_ in written(own, before).items() if time_ != times[path]}
    assert again == {path for path in before if "linear_probe" in path}
    config.write_text(text)
    snakemake(own, *GIVEN, UNIT)
    assert [repeatable(record) for record in records_of(own).values()] == [
        repeatable(record) for record in before.values()
    ]


def test_an_analysis_is_one_module_its_description_and_one_line_of_the_configuration(own):
    config, described = own / "config/smoke.yaml", own / "vpbench/spec/analyses.py"
    (own / "analysis/figures/count_records.py").write_text(COUNT_RECORDS)
    described.write_text(
        described.read_text().replace(
            '    "cost": ', '    "count_records": _figure("count_records"),\n    "cost": '
        )
    )
    config.write_text(config.read_text().rstrip() + "\n  count_records: {modality: vision}\n")
    snakemake(own, *GIVEN, "results/count_records.csv")
    found = (own / "results/count_records.csv").read_text()
    assert all(f"{method},2" in found for method in ("visual_prompt", "linear_probe", "fine_tune"))


def test_a_killed_run_goes_on_where_it_was(own):
    before = records_of(own)
    for path in (UNIT, *before):
        (own / path).unlink()
    with open(own / "killed.log", "w") as log:
        process = subprocess.Popen(
            command(*GIVEN, UNIT), cwd=own, env=environment(), stdout=log, stderr=log
        )
    first = wait_for_any([own / path for path in before], process)
    kill(process)
    kept = written(own, [path for path in before if (own / path).exists()])
    assert str(first.relative_to(own)) in kept
    assert not (own / UNIT).exists()

    assert "--unlock" in snakemake(own, *GIVEN, UNIT, succeeds=False)
    snakemake(own, "--unlock")
    snakemake(own, *GIVEN, UNIT)
    assert written(own, kept) == kept
    assert {path: repeatable(record) for path, record in records_of(own).items()} == {
        path: repeatable(record) for path, record in before.items()
    }


def wait_for_any(paths, process, seconds=300):
    """Returns the first of `paths` that is there."""
    for _ in range(seconds * 50):
        found = [path for path in paths if path.exists()]
        if found:
            return found[0]
        assert process.poll() is None, "it ended before its first record"
        time.sleep(0.02)
    raise AssertionError(f"no record after {seconds} s")


def kill(process):
    """Returns None once Snakemake and all it has started are gone, without a chance to clean up."""
    family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    for member in family:
        member.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(family)
