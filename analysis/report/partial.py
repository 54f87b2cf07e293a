"""Partial results: every table, figure and page of the records that are there so far.

What was not run is no reason to wait for it here, and each product names how many of its runs are
there. Nothing is trained, and nothing reads these files.
"""

import sys
import traceback
from importlib import import_module
from pathlib import Path

import pandas

from analysis.claims import claims
from analysis.common import coverage, csv_file, gaps, render, style
from analysis.common.aliases import Record
from analysis.report import latex_document, report
from vpbench.common import atomic_files, strict_json
from vpbench.common.errors import RecordError, UserError
from vpbench.common.hashing import digest
from vpbench.common.messages import first_line
from vpbench.records import reading
from vpbench.records.commits import one_commit
from vpbench.spec.analyses import ANALYSES

KINDS = ("runs", "measurements")
Records = dict[str, Record]  # path -> record


def there(expected: dict[str, str]) -> Records:
    """Returns the sound records among path -> digest of the spec that it must come from.

    Of those that are there and are left out stderr says why.
    """
    found = {}
    for path, wanted in expected.items():
        if not Path(path).exists():
            continue
        try:
            record = reading.read(path)
            if digest([record["spec"]]) != wanted:
                raise RecordError(f"{path}: was made from another spec than is asked for")
        except UserError as error:
            print(f"warning: left out: {error}", file=sys.stderr)
        else:
            found[path] = record | {"file": path}
    return found


def counts(parts: dict[str, list[str]], found: Records) -> str:
    """Returns how many of the paths of each of KINDS are `found`, in words."""
    return ", ".join(
        f"{sum(path in found for path in parts[kind]):,} of {len(parts[kind]):,} {kind}"
        for kind in KINDS
        if kind == "runs" or parts[kind]
    )


def write_analysis(
    name: str, parts: dict[str, list[str]], found: Records, out: Path, alike: bool = False
) -> bool:
    """Returns whether the products of an analysis could be made of the records that are there.

    Where they could not they say why: its own line, or the last one of a traceback, which is on
    stderr. They must be `alike` in the commit of the code where a configuration says so.
    """
    entry, path = ANALYSES[name], out / f"{name}.csv"
    inputs = [[found[each] for each in parts[kind] if each in found] for kind in KINDS]
    figures = [out / "figures"] if entry.kind == "figure" else []
    try:
        module = import_module(entry.module)
        kept = inputs if entry.reads_measurements else inputs[:1]
        if alike:
            one_commit(record for records in kept for record in records)
        module.write(*kept, path, *figures, **entry.options)
    except Exception as error:
        if not isinstance(error, UserError):
            traceback.print_exc()
        reason = f"Not made of these records: {first_line(error)}"
        print(f"warning: {name}: {reason}", file=sys.stderr)
        write_reason(name, reason, path, out)
        return False
    return True


def write_reason(name: str, reason: str, path: Path, out: Path) -> None:
    """Writes products of an analysis that only say why they could not be made."""
    frame = pandas.DataFrame({"not made": [reason]})
    if ANALYSES[name].kind == "table":
        render.write(path, frame, ["Model", "Method"], [], reason)
        return
    if ANALYSES[name].kind == "csv":
        csv_file.write_csv(frame, path)
        return
    import matplotlib.pyplot as plt

    csv_file.write_csv(frame, path)
    style.set_theme()
    figure = plt.figure(figsize=(style.WIDTH, 2), layout="constrained")
    gaps.explain(figure.subplots(), reason)
    style.save(figure, out / "figures", name)


def write(request: Path, captions: Path, out: Path) -> None:
    """Writes all products that a file asks for, see `vpbench.spec.products.partial_request`."""
    asked = strict_json.read_json(request)
    found = there(asked["records"])
    made = []
    for name, parts in asked["analyses"].items():
        with coverage.counted(counts(parts, found)):
            if write_analysis(name, parts, found, out, asked["one_commit"]):
                made.append(name)
    with coverage.counted(counts(asked["all"], found)):
        print(f"{coverage.said()} are there: {out / 'report.html'}")
        claims.write(out, made, asked["scale"], asked["kind"], out / "claims.csv")
        tables = [name for name in asked["analyses"] if ANALYSES[name].kind == "table"]
        latex_document.write([out / f"{name}.tex" for name in tables], captions, out / "tables.tex")
        configs = [Path(path) for path in asked["configs"]]
        names = list(asked["analyses"])
        text = report.page(list(found.values()), out, names, captions, configs, made=made)
        atomic_files.write_bytes(out / "report.html", text.encode())
