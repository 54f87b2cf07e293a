"""Report: one page with the claims, every table and figure, every run, and where they come from.

The page is complete in itself: pictures, style and script are inside, and it opens from disk.
"""

import io
import json
import re
from pathlib import Path
from typing import Any

import jinja2
import pandas
from markupsafe import Markup
from PIL import Image

from analysis.common import captions, cells, coverage, render, style
from analysis.common.aliases import Record
from analysis.common.render import Shown
from analysis.common.scales import Scale, scale_of
from analysis.figures import accuracy
from analysis.report import found, provenance, reference, run_details
from analysis.report.csv_texts import Table, data_url, dictionaries, is_number, read_csv, short
from analysis.report.scorecard import scorecard
from analysis.report.statements import statement
from analysis.tables import table_accuracy
from vpbench.common import atomic_files
from vpbench.records import reading

PAGE = Path(__file__).parent / "page"
PICTURES = ((2100, 90), (1700, 85), (1300, 80))  # width, quality: the first that is small enough
PICTURE_BYTES = 350_000


def title(name: str) -> str:
    """Returns the name of an analysis as a heading, e.g. Table 1 or Label mapping."""
    words = re.sub(r"(\D)(\d+)$", r"\1 \2", name).replace("_", " ")
    return words[:1].upper() + words[1:]


def picture(path: Path) -> dict[str, Any] | None:
    """Returns the picture `path` for the page: its data, width and height; None without a file."""
    if not path.exists():
        return None
    with Image.open(path) as image:
        canvas = Image.new("RGB", image.size, "white")
        canvas.paste(image, mask=image.convert("RGBA").getchannel("A"))
    for width, quality in PICTURES:
        height = round(canvas.height * min(1, width / canvas.width))
        shown = canvas.resize((min(width, canvas.width), height), Image.Resampling.LANCZOS)
        buffer = io.BytesIO()
        shown.save(buffer, "WEBP", quality=quality)
        if buffer.tell() <= PICTURE_BYTES:
            break
    data = data_url("image/webp", buffer.getvalue())
    return {"data": data, "width": shown.width, "height": shown.height}


def rendered(path: Path, table: Table, scale: Scale) -> tuple[list[str], list[list[Shown]]]:
    """Returns heads and rows of (measured, published, shaded) of a table of the paper's.

    There are none of a CSV that has another form; that is shown as it is.
    """
    heads, rows = table
    if path.stem.startswith("table") and rows and set(cells.COLUMNS) <= set(heads):
        return render.layout(pandas.read_csv(path), scale)
    if path.stem.startswith("table") and rows and set(accuracy.COLUMNS) <= set(heads):
        return table_accuracy.layout(pandas.read_csv(path), scale)
    if any(head.startswith("published_") for head in heads):
        return paired(table)
    return [], []


def paired(table: Table) -> tuple[list[str], list[list[Shown]]]:
    """Returns heads and rows of a table that has, of some columns, the paper's as well."""
    heads, _ = table
    names = [head for head in heads if not head.startswith("published_")]
    names = [name for name in names if name != coverage.column(heads)]
    names = [name for name in names if not (name == "task" and "name" in heads)]
    rows = []
    for row in dictionaries(table):
        shown = {name: display(name, text) for name, text in row.items()}
        rows.append([render.fact(shown[n], shown.get(f"published_{n}", shown[n])) for n in names])
    return [title(name) for name in names], rows


def display(column: str, text: str) -> str:
    """Returns an entry of a table of facts as it is read."""
    if column == "role":
        return style.role_name(text)
    return short(text)


def legend(path: Path) -> str:
    """Returns what shading means, as the table's Markdown says; empty if it shades nothing."""
    if not path.exists():
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    legends = [line for line in lines if line.startswith(render.MARK)]
    return legends[-1].removeprefix(render.MARK).strip() if legends else ""


def analysis(
    name: str, results: Path, folder: Path, scale: Scale, other: Path | None
) -> dict[str, Any]:
    """Returns what the page shows of one analysis: a figure, else a table, and all its numbers.

    Beside the cells of a table stand those of the reference run, whose tables are in `other`.
    """
    path, text = results / f"{name}.csv", captions.of_analysis(name, folder)
    shown: dict[str, Any] = {
        "name": name,
        "title": title(name),
        "caption": text,
        "file": f"{name}.csv",
    }
    shown["picture"] = picture(results / "figures" / f"{name}.png")
    shown["alt"] = f"{title(name)}. {captions.first_sentence(text)}".strip()
    shown["numbers"] = numbers = read_csv(path)
    if numbers:
        there = coverage.column(numbers[0])
        shown["caption"] = f"{there}. {text}".strip() if there else text
        columns = range(len(numbers[0]))
        numeric = [
            all(is_number(row[column]) for row in numbers[1] if row[column]) for column in columns
        ]
        shown["numeric"] = numeric
        shown["download"] = data_url("text/csv", path.read_bytes())
        if not shown["picture"]:
            shown["heads"], rows = rendered(path, numbers, scale)
            theirs = reference.table(other / path.name, scale) if other else {}
            shown["reference"] = bool(theirs)
            shown["rows"] = [
                [
                    (*cell, theirs.get((row[0][0], row[1][0], head), ""))
                    for head, cell in zip(shown["heads"], row)
                ]
                for row in rows
            ]
            shown["legend"] = legend(path.with_suffix(".md"))
    return shown


def slug(verdict: str) -> str:
    """Returns a verdict as a word of a style, e.g. undecided-still-rising."""
    return re.sub(r"\W+", "-", verdict).strip("-")


def run_table(loaded: list[Record]) -> dict[str, Any]:
    """Returns heads, rows, choices of the filters and details of the table of all runs."""
    rows = [run_details.row(record) for record in loaded]
    epochs = run_details.epochs_shown(len(loaded))
    heads = run_details.COLUMNS
    columns = dict(zip(heads, zip(*rows))) if rows else {}
    choices = {head: list(dict.fromkeys(columns.get(head, []))) for head in run_details.FILTERS}
    return {
        "heads": heads,
        "choices": {head: (list(heads).index(head), values) for head, values in choices.items()},
        "rows": [
            (
                run_details.key(record),
                [(value, run_details.shown(value, head)) for value, head in zip(row, heads)],
            )
            for record, row in zip(loaded, rows)
        ],
        "details": as_json(
            {
                "metrics": list(run_details.METRICS.values()),
                "runs": [run_details.details(record, epochs) for record in loaded],
            }
        ),
    }


def as_json(value: Any) -> Markup:
    """Returns `value` as JSON that may stand inside a script element."""
    text = json.dumps(atomic_files.plain(value), ensure_ascii=False, separators=(",", ":"))
    return Markup(text.replace("<", r"\u003c"))


def page(
    loaded: list[Record],
    results: Path,
    names: list[str],
    folder: Path,
    configs: list[Path],
    judged: bool = True,
    made: list[str] | None = None,
) -> str:
    """Returns the text of the page; if the paper is `judged`, with the scorecard of its claims.

    Where the user chose the datasets there is none: the paper claims nothing about them. What was
    found is read from the analyses `made`, by default from all `names`.
    """
    scale = scale_of(loaded)
    judged = judged and not scale.chosen_datasets
    runs = [record for record in loaded if "measurement" not in record["spec"]]
    other = reference.folder(results, scale)
    analyses = [analysis(name, results, folder, scale, other) for name in names]
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(PAGE),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["slug"] = slug
    return environment.get_template("template.html").render(
        style=Markup((PAGE / "style.css").read_text(encoding="utf-8")),
        script=Markup((PAGE / "script.js").read_text(encoding="utf-8")),
        scale=scale.name,
        scale_name=scale.title,
        statement=captions.typographic(statement(scale)),
        glance=glance(runs),
        found=found.found(results, names if made is None else made, other) if judged else None,
        scorecard=scorecard(results / "claims.csv", scale.name, other) if judged else None,
        chosen=scale.chosen_datasets,
        claims_caption=captions.read(folder / "claims.rst"),
        tables=[shown for shown in analyses if not is_figure(shown)],
        figures=[shown for shown in analyses if is_figure(shown)],
        mark=render.MARK,
        missing=render.MISSING,
        runs=run_table(runs),
        facts=provenance.facts(loaded),
        versions=provenance.versions(loaded),
        hashes=provenance.hashes(runs),
        configs=[(path.as_posix(), path.read_text(encoding="utf-8")) for path in configs],
    )


def glance(made: list[Record]) -> list[str]:
    """Returns how much was run, in a few words."""
    counts: list[tuple[int, str]] = [] if coverage.said() else [(len(made), "runs")]
    for key, what in (("task", "datasets"), ("backbone", "backbones"), ("method", "methods")):
        counts.append((len({record["spec"][key] for record in made}), what))
    words = [f"{count:,} {what if count != 1 else what[:-1]}" for count, what in counts]
    return [coverage.said(), *words] if coverage.said() else words


def is_figure(shown: dict[str, Any]) -> bool:
    """Returns whether an analysis belongs to the figures; one that was not run may be either."""
    return bool(shown["picture"]) or not (shown["numbers"] or shown["name"].startswith("table"))


def write(
    results: Path,
    names: list[str],
    runs: list[str],
    captions: Path,
    config: list[Path],
    extensions: bool,
    out: Path,
) -> None:
    """Writes the page of the analyses `names` in the folder `results`, and of all `runs`.

    That of the `extensions` of the paper has no scorecard of its claims.
    """
    loaded = reading.load(runs)
    text = page(loaded, results, names, captions, config, judged=not extensions)
    atomic_files.write_bytes(out, text.encode())
