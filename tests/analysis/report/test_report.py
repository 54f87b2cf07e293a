import base64
import json
import os
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from analysis.common import captions
from analysis.report import csv_texts, provenance, report, run_details, statements
from tests.helpers.analyses import LAB, run
from tests.helpers.fake_records import record, write_all
from tests.helpers.fake_report import (
    CLAIMS,
    COMPARED,
    HOSTILE,
    NAMES,
    made_records,
    write_csv,
    write_page,
    write_results,
)
from vpbench.spec.scales import KINDS, SCALES

BLOCKS = {"p", "td", "th", "dt", "dd", "summary"}  # have a gap after them
VOID = {"meta", "img", "input", "br", "link"}


class Element:
    """An element of a page: its name, attributes, elements inside, and all its text."""

    def __init__(self, name, attributes, parent=None):
        self.name, self.attributes, self.parent = name, dict(attributes), parent
        self.children, self.text = [], ""

    def all(self, name, **attributes):
        """Returns the elements of this name inside, in order; None as name: of any."""
        own = name in (None, self.name) and attributes.items() <= self.attributes.items()
        found = [one for child in self.children for one in child.all(name, **attributes)]
        return [self] * own + found

    def words(self):
        """Returns the text with single spaces."""
        return " ".join(self.text.split())


class Reader(HTMLParser):
    """Reads a page into elements; an element that is not closed, or twice, is an error."""

    def __init__(self, text):
        super().__init__()
        self.page = self.open = Element("page", {})
        self.feed(text)
        assert self.open is self.page, f"<{self.open.name}> is never closed"

    def handle_starttag(self, tag, attrs):
        made = Element(tag, attrs, self.open)
        self.open.children.append(made)
        if tag not in VOID:
            self.open = made

    def handle_endtag(self, tag):
        assert tag == self.open.name, f"</{tag}> closes <{self.open.name}>"
        if tag in BLOCKS:
            self.handle_data(" ")
        self.open = self.open.parent

    def handle_data(self, data):
        element = self.open
        while element:
            element.text += data
            element = element.parent


def read_page(path):
    """Returns the page in the file `path` as an element."""
    return Reader(path.read_text(encoding="utf-8")).page


def by_id(page, name):
    """Returns the element with this id."""
    [found] = page.all(None, id=name)
    return found


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Returns where the page of the made-up results is."""
    return write_page(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(path):
    """Returns the page of the made-up results."""
    return read_page(path)


def test_the_page_needs_nothing_but_itself(path, page):
    text = path.read_text()
    assert path.stat().st_size < 10e6
    assert not page.all("link") and "@import" not in text and "url(" not in text
    for element in page.all(None):
        for name in ("src", "href", "action", "srcset"):
            assert element.attributes.get(name, "#").startswith(("#", "data:")), element.attributes
    [policy] = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")


def test_the_statement_of_scale_comes_first_and_the_claims_next(page):
    sections = [section.attributes["id"] for section in page.all("section")]
    assert sections == [
        "scale",
        "found",
        "scorecard",
        "tables",
        "figures",
        "run-records",
        "provenance",
    ]
    words = by_id(page, "scale").words()
    assert words.startswith(LAB.title) and "twins" in words


def test_every_scale_has_its_statement():
    assert set(statements.STATEMENTS) == set(SCALES)
    assert set(statements.OF_KINDS) == set(KINDS)


def test_claims_show_both_numbers_the_interval_the_rule_and_the_verdict_in_words(page):
    card = by_id(page, "claim-eurosat")
    assert card.words() == (
        "does not appear above the probe § 5.1 Paper 1.1 "
        "Measured −57.6 points −60.9 to −54.3 Rule for: above the probe The rule of it. "
        "Read at the best test epoch, as in the official code: 12.3 points A note."
    )
    assert card.all("p")[0].attributes["class"] == "badge verdict-does-not-appear"
    assert by_id(page, "claim-one_pixel").words().startswith("not run one pixel helps")
    chips = [one.words() for one in page.all("button") if "data-verdict" in one.attributes]
    assert chips == [
        *("1 appears", "1 does not appear", "1 undecided", "1 undecided (still rising)"),
        "1 not run",
    ]  # of findings: that prompts have the parameters of their formula is none
    last = by_id(page, "scorecard").all("li")[-1]
    assert "counted as the formula says § 5.1 not counted" in last.words()


def test_a_table_has_the_papers_number_beside_the_measured_one(page):
    table = by_id(page, "table1").all("table")[0]
    heads = [head.words() for head in table.all("th", scope="col")]
    rows = {tuple(cell.words() for cell in row.children[:2]): row for row in table.all("tr")[1:]}
    cell = rows["CLIP", "VP + TP"].children[heads.index("EuroSAT twin")]
    assert cell.words() == "45.2 paper: (96.4)"
    assert rows["CLIP", "TP"].children[-1].words() == "20.0 paper: (54.2)"


def test_only_a_visual_prompt_above_the_probe_is_shaded_and_a_mark_says_so_too(page):
    cells = by_id(page, "table1").all("td", **{"class": "shaded"})
    assert [cell.words() for cell in cells] == [
        "61.5 ▲ (Visual prompt above linear probe: the whole 95 % interval of the difference is "
        "above 0.) paper: (88.4)"
    ]


def test_tables_of_facts_pair_every_fact_with_the_papers_where_they_differ(page):
    rows = by_id(page, "table6").all("table")[0].all("tr")
    assert [cell.words() for cell in rows[0].children][:3] == ["Name", "Train", "Validation"]
    assert [cell.words() for cell in rows[5].children] == [
        *("EuroSAT twin paper: (EuroSAT)", "500 paper: (13,500)", "300 paper: (5,400)"),
        *("1,000 paper: (8,100)", "10", "This is a photo of a {}", "10.0"),
    ]
    rows = by_id(page, "table3").all("table")[0].all("tr")
    assert rows[1].children[0].words() == "CLIP" and rows[1].children[-1].words() == "594,657"


def test_every_picture_has_the_first_sentence_of_its_caption_as_alternative_text(page):
    texts = [image.attributes["alt"] for image in page.all("img")]
    assert texts == [
        "Figure 3. What figure3 shows.",
        "Prompt gallery. What prompt_gallery shows.",
    ]
    assert all(image.attributes["src"].startswith("data:image/webp") for image in page.all("img"))


def test_nothing_that_was_read_can_become_markup(path, page):
    kinds = [script.attributes.get("type") for script in page.all("script")]
    assert kinds == [None, "application/json", None]
    assert not page.all("b", **{"class": ""}) and "<b>bold" not in path.read_text()
    plain = by_id(page, "claim-smallest").all("p", **{"class": "claim"})[0].words()
    assert plain == f"{HOSTILE} § 5.1"
    assert HOSTILE in by_id(page, "comparisons").text
    assert HOSTILE in by_id(page, "provenance").all("pre")[0].text
    shown = by_id(page, "figure3").all("figcaption")[0].words()
    assert shown == captions.typographic(f"What figure3 shows. {HOSTILE}")
    stored = json.loads(by_id(page, "run-data").text)
    assert ["text prompt", HOSTILE] in dict(stored["runs"][0]["facts"])["Settings"]


def test_every_run_is_a_row_and_leads_to_its_details(page):
    rows = by_id(page, "runs").all("tr")[1:]
    made = made_records()
    stored = json.loads(by_id(page, "run-data").text)
    links = [row.all("a")[0].attributes["href"] for row in rows]
    assert len(rows) == len(made) == len(stored["runs"])
    assert links == [f"#run/{run['key']}" for run in stored["runs"]]
    texts = {tuple(cell.words() for cell in row.children) for row in rows}
    assert (
        *("SVHN twin", "clip_micro", "VP + TP", "lr_40", "1", "31.0", "8", "last", "0.5"),
        *("4,116", "1.0"),
    ) in texts


def test_what_was_done_to_the_images_is_with_every_run_and_counted_once():
    made = [
        record(task, "clip_micro", "text_prompt", 50.0, seed=seed)
        for task in ("svhn_twin", "dtd_twin", "eurosat_twin")
        for seed in (0, 1)
    ]
    turned, white = "images turned upright: 3", "images put on white: 1,200"
    for one in made[:2]:
        one["task"] |= {"notes": [turned, white]}
    for one in made[2:4]:
        one["task"] |= {"deviations": ["no validation split"], "notes": [turned]}
    told = [dict(run_details.details(one, 20)["facts"]) for one in made]
    assert told[1]["Notes on the images"] == [["1", turned], ["2", white]]
    assert told[2]["Notes on the images"] == [["1", "no validation split"], ["2", turned]]
    assert "Notes on the images" not in told[4]
    name, text = next(iter(provenance.facts(made).items()))
    assert (name, text) == (
        "Notes on the images",
        "4 on 2 datasets; the details of a run have them in words",
    )
    assert "Notes on the images" not in provenance.facts(made[4:])


def test_a_run_without_epochs_or_a_learning_rate_has_no_number_for_it():
    probe = record("svhn_twin", "clip_micro", "linear_probe", 50.0)
    row = dict(zip(run_details.COLUMNS, run_details.row(probe)))
    assert row["lr"] is None and row["Epoch"] is None and row["Accuracy (%)"] == 50.0


def test_headings_are_in_order_and_every_link_has_its_target(page):
    levels = [int(one.name[1]) for one in page.all(None) if re.fullmatch(r"h[1-6]", one.name)]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))
    ids = [one.attributes["id"] for one in page.all(None) if "id" in one.attributes]
    assert len(ids) == len(set(ids))
    links = [link.attributes["href"] for link in page.all("a")]
    inside = [link for link in links if link.startswith("#") and not link.startswith("#run/")]
    assert links[0] == "#main" and {link[1:] for link in inside} <= set(ids)
    named = [one.attributes[name] for one in page.all(None) for name in ("aria-labelledby",)
             if name in one.attributes]  # fmt: skip
    assert set(named) <= set(ids)


def test_every_csv_is_there_in_full_below_its_table_or_figure(page):
    numbers = by_id(page, "prompt_gallery").all("details")[0]
    cells = [[cell.words() for cell in row.children] for row in numbers.all("tr")]
    assert cells == [["task", "measured"], ["dtd", "1.5"], ["svhn", "2"]]
    for name in set(NAMES) - {"cost"}:
        [link] = by_id(page, name).all("a", download=f"{name}.csv")
        assert link.attributes["href"].startswith("data:text/csv;base64,")


def test_what_was_not_run_is_named_and_nothing_crashes(tmp_path, page):
    assert "Not run: there is no cost.csv" in by_id(page, "cost").words()
    names = ["table1", "table3", "figure4", "single_pixel"]
    out = tmp_path / "report.html"
    command = ["--results", str(tmp_path), "--names", *names, "--runs", "absent.manifest.json"]
    assert run("report", *command, "--captions", str(tmp_path), "--out", str(out)) == 0
    empty = read_page(out)
    for name in (*names, "scorecard", "run-records"):
        assert "Not run: there is no" in by_id(empty, name).words(), name
    assert "Nothing has been measured" in by_id(empty, "scale").words()


def test_claims_of_another_scale_than_the_records_are_refused(tmp_path, capsys):
    command = [*write_results(tmp_path), "--out", str(tmp_path / "report.html")]
    path = tmp_path / "results" / "claims.csv"
    path.write_text(path.read_text().replace(",lab,", ",paper,"))
    assert run("report", *command) == 2
    assert "its scale is 'paper', the records' 'lab'" in capsys.readouterr().err


def test_a_csv_without_rows_is_not_run(tmp_path):
    write_csv(tmp_path / "comparisons.csv", COMPARED, [])
    out = tmp_path / "report.html"
    run("report", "--results", str(tmp_path), "--names", "comparisons", "--out", str(out))
    words = by_id(read_page(out), "comparisons").words()
    assert "Not run: comparisons.csv has no rows." in words


def test_equal_results_give_an_equal_page(tmp_path):
    command = write_results(tmp_path)
    for name in ("first", "second"):
        assert run("report", *command, "--out", str(tmp_path / name)) == 0
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_a_picture_is_made_as_small_as_it_must_be_and_keeps_its_shape(tmp_path, monkeypatch):
    pixels = np.random.default_rng(0).integers(0, 256, (120, 240, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "noise.png")
    monkeypatch.setattr(report, "PICTURES", ((200, 90), (100, 85), (50, 80)))
    sizes = {}
    for limit in (10**6, 10_000, 10):
        monkeypatch.setattr(report, "PICTURE_BYTES", limit)
        shown = report.picture(tmp_path / "noise.png")
        sizes[limit] = shown["width"], shown["height"]
    assert sizes == {10**6: (200, 100), 10_000: (100, 50), 10: (50, 25)}
    assert report.picture(tmp_path / "absent.png") is None


def test_a_transparent_picture_stands_on_white(tmp_path):
    Image.new("RGBA", (8, 8), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    data = report.picture(tmp_path / "clear.png")["data"].partition("base64,")[2]
    (tmp_path / "clear.webp").write_bytes(base64.b64decode(data))
    with Image.open(tmp_path / "clear.webp") as image:
        assert image.convert("RGB").getpixel((4, 4)) == (255, 255, 255)


def test_long_curves_are_thinned_but_keep_their_ends_and_the_looks_at_the_test_split():
    history = [
        {"epoch": epoch, "loss": 1 / epoch, "test_accuracy": 50.0 if epoch in (500, 777) else None}
        for epoch in range(1, 1001)
    ]
    thin = run_details.thinned(history, 50)
    assert len(thin["epoch"]) <= 52 and {1, 500, 777, 1000} <= set(thin["epoch"])
    assert thin["epoch"] == sorted(thin["epoch"])
    assert [len(thin[name]) for name in run_details.SERIES] == [len(thin["epoch"])] * 4
    assert thin["loss"][-1] == 0.001 and set(thin["train_accuracy"]) == {None}
    assert run_details.epochs_shown(1) == 200 and run_details.epochs_shown(5000) == 30


def test_a_diverged_run_keeps_its_row_and_its_curve_stays_valid_json(tmp_path):
    one = record("svhn_twin", "clip_micro", "visual_prompt", 10.0)
    one["history"] = [{"epoch": 1, "loss": float("nan"), "test_accuracy": 10.0}]
    manifests = write_all([one], tmp_path / "runs")
    out = tmp_path / "report.html"
    assert run("report", "--runs", *map(str, manifests), "--out", str(out)) == 0
    stored = json.loads(by_id(read_page(out), "run-data").text)
    assert stored["runs"][0]["history"]["loss"] == [None]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        *(("44.923", "44.9"), ("-0.9", "−0.9"), ("24.0", "24.0"), ("40", "40"), ("0.618", "0.62")),
        *(("69840.0", "69,840"), ("1e-05", "0.00"), ("", ""), ("100 vs 62.5", "100 vs 62.5")),
        *(("nan", "nan"), ("inf", "inf")),
    ],
)
def test_numbers_are_shown_with_few_decimals_and_a_real_minus(text, shown):
    assert csv_texts.short(text) == shown


@pytest.mark.parametrize(
    ("name", "heading"),
    [("table1", "Table 1"), ("figure10", "Figure 10"), ("label_mapping", "Label mapping")],
)
def test_a_name_becomes_a_heading(name, heading):
    assert report.title(name) == heading


def test_a_broken_scorecard_or_two_scales_are_one_line_and_no_page(tmp_path, capsys):
    write_csv(tmp_path / "claims.csv", ("id", "claim"), [("a", "b")])
    out = tmp_path / "report.html"
    command = ["--results", str(tmp_path), "--out", str(out)]
    assert run("report", *command) == 2
    complaint = capsys.readouterr().err
    assert "claims.csv: lacks the key section" in complaint and complaint.count("\n") == 1
    both = [
        record("svhn_twin", "clip_micro", "text_prompt", 1.0, scale=scale)
        for scale in ("lab", "desk")
    ]
    runs = map(str, write_all(both, tmp_path / "runs"))
    assert run("report", "--runs", *runs, "--out", str(out)) == 2
    assert "records of two scales" in capsys.readouterr().err and not out.exists()


def test_provenance_is_that_of_the_records(tmp_path, page):
    made = [record("svhn_twin", "clip_micro", "text_prompt", 1.0, seed=seed) for seed in (0, 1)]
    for number, one in enumerate(made):
        one["file"] = str(tmp_path / f"{number}.json")
        (tmp_path / f"{number}.json").touch()
        os.utime(one["file"], (0, 86400 * (365 + number)))
        splits = {"lists/train.json": "ef"}
        one["hashes"] = {"weights": "ab", "world": None, "data": f"c{number}", "splits": splits}
        one["versions"] = {"torch": f"2.{number}"}
        one["measured"] = {"seconds": 1800.0 * (number + 1)}
    facts = provenance.facts(made)
    assert facts["Newest record"] == "1971-01-02 00:00 UTC"
    assert facts["Time in runs and measurements"] == "1 h 30 min"
    assert facts["Device of the runs"] == "cpu (2)"
    assert provenance.versions(made) == {"torch": "2.0, 2.1"}
    assert provenance.hashes(made) == [
        ("weights", "clip_micro", ["ab"]),
        ("data", "svhn_twin", ["c0", "c1"]),
        ("splits", "svhn_twin: lists/train.json", ["ef"]),
    ]
    assert "commit" in by_id(page, "provenance").words() or "not known" in page.text


def test_the_claims_of_the_page_are_those_of_the_file(page):
    shown = [claim.attributes["id"] for claim in by_id(page, "scorecard").all("li")]
    counted = [claim[0] for claim in CLAIMS if claim[0] != "counts"]
    assert shown == [f"claim-{name}" for name in (*counted, "counts")]


def test_the_page_of_the_methods_around_the_paper_judges_none_of_its_claims(tmp_path):
    one = record("svhn_twin", "clip_micro", "visual_prompt", 50.0)
    manifests, out = write_all([one], tmp_path / "runs"), tmp_path / "methods.html"
    runs = ["--results", str(tmp_path), "--runs", *map(str, manifests), "--out", str(out)]
    assert run("report", *runs, "--extensions") == 0  # though there is no claims.csv
    text = out.read_text()
    assert "The methods around" in text and "scorecard" not in text.partition("<style>")[0]
    assert 'id="scorecard"' not in text and 'href="#scorecard"' not in text
