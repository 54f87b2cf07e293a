"""All that is generated: fragments, the values of the pages, and a part of the README."""

import json
from pathlib import Path

from docs.generate import costs, descriptions, lab, others, settings
from vpbench.common.errors import UserError

MARKS = ("<!-- results:begin -->", "<!-- results:end -->")  # of the README
BENCHMARKS = {"xeon": "benchmarks.md", "epyc": "benchmarks_avx2.md"}


def values(root: Path) -> dict[str, str]:
    """Returns name -> text of every number that pages name."""
    data = root / "docs/data"
    tables = {name: lab.read(data / name) for name in ("lab", "desk")}
    named = lab.values(tables["lab"]) | costs.values(root)
    for name, files in tables.items():
        named[f"{name}_speedrun_reached"] = others.reached(files["speedrun"])
    for machine, file in BENCHMARKS.items():
        named |= others.benchmark_values((data / file).read_text(), machine)
    return named | {row["name"]: row["value"] for row in others.reported(data / "reported.csv")}


def fragments(root: Path) -> dict[str, str]:
    """Returns name -> Markdown of every table that pages include."""
    data = root / "docs/data"
    tables, desk = lab.read(data / "lab"), lab.read(data / "desk")
    numbers = others.reported(data / "reported.csv")
    parts = lab.fragments(tables) | others.fragments(tables, desk, numbers)
    return parts | descriptions.fragments() | settings.fragments()


def readme(root: Path) -> str:
    """Returns the README with the results between its marks."""
    text = (root / "README.md").read_text()
    if [text.count(mark) for mark in MARKS] != [1, 1]:
        raise UserError(f"README.md must have {MARKS[0]} and {MARKS[1]} once each")
    before, rest = text.split(MARKS[0])
    after = rest.split(MARKS[1])[1]
    tables = lab.read(root / "docs/data/lab")
    named = values(root)
    names = ("all", "appear", "contrary", "undecided", "rising")
    counts = [named[f"claims_{each}"] for each in names]
    verdicts = (
        "Of {} findings of the paper {} appear at lab scale, {} do not, {} are undecided and {} "
        "more because training was too short to tell; {} not run.".format(
            *counts, not_run(named["claims_not_run"])
        )
    )
    return f"{before}{MARKS[0]}\n{lab.overview(tables)}\n{verdicts}\n{MARKS[1]}{after}"


def not_run(count: str) -> str:
    """Returns how many findings were not run, in words."""
    return f"{count} was" if count == "1" else f"{count} were"


def generated(root: Path) -> dict[Path, str]:
    """Returns path -> text of everything that is generated."""
    folder = root / "docs/generated"
    files = {folder / f"{name}.md": text for name, text in fragments(root).items()}
    named = json.dumps(dict(sorted(values(root).items())), indent=1, ensure_ascii=False) + "\n"
    return files | {folder / "values.json": named, root / "README.md": readme(root)}


def stale(root: Path) -> dict[Path, str]:
    """Returns path -> text of everything generated that is not what the file says."""
    return {
        path: text
        for path, text in generated(root).items()
        if not path.is_file() or path.read_text() != text
    }
