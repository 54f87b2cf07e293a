"""`python -m analysis NAME ...` makes one table, figure or page; `@FILE`: an argument per line."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from vpbench.common import strict_json
from vpbench.common.errors import RecordError, UserError
from vpbench.common.implementations import imported
from vpbench.common.messages import instead
from vpbench.records import reading
from vpbench.records.commits import one_commit
from vpbench.spec.analyses import ANALYSES, PAGES, Analysis

RESULTS, CAPTIONS = Path("results"), Path("workflow/report")  # where they are by default


class Parser(argparse.ArgumentParser):
    """The one of argparse, which says a mistake, such as a request that is damaged, in one line."""

    def error(self, message: str) -> NoReturn:
        raise UserError(f"{self.prog}: {message}")


TAKES = argparse.ArgumentParser


def analysis_options(parser: TAKES, analysis: Analysis) -> None:
    """Adds the options of an analysis, which reads records."""
    many: dict[str, Any] = {"nargs": "*", "default": [], "metavar": "PATH"}
    parser.add_argument("--runs", help="manifests or records", **many)
    parser.add_argument("--select", metavar="JSON", help="slice of the records; a text or a file")
    parser.add_argument("--digests", metavar="JSON", help="path -> digest that its specs must have")
    text = "refuse records of other commits, and of changed code"
    parser.add_argument("--one-commit", action="store_true", help=text)
    parser.add_argument("--out", required=True, type=Path, metavar="CSV")
    if analysis.kind == "figure":
        parser.add_argument("--figures", default=RESULTS / "figures", type=Path, metavar="FOLDER")
    if analysis.reads_measurements:
        parser.add_argument("--measurements", help="their manifests or records", **many)


def claims_options(parser: TAKES) -> None:
    """Adds the options of the scorecard of claims."""
    parser.add_argument("--results", default=RESULTS, type=Path, help="folder with the csv files")
    parser.add_argument("--names", nargs="*", metavar="NAME", help="csv files to read; else all")
    parser.add_argument("--scale", required=True, metavar="NAME", help="that of the records")
    parser.add_argument("--kind", metavar="KIND", help="the kind of that scale")
    parser.add_argument("--out", required=True, type=Path, metavar="CSV")


def document_options(parser: TAKES) -> None:
    """Adds the options of the LaTeX document."""
    parser.add_argument("--tables", nargs="*", default=[], type=Path, metavar="TEX")
    parser.add_argument("--captions", default=CAPTIONS, type=Path, metavar="FOLDER")
    parser.add_argument("--out", required=True, type=Path, metavar="TEX")


def report_options(parser: TAKES) -> None:
    """Adds the options of the page."""
    parser.add_argument("--results", default=RESULTS, type=Path, metavar="FOLDER")
    parser.add_argument("--names", nargs="*", default=[], metavar="NAME", help="analyses, in order")
    parser.add_argument("--runs", nargs="*", default=[], metavar="PATH", help="manifests, records")
    parser.add_argument("--captions", default=CAPTIONS, type=Path, metavar="FOLDER")
    parser.add_argument("--config", nargs="*", default=[], type=Path, metavar="YAML")
    parser.add_argument("--extensions", action="store_true", help="without the paper's claims")
    parser.add_argument("--out", required=True, type=Path, metavar="HTML")


def partial_options(parser: TAKES) -> None:
    """Adds the options of partial results."""
    text = "JSON file of what there should be: vpbench.spec.products.partial_request"
    parser.add_argument("request", type=Path, metavar="FILE", help=text)
    parser.add_argument("--captions", default=CAPTIONS, type=Path, metavar="FOLDER")
    parser.add_argument("--out", default=RESULTS / "partial", type=Path, metavar="FOLDER")


PAGE_OPTIONS: dict[str, Callable[[TAKES], None]] = {
    "claims": claims_options,
    "latex_document": document_options,
    "report": report_options,
    "partial": partial_options,
}


def parser_of(name: str, description: str | None) -> TAKES:
    """Returns the parser of the analysis or page `name`."""
    parser = Parser(
        prog=f"python -m analysis {name}", description=description, fromfile_prefix_chars="@"
    )
    if name in ANALYSES:
        analysis_options(parser, ANALYSES[name])
    else:
        PAGE_OPTIONS[name](parser)
    return parser


def run_analysis(analysis: Analysis, write: Callable[..., None], given: dict[str, Any]) -> None:
    """Writes the table or figure of the records in the files that were given."""
    digests = json_argument("--digests", given["digests"])
    select = json_argument("--select", given["select"])
    inputs: list[Any] = [reading.load(given["runs"], select, digests)]
    if analysis.reads_measurements:
        inputs.append(reading.load(given["measurements"], digests=digests))
    if given["one_commit"]:
        one_commit(record for records in inputs for record in records)
    outputs = [given["out"], *([given["figures"]] if analysis.kind == "figure" else [])]
    write(*inputs, *outputs, **analysis.options)


def json_argument(option: str, text: str | None) -> dict[str, Any] | None:
    """Returns the JSON object given as text or as the name of a file; None where none was given."""
    if text is None:
        return None
    content = text if text.lstrip().startswith("{") else Path(text).read_bytes()
    try:
        value = strict_json.parse_json(content)
    except ValueError as error:
        raise RecordError(f"{option}: broken JSON, {error}") from None
    if not isinstance(value, dict):
        raise RecordError(f"{option}: expected a JSON object")
    return value


def main(argv: list[str] | None = None) -> int:
    """Returns the exit code: 0, or 2 after one line on stderr."""
    name, *arguments = (sys.argv[1:] if argv is None else argv) or [""]
    try:
        if name not in (*ANALYSES, *PAGES):
            raise UserError(f"{name!r} is no analysis; {instead(name, (*ANALYSES, *PAGES))}")
        module: Any = imported(PAGES[name] if name in PAGES else ANALYSES[name].module)
        given = vars(parser_of(name, module.__doc__).parse_args(arguments))
        if name in ANALYSES:
            run_analysis(ANALYSES[name], module.write, given)
        else:
            module.write(**given)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
