"""The tables as one LaTeX document, made into a PDF by pdflatex and read again by poppler."""

import os
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from analysis.report import latex_document
from tests.helpers.analyses import run, write_table
from tests.helpers.fake_records import by_method, grid
from tests.helpers.fake_sides import beside

TABLES = tuple(f"table{number}" for number in range(1, 7))
CAPTION = "Caption of ``{}``: 100 % of a_b & c {{}} ~ $5 <than> #1,\nit's “−3 × 10” ± 2 ≥ é ☃.\n"
WIDER = 2  # points by which a line may be wider than the page


def program(name):
    """Returns the path of a program; without it the test is skipped, or fails if required."""
    found = shutil.which(name)
    if not found:
        required = os.environ.get("VPBENCH_REQUIRE_LATEX") == "1"
        (pytest.fail if required else pytest.skip)(f"not installed: {name}")
    return found


def write_document(folder, made):
    """Returns the path of the document of all tables of the records `made`, and of one not run."""
    for name in TABLES:
        write_table(name, made, folder / f"{name}.csv")
        (folder / f"{name}.rst").write_text(CAPTION.format(name), encoding="utf-8")
    paths = [str(folder / f"table{number}.tex") for number in range(1, 8)]
    out = folder / "tables.tex"
    command = ["--tables", *paths, "--captions", str(folder), "--out", str(out)]
    assert run("latex_document", *command) == 0
    return out


def lines_of(name, *arguments):
    """Returns what a program of poppler prints about a PDF."""
    return subprocess.run(
        [program(name), *map(str, arguments)], capture_output=True, text=True, check=True
    ).stdout


def compile_document(path):
    """Returns the log of pdflatex; an error in the document ends it with that error."""
    done = subprocess.run(
        [program("pdflatex"), "-interaction=nonstopmode", "-halt-on-error", path.name],
        cwd=path.parent,
        env=os.environ | {"max_print_line": "1000"},
        capture_output=True,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Returns the PDF of all tables, and the log of pdflatex."""
    folder = tmp_path_factory.mktemp("latex")
    path = write_document(folder, [beside(one, folder / "runs") for one in grid(by_method)])
    log = compile_document(path)
    return path.with_suffix(".pdf"), log


def test_every_table_is_on_a_page_of_its_own_within_its_margins(compiled):
    _, log = compiled
    assert "(7 pages," in log
    overfull = [float(width) for width in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert max(overfull, default=0) < WIDER and "Overfull \\vbox" not in log


def test_the_pdf_says_what_the_tables_say(compiled):
    pages = lines_of("pdftotext", "-layout", compiled[0], "-").split("\f")
    assert [re.search(r"Table \d", page)[0] for page in pages[:7]] == [
        f"Table {number}" for number in range(1, 8)
    ]
    assert "100 % of a_b & c {} ~ $5 <than> #1, it’s “−3 × 10” ± 2 ≥ é [U+2603]." in pages[0]
    assert "(96.4)" in pages[0] and "EuroSAT twin" in pages[0]
    assert "Visual prompt above linear probe: the whole 95 % interval" in pages[3]
    assert "594,657" in pages[2] and "This is a photo of {} objects" in pages[5]
    assert "Not run: there is no table7.tex." in pages[6]
    assert all("Lab scale: procedural twins" in page for page in pages[:6])


def test_every_font_is_an_outline_inside_the_pdf(compiled):
    fonts = lines_of("pdffonts", compiled[0]).splitlines()[2:]
    assert fonts
    for font in fonts:
        assert "Type 1" in font and re.search(r"\s(yes)\s+(yes|no)\s+(yes|no)\s", font), font


def test_shading_is_there_to_be_seen(compiled):
    pdf, _ = compiled
    lines_of("pdftoppm", "-r", "60", "-png", pdf, pdf.with_suffix(""))
    green = {}
    for number in (1, 2, 4):
        with Image.open(pdf.with_name(f"tables-{number}.png")) as image:
            pixels = np.asarray(image.convert("RGB"))
        green[number] = int((pixels == (204, 255, 204)).all(axis=2).sum())
    assert green[1] > 500 and green[4] > 500 and green[2] == 0  # Table 2 shades nothing


def test_without_measurements_it_still_compiles(tmp_path):
    assert "(7 pages," in compile_document(write_document(tmp_path, []))


@pytest.mark.parametrize(
    ("text", "latex"),
    [
        ("a – b — c", "a -- b --- c"),
        ("−1 ≤ ρ", r"\ensuremath{-}1 \ensuremath{\leq} \ensuremath{\rho}"),
        ("é ü ß", "é ü ß"),
        ("☃", r"\texttt{[U+2603]}"),
        (r"\midrule & 5\%", r"\midrule & 5\%"),
    ],
)
def test_characters_that_pdflatex_does_not_know_are_replaced(text, latex):
    assert latex_document.symbols(text) == latex


def test_a_document_that_cannot_be_written_is_one_line(tmp_path, capsys):
    (tmp_path / "file").touch()
    command = ["--tables", "table1.tex", "--out", str(tmp_path / "file" / "tables.tex")]
    assert run("latex_document", *command) == 2
    complaint = capsys.readouterr().err
    assert complaint.startswith("error: ") and complaint.count("\n") == 1
