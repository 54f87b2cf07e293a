import json

import pandas
import pytest
from matplotlib import pyplot

from analysis.common import coverage, csv_file, style
from analysis.figures import cost
from analysis.report import partial
from analysis.tables import paper_accuracy
from tests.helpers.analyses import run
from tests.helpers.checkout import ROOT, read_config
from tests.helpers.fake_records import write_jobs
from vpbench.common.errors import RecordError
from vpbench.spec.grid import expand
from vpbench.spec.products import partial_request

PROBES = [
    f"results/runs/smoke/{task}/clip_micro/linear_probe/default/seed0.json"
    for task in ("eurosat_twin", "svhn_twin")
]
TEXT = "results/runs/smoke/eurosat_twin/clip_micro/text_prompt/default/seed0.json"


@pytest.fixture
def wanted(tmp_path, monkeypatch):
    """Returns a `Grid` of four runs on each of two datasets; its results are in the folder here."""
    monkeypatch.chdir(tmp_path)
    methods = ["text_prompt", "visual_prompt", "linear_probe", "fine_tune"]
    config = read_config("smoke") | {"tasks": ["eurosat_twin", "svhn_twin"]}
    config |= {"grid": {"main": {"methods": methods, "seeds": [0]}}, "measurements": {}}
    config |= {"backbones": ["clip_micro"]}
    one = {"tasks": ["eurosat_twin"]}
    return expand(config | {"analyses": {"table1": {}, "cost": one}}, "given.yaml")


def make(wanted, tmp_path):
    """Returns the texts of the partial results by the names of their files."""
    request = tmp_path / "request.json"
    request.write_text(json.dumps(partial_request(wanted, [ROOT / "config/smoke.yaml"])))
    assert run("partial", request, "--captions", ROOT / "workflow/report") == 0
    files = [path for path in (tmp_path / "results/partial").rglob("*") if path.is_file()]
    names = [path.relative_to(tmp_path / "results/partial").as_posix() for path in files]
    assert {"figures/cost.pdf", "figures/cost.png"} <= set(names)
    kept = {name: path for name, path in zip(names, files) if not name.startswith("figures/")}
    return {name: path.read_text() for name, path in kept.items()}


@pytest.mark.parametrize(
    ("left_out", "all_runs", "of_one"),
    [
        ([], "8 of 8 runs", "4 of 4 runs"),
        (PROBES, "6 of 8 runs", "3 of 4 runs"),
        (None, "0 of 8 runs", "0 of 4 runs"),
    ],
    ids=["everything", "some", "nothing"],
)
def test_each_product_names_how_many_of_its_runs_are_there(
    wanted, tmp_path, left_out, all_runs, of_one
):
    left_out = list(wanted.specs) if left_out is None else left_out
    write_jobs(wanted, tmp_path, leave_out=left_out)
    made = make(wanted, tmp_path)
    assert made["table1.csv"].splitlines()[0].endswith(f",{all_runs}")
    assert f"; {all_runs}." in made["table1.md"] and f"; {all_runs}." in made["table1.tex"]
    assert made["cost.csv"].splitlines()[0].endswith(f",{of_one}")
    assert made["claims.csv"].splitlines()[0].endswith(f",{all_runs}")
    assert f"; {all_runs}. " in made["claims.md"].splitlines()[0]
    assert f"{all_runs} are there" in made["tables.tex"]
    page = made["report.html"]
    assert f"<span>{all_runs}</span>" in page and f"{of_one}. " in page


def test_cells_of_runs_that_are_not_there_stay_empty(wanted, tmp_path):
    write_jobs(wanted, tmp_path, leave_out=PROBES)
    rows = make(wanted, tmp_path)["table1.csv"].splitlines()
    (text,) = (row for row in rows if row.startswith("clip,text_prompt,eurosat,"))
    (probe,) = (row for row in rows if row.startswith("clip,linear_probe,eurosat,"))
    assert text.split(",")[3] == "20.0" and probe.split(",")[3] == ""


def test_a_record_of_another_spec_and_a_damaged_one_are_not_there(wanted, tmp_path, capsys):
    write_jobs(wanted, tmp_path)
    probe, text = (tmp_path / path for path in (PROBES[0], TEXT))
    record = json.loads(probe.read_text())
    record["spec"]["settings"]["C"] = [7]
    probe.write_text(json.dumps(record))
    text.write_text(text.read_text()[:100])
    made = make(wanted, tmp_path)
    assert made["table1.csv"].splitlines()[0].endswith(",6 of 8 runs")
    said = capsys.readouterr().err
    assert f"left out: {PROBES[0]}: was made from another spec" in said
    assert f"left out: {TEXT}: broken JSON" in said


@pytest.mark.parametrize("error", [RecordError("it needs all runs"), KeyError("it needs all runs")])
def test_what_cannot_be_made_of_a_part_says_why_and_stops_nothing_else(
    wanted, tmp_path, monkeypatch, capsys, error
):
    def fails(*arguments, **options):
        raise error

    write_jobs(wanted, tmp_path, leave_out=PROBES)
    monkeypatch.setattr(cost, "write", fails)
    made = make(wanted, tmp_path)
    assert "it needs all runs" in made["cost.csv"]
    assert made["cost.csv"].splitlines()[0] == "not made,3 of 4 runs"
    assert "clip,text_prompt,eurosat,20.0" in made["table1.csv"]
    assert "cost: Not made of these records" in (said := capsys.readouterr().err)
    assert ("Traceback" in said) == isinstance(error, KeyError)


def test_a_table_that_cannot_be_made_says_so_in_all_its_forms(
    wanted, tmp_path, monkeypatch, capsys
):
    def fails(*arguments, **options):
        raise RecordError("it needs all runs")

    monkeypatch.setattr(paper_accuracy, "write", fails)
    made = make(wanted, tmp_path)
    for suffix in ("csv", "md", "tex"):
        assert "it needs all runs" in made[f"table1.{suffix}"]
        assert "0 of 8 runs" in made[f"table1.{suffix}"]


def test_measurements_are_counted_where_an_analysis_reads_them():
    parts = {"runs": ["a", "b", "c"], "measurements": ["m"]}
    assert partial.counts(parts, {"a": {}, "m": {}}) == "1 of 3 runs, 1 of 1 measurements"
    assert partial.counts(parts | {"measurements": []}, {"a": {}}) == "1 of 3 runs"
    heads = ["task", "1 of 3 runs, 1 of 1 measurements"]
    assert coverage.column(heads) == heads[1]


def test_a_figure_names_it_above_everything_in_it(tmp_path):
    figure = pyplot.figure(figsize=(2, 1))
    with coverage.counted("3 of 4 runs"):
        style.save(figure, tmp_path, "some")
    (text,) = figure.texts
    assert text.get_text() == "3 of 4 runs" and text.get_position() == (0.5, 1.01)


def test_nothing_is_said_where_all_runs_have_to_be_there(tmp_path):
    csv_file.write_csv(pandas.DataFrame({"a": [1.23456]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text() == "a\n1.235\n"
    assert coverage.after("text") == "text" and coverage.column(["a", "8 of the runs"]) == ""


def test_an_analysis_of_other_commits_is_not_made_where_one_is_asked_for(wanted, tmp_path):
    write_jobs(wanted, tmp_path)  # their records hold no commit
    alike = wanted._replace(config=wanted.config | {"one_commit": True})
    assert "Not made of these records" not in make(wanted, tmp_path)["cost.csv"]
    assert "holds no commit of the code" in make(alike, tmp_path)["cost.csv"]
