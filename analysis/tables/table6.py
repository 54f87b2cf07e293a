"""Table 6: sizes, classes, chance and text prompt of the datasets, the paper's beside ours."""

from pathlib import Path

import pandas

from analysis.common import published, render
from analysis.common.aliases import Record, Row
from analysis.common.scales import scale_of
from vpbench.common.errors import RecordError

HEADS = ["Dataset", "Train", "Validation", "Test", "Classes", "Text prompt", "Chance (%)"]
FACTS = ("name", "train", "validation", "test", "classes", "template")


def measured_facts(records: list[Record]) -> dict[str, Row]:
    """Returns the paper's dataset -> the facts about ours, which all its records share."""
    by_task: dict[str, Row] = {}
    for record in records:
        task = record["task"]
        facts = {"name": task["display"], "template": task["template"], "chance": task["chance"]}
        facts |= {"classes": task["classes"]} | task["sizes"]
        known = by_task.setdefault(task["published"], facts)
        for key in facts:
            if known[key] != facts[key]:
                raise RecordError(
                    f"two kinds of records for {task['published']}: {key} is {known[key]!r} and "
                    f"{facts[key]!r}; select one"
                )
    return by_task


def description(records: list[Record]) -> list[Row]:
    """Returns one row per dataset of the paper."""
    ours = measured_facts(records)
    rows = []
    for theirs in published.table(published.DATASETS).to_dict("records"):
        facts = ours.get(theirs["task"], {})
        row = {"task": theirs["task"]}
        for fact in FACTS:
            value = theirs[fact]
            value = None if pandas.isna(value) else value
            row |= {fact: facts.get(fact), f"published_{fact}": value}
        rows.append(row | {"chance": facts.get("chance")})
    return rows


def write(records: list[Record], out: Path) -> None:
    """Writes the table as csv, Markdown and LaTeX."""
    rows = description(records)
    shown = [
        [
            *(render.fact(row[fact], row[f"published_{fact}"]) for fact in FACTS),
            render.label(render.one(row["chance"]) if row["chance"] is not None else ""),
        ]
        for row in rows
    ]
    counts = [name for fact in FACTS[1:5] for name in (fact, f"published_{fact}")]
    frame = pandas.DataFrame(rows).astype(dict.fromkeys(counts, "Int64") | {"chance": float})
    header = render.header(scale_of(records), " where they differ")
    render.write(out, frame, HEADS, shown, header)
