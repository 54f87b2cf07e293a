"""The command line that all analyses share."""

import argparse
import sys
from pathlib import Path

from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import RecordError, UserError
from vpbench.records import reading


def run(description, analyse, argv=None, figures=False, measurements=False):
    """Returns the exit code of the analysis `analyse(records, out)`: 2 after a one-line complaint.

    With `measurements`, it is called with the records of the measurements after those of the runs;
    with `figures`, with the folder for the figure as last argument.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--runs", nargs="*", default=[], metavar="PATH", help="manifests or records"
    )
    parser.add_argument("--select", metavar="JSON", help="slice of the records; a text or a file")
    parser.add_argument("--digests", metavar="JSON", help="path -> digest that its specs must have")
    parser.add_argument("--out", required=True, type=Path, metavar="CSV")
    if figures:
        parser.add_argument("--figures", default=Path("results/figures"), type=Path)
    if measurements:
        parser.add_argument("--measurements", nargs="*", default=[], metavar="PATH")
    arguments = parser.parse_args(argv)

    def work():
        select = json_argument("--select", arguments.select)
        digests = json_argument("--digests", arguments.digests)
        loaded = [reading.load(arguments.runs, select, digests)]
        if measurements:
            loaded.append(reading.load(arguments.measurements, digests=digests))
        places = (arguments.out, arguments.figures) if figures else (arguments.out,)
        analyse(*loaded, *places)

    return exit_code(work)


def exit_code(work):
    """Returns 0 once `work()` is done, or 2 after its complaint in one line on stderr."""
    try:
        work()
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def json_argument(option, text):
    """Returns the JSON object given as text or as the name of a file; None where none was given."""
    if text is None:
        return None
    if not text.lstrip().startswith("{"):
        text = Path(text).read_bytes()
    try:
        value = strict_json.parse_json(text)
    except ValueError as error:
        raise RecordError(f"{option}: broken JSON, {error}") from None
    if not isinstance(value, dict):
        raise RecordError(f"{option}: expected a JSON object")
    return value


def scale_of(loaded):
    """Returns the scale of the loaded records, None if there are none; two are refused."""
    scales = sorted({record["spec"]["scale"] for record in loaded})
    if len(scales) > 1:
        raise RecordError(f"records of two scales: {scales[0]} and {scales[1]}; give one")
    return scales[0] if scales else None


def write_csv(frame, out):
    """Returns `out` once `frame` is there, whole; numbers have at most three decimals."""
    text = frame.round(3).to_csv(index=False, lineterminator="\n")
    return atomic_files.write_bytes(out, text.encode())
