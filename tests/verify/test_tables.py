"""Tables are made again and compared."""

import json

from tests.helpers.checkout import write_config
from tests.helpers.small_results import (
    TABLE,
    TEXT,
    configuration,
    edit,
    put,
    run_file,
)
from vpbench.cli.main import main
from vpbench.spec.grid import expand
from vpbench.spec.products import analysis_arguments, claims_arguments, document_arguments
from vpbench.verify import tables, verification


def make_tables(results, wanted):
    """Returns None once the tables of a configuration and what is made of them are there."""
    for name in wanted.config["analyses"]:
        arguments = analysis_arguments(wanted, name, results, results)
        assert tables.call(name, arguments) is None
    assert tables.call("claims", claims_arguments(wanted, results)) is None
    assert tables.call("latex_document", document_arguments(wanted, results)) is None


def test_tables_are_made_again_by_the_scripts_that_made_them(results, tmp_path, capsys):
    config = configuration(analyses=TABLE)
    wanted = expand(config, "given.yaml")
    make_tables(results, wanted)
    given, report = write_config(tmp_path, config), tmp_path / "report.json"
    command = ["verify", str(results), "--configfile", str(given), "--json", str(report)]
    assert main(command) == 0
    checked = "4 runs, 1 measurements, 2 manifests, 3 tables: nothing is wrong"
    assert capsys.readouterr().out == f"{results} against {given}: {checked}\n"
    assert json.loads(report.read_text())["problems"] == []

    table = results / "table1.csv"
    lines = table.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if "eurosat" in line)
    cells = lines[number].split(",")
    measured = lines[0].split(",").index("measured")
    cells[measured] = "99.5"
    table.write_text("\n".join([*lines[:number], ",".join(cells), *lines[number + 1 :]]) + "\n")
    assert main(command) == 1
    (problem,) = json.loads(report.read_text())["problems"]
    where = f"{table}: line {number + 1}, measured: is '99.5', the records give"
    assert problem["line"].startswith(where) and problem["path"] == str(table)
    assert capsys.readouterr().out.startswith(where)

    # A record that is wrong: what the table says then is no news
    edit(run_file(results, TEXT), put("trained_parameters", 1))
    report = verification.verify(results, wanted, "given.yaml")
    assert [problem.path for problem in report.problems] == [str(run_file(results, TEXT))]
    assert report.notes[0].startswith("1 tables and figures, and what is made of them")


def test_a_cell_is_the_same_up_to_its_last_decimal():
    assert tables.alike("61.201", "61.202") and tables.alike("", "")
    assert not tables.alike("61.2", "61.203")
    assert not tables.alike("", "61.2") and not tables.alike("VP", "TP")


def test_texts_are_compared_line_by_line(tmp_path):
    stored, made = tmp_path / "table1.md", tmp_path / "again.md"
    made.write_text("a\nb\n")
    stored.write_text("a\nc\n")
    assert tables.compare(stored, made) == "line 2: is 'c', the records give 'b'"
    stored.write_text("a\n")
    assert tables.compare(stored, made) == "has 1 lines, the records give 2"
    stored.write_bytes(b"\xff\n")
    assert tables.compare(stored, made).startswith("not read, 'utf-8'")
