"""Descriptions of installed packages: merged, or refused in one line that names the package."""

import sys

import pytest

from vpbench.common.errors import UserError
from vpbench.spec import outside
from vpbench.spec.analyses import KINDS, Analysis
from vpbench.spec.backbones import Backbone
from vpbench.spec.methods import LEARNS, Method
from vpbench.spec.outside import Catalogue

OWN = {"table1": Analysis("analysis.table1", "table")}
LEGAL = {"kind": KINDS, "learns": LEARNS, "modality": ("vision",)}


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Returns a function that installs a package with one module and entry points."""
    monkeypatch.syspath_prepend(tmp_path)
    outside.entry_points.cache_clear()

    def install(points, text, package="theirs", group="vpbench.analyses"):
        (tmp_path / f"{package}_code.py").write_text(text)
        facts = tmp_path / f"{package}-2.0.dist-info"
        facts.mkdir()
        (facts / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 2.0\n")
        lines = [f"{name} = {package}_code:{value}" for name, value in points.items()]
        (facts / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines, ""]))

    yield install
    outside.entry_points.cache_clear()
    for name in ("theirs_code", "others_code"):
        sys.modules.pop(name, None)


def analyses(kind=Analysis, own=OWN, group="vpbench.analyses"):
    """Returns a catalogue as it is made when the suite starts."""
    return Catalogue(group, kind, own, LEGAL, taken=("claims",))


def test_names_are_known_at_once_and_descriptions_when_they_are_looked_up(installed, tmp_path):
    text = "from vpbench.spec.analyses import Analysis\nMINE = Analysis('my.module', 'csv')\n"
    noted = f"import pathlib\npathlib.Path({str(tmp_path / 'read')!r}).touch()\n"
    installed({"mine": "MINE"}, noted + text)
    catalogue = analyses()
    assert list(catalogue) == ["table1", "mine"] and len(catalogue) == 2 and "mine" in catalogue
    assert catalogue["table1"] is OWN["table1"]
    assert not (tmp_path / "read").exists()
    assert catalogue["mine"] == catalogue.get("mine") == Analysis("my.module", "csv")
    assert (tmp_path / "read").exists()
    assert dict(catalogue.items()) == OWN | {"mine": Analysis("my.module", "csv")}
    assert (catalogue.is_ours("table1"), catalogue.is_ours("mine")) == (True, False)
    assert catalogue.package("mine") == ("theirs", "2.0")
    assert list(analyses(group="vpbench.methods")) == ["table1"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("table1", "Analysis('m')", "'table1': the suite has that name already; give it another"),
        ("claims", "Analysis('m')", "'claims': the suite has that name already; give it another"),
        ("My-table", "Analysis('m')", "'My-table' is no plain name; use a-z, 0-9 and _"),
        ("mine", "('m', 'csv')", "theirs_code:MINE is ('m', 'csv'), expected a vpbench.spec Ana"),
        ("mine", "Analysis()", "TypeError: Analysis.__new__() missing 1 required positional"),
        ("mine", "1 / 0", "theirs_code:MINE is not imported, ZeroDivisionError: division by zero"),
        ("mine", "Analysis('m', 'map')", "kind is 'map', choose of: table, figure, csv"),
        ("mine", "Analysis(3)", "module is 3, expected a text"),
        ("mine", "Analysis('m', options=[])", "options is [], expected a dict"),
        ("mine", "Analysis('m', draws_prompts=1)", "draws_prompts is 1, expected true or false"),
    ],
)
def test_what_is_wrong_with_a_description_is_one_line(installed, name, value, words):
    installed({name: "MINE"}, f"from vpbench.spec.analyses import Analysis\nMINE = {value}\n")
    with pytest.raises(UserError) as refused:
        analyses()[name]
    line = str(refused.value)
    assert line.startswith("theirs 2.0: vpbench.analyses ") and words in line
    assert "\n" not in line


def test_an_entry_point_without_its_object_is_one_line(installed):
    installed({"mine": "YOURS"}, "MINE = 3\n")
    words = "theirs 2.0: .* theirs_code:YOURS is not imported, AttributeError: .*has no attribute"
    with pytest.raises(UserError, match=words):
        analyses()["mine"]


def test_two_packages_with_one_name_are_both_named(installed):
    text = "from vpbench.spec.analyses import Analysis\nMINE = Analysis('m', 'csv')\n"
    installed({"mine": "MINE"}, text)
    installed({"mine": "MINE"}, text, "others")
    with pytest.raises(UserError, match="(theirs|others) 2.0: .*(others|theirs) 2.0 has that name"):
        analyses()["mine"]


@pytest.mark.parametrize(
    ("kind", "entry", "words"),
    [
        (Method, Method("m", "M", {}), None),
        (Method, Method("m", "M", {}, passes=1.5), None),
        (Method, Method("m", "M", {}, learns="love"), "learns is 'love', choose of: nothing, pi"),
        (Method, Method("m", "M", {"lr": 1}), "settings has 1, expected Setting"),
        (Method, Method("m", "M", {}, passes="2"), "passes is '2', expected a number"),
        (Backbone, Backbone("m", "r", "sound", "a", "p", "o"), "modality is 'sound', choose of"),
        (Backbone, Backbone("m", "r", "vision", "a", "p", "o", gflops=3), None),
        (Backbone, Backbone("m", "r", "vision", "a", "p", "o", hub=3), "expected a text or None"),
    ],
)
def test_the_fields_of_a_description_are_of_their_kinds(kind, entry, words):
    found = outside.complaint(entry, LEGAL)
    assert found is None if words is None else words in found


def test_a_caption_is_beside_the_module_where_the_suite_has_none(installed, tmp_path):
    installed({"mine": "MINE"}, "")
    (tmp_path / "table1.rst").write_text("Ours.")
    assert outside.caption_of("table1", "theirs_code", tmp_path) == tmp_path / "table1.rst"
    beside = outside.caption_of("mine", "theirs_code", tmp_path / "folder")
    assert beside == tmp_path / "mine.rst"
    assert outside.files_of("theirs_code") == [(tmp_path / "theirs_code.py").as_posix()]
    assert outside.files_of("nobody.has_this") == []
