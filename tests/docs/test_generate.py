"""The numbers of the pages are those of docs/data: made by one command, named, and used."""

import json
import re
import shutil

import pytest

from docs.generate import __main__ as command
from docs.generate import lab, pages, settings, text
from tests.helpers.checkout import ROOT
from vpbench.common.errors import UserError

GENERATED = ROOT / "docs/generated"
STATED = {path: path.read_text() for path in (ROOT / "docs").glob("*.md")}
VALUES = json.loads((GENERATED / "values.json").read_text())


@pytest.fixture
def copy(tmp_path):
    """Returns a folder with the documentation and its README, to change."""
    shutil.copytree(
        ROOT / "docs", tmp_path / "docs", ignore=shutil.ignore_patterns("_build", "__pycache__")
    )
    shutil.copy(ROOT / "README.md", tmp_path)
    (tmp_path / "config").symlink_to(ROOT / "config")
    return tmp_path


@pytest.fixture
def results(tmp_path):
    """Returns a results folder with what the pages show, as a run of the lab leaves it."""
    folder = tmp_path / "results"
    (folder / "figures").mkdir(parents=True)
    for name in command.TABLES:
        shutil.copy(ROOT / f"docs/data/lab/{name}.csv", folder)
    for name in command.FIGURES:
        shutil.copy(ROOT / f"docs/figures/{name}.png", folder / "figures")
    return folder


def test_no_page_value_is_stale():
    now = pages.values(ROOT)
    stale = sorted(name for name in now | VALUES if now.get(name) != VALUES.get(name))
    assert not stale, f"python -m docs.generate makes others: {', '.join(stale)}"


def test_no_table_and_not_the_readme_is_stale():
    stale = [path.relative_to(ROOT).as_posix() for path in pages.stale(ROOT)]
    assert not stale, "run: python -m docs.generate"


def test_the_command_on_the_same_results_changes_nothing(copy, results):
    command.take(results, copy)
    assert command.write(copy) == []


def test_other_results_change_tables_values_and_the_readme(copy, results):
    table = results / "table1.csv"
    table.write_text(table.read_text().replace("text_prompt,average,", "text_prompt,average,1"))
    command.take(results, copy)
    written = {path.name for path in command.write(copy)}
    assert written == {"lab_clip.md", "README.md"}


def test_results_of_another_scale_are_refused(copy, results):
    claims = results / "claims.csv"
    claims.write_text(claims.read_text().replace(",lab,", ",smoke,"))
    with pytest.raises(UserError, match="smoke.*lab"):
        command.take(results, copy)


def test_the_reference_run_is_taken_as_the_lab_is(copy, results):
    claims = results / "claims.csv"
    claims.write_text(claims.read_text().replace(",lab,", ",study,"))
    command.take(results, copy)
    assert (copy / "docs/data/lab/claims.csv").read_text() == claims.read_text()


def test_results_that_are_not_there_are_named(copy, results):
    (results / "table2.csv").unlink()
    with pytest.raises(UserError, match="table2.csv.*snakemake"):
        command.take(results, copy)


def test_every_value_that_a_page_names_is_known_and_every_reported_one_is_named():
    named = {name for page in STATED.values() for name in re.findall(r"\{\{ (\w+) \}\}", page)} - {
        "name"
    }
    assert named <= set(VALUES)
    reported = {row["name"] for row in pages.others.reported(ROOT / "docs/data/reported.csv")}
    assert not reported - named


def test_every_fragment_is_on_a_page_and_none_is_left_over():
    included = set(re.findall(r"\{include\} generated/(\w+)\.md", "".join(STATED.values())))
    assert included == set(pages.fragments(ROOT)) == {path.stem for path in GENERATED.glob("*.md")}


@pytest.mark.parametrize("name", [name for name in settings.fragments() if name != "config_kinds"])
def test_every_key_and_setting_has_a_meaning(name):
    tables = text.markdown_tables((GENERATED / f"{name}.md").read_text())
    assert tables and not [row for rows in tables for row in rows if not row["Meaning"]]


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ("-0.5", "0.2", "we cannot tell whether the gain depends on the distance"),
        ("0.1", "0.8", "the gain rises with the distance"),
        ("-0.8", "-0.1", "the gain falls with the distance"),
    ],
)
def test_a_correlation_is_said_as_its_interval_allows(low, high, words):
    row = {"value": "0", "low": low, "high": high, "count": "12"}
    assert words in lab.dependence(row, "distance")


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"enum": ["a", "b"]}, "`a`, `b`"),
        ({"type": "integer", "minimum": 1}, "whole number (1 or more)"),
        ({"type": ["number", "null"], "exclusiveMinimum": 0}, "number (above 0) or null"),
        ({"const": 2}, "`2`"),
    ],
)
def test_what_is_legal_is_said_in_words(schema, words):
    assert settings.legal(schema) == words


def test_a_long_minus_sign_and_no_negative_zero():
    assert text.number("-1.25") == "\N{MINUS SIGN}1.2"
    assert text.number("-0.01") == "0.0"
    assert text.number("") == ""


def test_a_table_is_read_as_it_was_written():
    written = text.table(("a", "b"), [["1", "x y"], ["2", ""]])
    assert text.markdown_tables(written) == [[{"a": "1", "b": "x y"}, {"a": "2", "b": ""}]]
