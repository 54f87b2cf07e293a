"""Claims: for every finding of the paper, whether it appears in what was measured here.

The findings, the published numbers and the rules in words are in `analysis/published/claims.csv`;
the rules themselves are in `analysis/claims/rules.py` and read the csv files of the other analyses.
Numbers are above 0 where a claim is right. Except at paper scale only their signs are judged.
A verdict stands only if it also holds after all that more training may still change.
"""

import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pandas

from analysis.claims.rules import RULES
from analysis.common import coverage, effects, published
from analysis.common.aliases import Row
from analysis.common.csv_file import write_csv
from analysis.common.effects import (
    APPEARS,
    CONTRARY,
    MOVES,
    NOT_RUN,
    STILL_RISING,
    UNDECIDED,
    NotRun,
)
from analysis.common.scales import Scale
from vpbench.common.atomic_files import write_bytes
from vpbench.common.errors import RecordError

COLUMNS = (
    *("id", "section", "claim", "published", "measured", "low", "high", "rule", "verdict", "scale"),
    *("unit", "best_test", "tolerance", "source", "note", "finding", *MOVES),
)
NEEDED = {  # csv file -> the columns that rules read, besides those of MOVES
    "comparisons": ("role", "task", "rival", "difference", "low", "high"),
    "dataset_properties": ("task", "statistic", "value", "low", "high"),
    "ablation_prompt_size": (
        *("template", "size", "parameters", "rate", "measured", "low", "high"),
    ),
    "single_pixel": ("template", "size", "rate", "gain", "gain_low", "gain_high"),
    "label_mapping": ("variant", "difference", "difference_low", "difference_high"),
    "text_prompt_quality": ("variant", "statistic", "value", "low", "high"),
    "ablation_architecture": (
        *("role", "backbone", "architecture", "parameters", "method", "measured", "low", "high"),
    ),
    "deployability": ("backbone", "task", "condition", "quality", "accuracy", "low", "high"),
}
TABLES = {"table1": False, "table2": True, "table4": False, "table5": True}  # about shifts?
SIZED = "paper"  # the kind of scale, of the paper's data and models, where sizes must agree, too
CELL = ("role", "method", "task", "selection_gap")  # the same of the tables
MARKS = {
    APPEARS: "\N{HEAVY CHECK MARK}",
    CONTRARY: "\N{BALLOT X}",
    UNDECIDED: "?",
    STILL_RISING: "\N{UPWARDS ARROW}",
    NOT_RUN: "\N{EN DASH}",
}
HEADS = ["Verdict", "Claim", "Section", "Paper", "Measured (95 % interval)"]
HEADS += ["More training may change it by", "At the best test epoch", "Unit", "Rule"]
COUNTED = "yes"  # the `finding` of a claim that is counted
DECIMALS = {"points": 1, "parameters": 0}  # of a number of this unit; of any other, two


def read(folder: str | Path, names: list[str] | None = None) -> dict[str, pandas.DataFrame]:
    """Returns name -> csv file of an analysis, of those (of `names`) that are in the folder.

    The tables are one, `tables`, where the average of the shifts is shift_average.
    """
    frames, cells = {}, []
    needed = {name: (*columns, *MOVES) for name, columns in NEEDED.items()}
    for name, columns in (needed | dict.fromkeys(TABLES, CELL)).items():
        path = Path(folder, f"{name}.csv")
        if not path.exists() or (names is not None and name not in names):
            continue
        frame = pandas.read_csv(path)
        absent = [column for column in columns if column not in frame]
        if absent:
            raise RecordError(f"{path}: lacks the column {absent[0]}; make it again")
        if name in TABLES:
            shift = {"task": {"average": "shift_average"}} if TABLES[name] else {}
            cells.append(frame.replace(shift))
        else:
            frames[name] = frame
    if cells:
        frames["tables"] = pandas.concat(cells)
    return frames


def at_best_test(frames: dict[str, pandas.DataFrame]) -> pandas.DataFrame | None:
    """Returns the comparisons as they are if every run is read at its best test epoch.

    The selection_gap of the tables says how much that adds; None without comparisons or tables.
    """
    if not {"comparisons", "tables"} <= set(frames):
        return None
    comparisons, tables = frames["comparisons"], frames["tables"]
    gap = dict(zip(zip(tables.role, tables.method, tables.task), tables.selection_gap))
    added = [
        gap.get((row.role, "visual_prompt", row.task), math.nan)
        - gap.get((row.role, row.rival, row.task), math.nan)
        for row in comparisons.itertuples()
    ]
    numbers = ["difference", "low", "high"]
    return comparisons.assign(**{name: comparisons[name] + added for name in numbers})


def apply(claim: Any, frame: pandas.DataFrame | None, scale: Scale) -> Row:
    """Returns the finding of the claim's rule on `frame`, the csv file of its source."""
    if frame is None:
        raise NotRun("is missing")
    return RULES[claim.id](frame, claim, scale)


def judge(
    claim: Any,
    frames: dict[str, pandas.DataFrame],
    best_frame: pandas.DataFrame | None,
    scale: Scale,
) -> Row:
    """Returns the row of a claim: the numbers, the verdict, and in a note why if it was not run.

    `best_frame` are the comparisons at the best test epoch, None without any.
    """
    row = {name: getattr(claim, name) for name in COLUMNS if hasattr(claim, name)}
    row |= {"scale": scale.name, "best_test": math.nan}
    try:
        finding = apply(claim, frames.get(claim.source), scale)
    except NotRun as error:
        return row | not_run(claim, f"{claim.source}.csv {error}")
    best, compared = None, claim.source == "comparisons"
    if compared:
        with suppress(NotRun):
            best = apply(claim, best_frame, scale)
            row["best_test"] = best["measured"]
    if scale.kind == SIZED and not math.isnan(claim.tolerance):
        if compared and not best:
            return row | not_run(claim, "the tables lack a selection_gap that its size needs")
        finding = with_size(finding, best, claim)
    rising = effects.arms_text(finding["rising"])
    return row | finding | {"rising": rising, "note": joined(claim.note, finding["note"])}


def not_run(claim: Any, reason: str) -> Row:
    """Returns what a row holds if its rule could not be applied."""
    empty = dict.fromkeys(("measured", "low", "high", "up", "down"), math.nan)
    return empty | {
        "rising": "",
        "verdict": NOT_RUN,
        "note": joined(claim.note, f"Not run: {reason}"),
    }


def with_size(finding: Row, best: Row | None, claim: Any) -> Row:
    """Returns the finding, which at paper scale must also have the published size.

    The paper reads the best test epoch, so a size that appears there appears, too.
    """
    if finding["verdict"] != APPEARS:
        return finding
    readings = {"as the tables read it": finding}
    if best:
        readings["at the best test epoch"] = best
    at_least = claim.relation == "at_least"
    sizes = {
        name: effects.size_verdict(reading, claim.published, claim.tolerance, at_least)
        for name, reading in readings.items()
    }
    order = APPEARS, STILL_RISING, UNDECIDED, CONTRARY
    name = min(sizes, key=lambda name: order.index(sizes[name]))
    verb = "is " if sizes[name] in (UNDECIDED, STILL_RISING) else ""
    note = f"The direction appears; the size {verb}{sizes[name]}, {name}"
    return finding | {"verdict": sizes[name], "note": joined(finding["note"], note)}


def joined(*notes: str) -> str:
    """Returns notes as one text."""
    return ". ".join(note for note in notes if note)


def scorecard(folder: str | Path, scale: Scale, names: list[str] | None = None) -> pandas.DataFrame:
    """Returns one row per claim, with the columns COLUMNS, from the csv files (of `names`)."""
    frames = read(folder, names)
    best = at_best_test(frames)
    rows = [judge(claim, frames, best, scale) for claim in published.claims().itertuples()]
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def markdown(frame: pandas.DataFrame, scale: Scale) -> str:
    """Returns the scorecard in Markdown, below how many of the findings have each verdict.

    Claims that are not counted are in a table of their own.
    """
    findings = frame.finding == COUNTED
    counts = frame.verdict[findings].value_counts()
    total = ", ".join(f"{MARKS[name]} {name}: {counts.get(name, 0)}" for name in effects.VERDICTS)
    lines = [f"{coverage.after(scale.title)}. Of {sum(findings)} findings {total}.", ""]
    lines += markdown_table(frame[findings])
    if not findings.all():
        lines += ["", "Not counted, because nearly any result would have them:", ""]
        lines += markdown_table(frame[~findings])
    return "\n".join(lines) + "\n"


def markdown_table(frame: pandas.DataFrame) -> list[str]:
    """Returns the lines of a table of claims."""
    lines = ["| " + " | ".join(HEADS) + " |", "|" + " --- |" * len(HEADS)]
    for row in frame.to_dict("records"):
        decimals = DECIMALS.get(row["unit"], 2)
        run = row["verdict"] != NOT_RUN
        texts = [
            f"{MARKS[row['verdict']]} {row['verdict']}",
            row["claim"],
            row["section"],
            effects.number(row["published"], decimals),
            effects.shown(row, decimals) if run else "",
            moves(row, decimals) if run else "",
            effects.number(row["best_test"], decimals),
            row["unit"],
            f"{row['rule']}." + (f" *{row['note']}.*" if row["note"] else ""),
        ]
        lines.append("| " + " | ".join(text.replace("|", r"\|") for text in texts) + " |")
    return lines


def moves(row: Row, decimals: int) -> str:
    """Returns what more training may change, for people: -0.5 to 2.0 (clip visual_prompt +)."""
    if not row["rising"]:
        return ""
    down, up = (effects.number(value, decimals) for value in (0 - row["down"], row["up"]))
    return f"{down} to {up} ({row['rising']})"


def write(results: Path, names: list[str] | None, scale: str, kind: str | None, out: Path) -> None:
    """Writes the scorecard as csv to `out`, and beside it in Markdown.

    It is about the csv files in the folder `results`, of the analyses `names` or of all.
    """
    at = Scale(scale, kind)
    frame = scorecard(results, at, names)
    write_csv(frame, out)
    write_bytes(out.with_suffix(".md"), markdown(frame, at).encode())
