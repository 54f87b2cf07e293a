"""The first screen of the report, and the reference run beside it."""

import pandas
import pytest

from analysis.common.scales import Scale
from analysis.report import found, reference, run_details
from tests.analysis.report.test_report import by_id, read_page
from tests.helpers.analyses import run, write_table
from tests.helpers.fake_records import record, write_all
from tests.helpers.fake_report import COMPARED, differences, write_csv, write_results
from tests.helpers.fake_sides import beside


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Returns (page, page beside a reference run) of the made-up results.

    In the reference run the prompt has 90.2 % where this one has 45.2 %, and what does not appear
    here appears.
    """
    folder = tmp_path_factory.mktemp("found")
    results, reference = folder / "results", folder / "results" / "reference"
    command = write_results(folder)
    assert run("report", *command, "--out", str(folder / "alone.html")) == 0
    reference.mkdir()
    for path in results.glob("*.csv"):
        text = path.read_text().replace("does not appear", "appears")
        (reference / path.name).write_text(text.replace("45.25", "90.25"))
    assert run("report", *command, "--out", str(folder / "beside.html")) == 0
    return read_page(folder / "alone.html"), read_page(folder / "beside.html")


@pytest.fixture(scope="module")
def page(pages):
    """Returns the page without a reference run."""
    return pages[0]


def rows_of(page):
    """Returns the texts of the rows of the ranking."""
    rows = by_id(page, "found").all("table")[0].all("tr")[2:]
    return [[cell.words() for cell in row.children] for row in rows]


def test_three_sentences_say_where_a_visual_prompt_stands(page):
    first, second, third = by_id(page, "found").all("ul")[0].all("li")
    assert first.words() == (
        "With CLIP a visual prompt is, on average over 12 datasets, 4.8 points above the text "
        "prompt alone (3.9 to 5.8) and 13.3 points below a linear probe (12.3 to 14.3); in the "
        "paper 24.0 above and 4.9 below."
    )
    assert "not told apart from a linear probe (−0.6 points, −4.2 to 3.0)" in second.words()
    # The mean of 64, 65 and 66; its interval is that of three independent ones, 3 / sqrt(3)
    assert third.words() == (
        "With vision models it is, on average over the three and 12 datasets, 65.0 points below a "
        "linear probe (63.3 to 66.7), from −64.0 with RN50 to −66.0 with Instagram; in the paper "
        "42.0 below."
    )


def test_what_longer_training_may_still_change_is_said():
    first, second, *others = differences()[:-1]
    changed = (*second[:-3], 7.26, 1.0, "clip visual_prompt +")
    frame = pandas.DataFrame([first, changed, *others], columns=COMPARED)
    [(_, first), (_, second), _] = found.sentences(frame)
    assert first.endswith("Longer training may still change this by up to 7.3 points.")
    assert "Longer" not in second


def test_what_was_not_run_is_said_in_the_sentences():
    frame = pandas.DataFrame(differences()[:2], columns=COMPARED)
    _, (_, second), (_, third) = found.sentences(frame)
    assert second == (
        "CLIP’s visual prompt was not run on average over the 3 shifts beside the text prompt "
        "alone and a linear probe."
    )
    assert third.startswith("it was not run") and third.endswith("beside a linear probe.")


def test_methods_are_ranked_by_their_average_with_intervals_and_chance(page):
    rows = rows_of(page)
    assert [row[:3] for row in rows] == [
        *(["CLIP", "FT", "80.0"], ["CLIP", "LP", "50.0"]),
        *(["CLIP", "VP + TP", "46.6"], ["CLIP", "TP", "20.0"], ["Chance", "", "10.0"]),
    ]  # of the visual prompt: 11 times 45.25 and 61.5 once
    assert rows[2][4] == "78.2" and rows[2][5:] == ["–", "", ""]  # the shifts were not run
    low, high = map(float, rows[2][3].split("–"))
    assert 45.0 < low < 46.6 < high < 48.2


def test_findings_are_counted_and_those_that_do_not_appear_are_listed_with_the_reason(page):
    section = by_id(page, "found")
    assert "1 of 5 findings of the paper appear. The others: does not appear 1," in section.words()
    groups = {one.attributes["id"]: one.words() for one in section.all("details")}
    assert list(groups) == [
        *("lacking-does-not-appear", "lacking-undecided-still-rising", "lacking-undecided"),
        "lacking-not-run",
    ]
    assert (
        "above the probe −57.6 points, −60.9 to −54.3; paper 1.1"
        in (groups["lacking-does-not-appear"])
    )
    assert groups["lacking-undecided-still-rising"].endswith(
        "(as it stands it does not appear; not converged: clip visual_prompt +, clip fine_tune −)"
    )
    assert groups["lacking-not-run"].endswith("one pixel helps (cost.csv is missing)")
    assert "counted as the formula says" not in section.words()


def test_the_reference_run_stands_beside_and_contradictions_are_printed(pages):
    page = pages[1]
    table = by_id(page, "table1").all("table")[0]
    heads = [head.words() for head in table.all("th", scope="col")]
    rows = {tuple(cell.words() for cell in row.children[:2]): row for row in table.all("tr")[1:]}
    cell = rows["CLIP", "VP + TP"].children[heads.index("EuroSAT twin")]
    assert cell.words() == "45.2 paper: (96.4) reference: 90.2"
    assert rows_of(page)[2][:3] + rows_of(page)[2][4:6] == [
        "CLIP",
        "VP + TP",
        "46.6",
        "78.2",
        "46.6",
    ]
    card = by_id(page, "scorecard").words()
    assert "Contradicts the reference run: above the probe does not appear here." in card
    assert "Reference: −57.6, appears" in by_id(page, "claim-eurosat").words()


def test_without_a_reference_run_nothing_of_it_is_shown_and_no_verdict_changes(pages):
    badges = [
        [one.words() for one in page.all("p") if "badge" in one.attributes.get("class", "")]
        for page in pages
    ]
    assert badges[0] == badges[1] and len(badges[0]) == 6
    marked = [
        [one for one in page.all("span") if one.attributes.get("class") == "reference"]
        for page in pages
    ]
    assert not marked[0] and len(marked[1]) > 50
    assert "eference" not in pages[0].all("main")[0].text


def test_a_reference_of_twins_is_not_shown_beside_other_data(tmp_path):
    (tmp_path / "reference").mkdir()
    write_csv(tmp_path / "reference" / "table1.csv", ("task",), [])
    for scale, kind, there in (("lab", "twins", True), ("paper", "paper", False)):
        assert (reference.folder(tmp_path, Scale(scale, kind)) is not None) == there


def test_a_report_of_datasets_that_the_user_chose_begins_with_its_own_tables(tmp_path):
    made = [
        beside(record("svhn_twin", "clip_micro", method, value, scale="desk", kind="real"),
               tmp_path / "runs")
        for method, value in (("visual_prompt", 60.0), ("linear_probe", 50.0))
    ]  # fmt: skip
    write_table("table_accuracy", made, tmp_path / "table_accuracy.csv")
    plain = [{key: value for key, value in one.items() if key != "file"} for one in made]
    runs = ["--runs", *map(str, write_all(plain, tmp_path / "runs"))]
    out = ["--results", str(tmp_path), "--names", "table_accuracy", "--out", str(tmp_path / "page")]
    write_csv(tmp_path / "claims.csv", ("id",), [])  # is not even read
    assert run("report", *runs, *out) == 0
    page = read_page(tmp_path / "page")
    sections = [section.attributes["id"] for section in page.all("section")]
    assert sections == ["scale", "tables", "run-records", "provenance"]
    assert "claim" not in page.all("main")[0].words() and "paper" not in by_id(page, "tables").text


def test_a_run_shows_the_words_of_its_task_where_the_settings_leave_them_to_it():
    unset = {"text_prompt": None, "class_names": None, "lr": None}
    said = {}
    for backbone, method in (("clip_micro", "text_prompt"), ("rn50_micro", "visual_prompt")):
        one = record("svhn_twin", backbone, method, 50.0)
        one["spec"]["settings"] = unset
        said[backbone] = dict(dict(run_details.details(one, 1)["facts"])["Settings"])
    assert said["clip_micro"] == {
        "text prompt": "This is a photo of a {}",
        "class names": "those of the dataset",
        "lr": "none",
    }
    assert set(said["rn50_micro"].values()) == {"not read, there is no text encoder", "none"}
    own = record("svhn_twin", "clip_micro", "text_prompt", 50.0)
    own["spec"]["settings"] = unset | {"text_prompt": "the digit {}"}
    facts = dict(dict(run_details.details(own, 1)["facts"])["Settings"])
    assert facts["text prompt"] == "the digit {}"
