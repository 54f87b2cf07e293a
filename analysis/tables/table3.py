"""Table 3: overview of the backbones, each with the paper's model that it stands for."""

from pathlib import Path

import pandas

from analysis.common import published, render, style
from analysis.common.aliases import Record, Row
from analysis.common.scales import scale_of
from vpbench.spec.backbones import BACKBONES, ROLES

HEADS = ["Model", "Backbone", "Architecture", "Modality", "Pre-trained on", "Objective"]
HEADS += ["Parameters"]
FACTS = ("architecture", "modality", "pretrained_on", "objective")


def overview(records: list[Record]) -> list[Row]:
    """Returns one row per measured backbone, or per model of the paper where none is."""
    theirs = published.table(published.MODELS).set_index("role")
    rows = []
    for role in ROLES:
        measured = {
            record["spec"]["backbone"]: record["backbone"]
            for record in records
            if record["backbone"]["role"] == role
        }
        for name in sorted(measured) or [None]:
            row = {"role": role, "backbone": name}
            for fact in FACTS:
                row |= {fact: None, f"published_{fact}": theirs.loc[role, fact]}
            row["parameters"] = None
            if name:
                ours = BACKBONES[name]
                row |= {"pretrained_on": ours.pretrained_on, "objective": ours.objective}
                row |= {"modality": style.MODALITIES[measured[name]["modality"]]}
                row |= {key: measured[name][key] for key in ("architecture", "parameters")}
            rows.append(row)
    return rows


def write(records: list[Record], out: Path) -> None:
    """Writes the table as csv, Markdown and LaTeX."""
    rows = overview(records)
    shown = [
        [
            render.label(style.role_name(row["role"])),
            render.label(row["backbone"] or ""),
            *(render.fact(row[fact], row[f"published_{fact}"]) for fact in FACTS),
            render.label(render.text_of(row["parameters"])),
        ]
        for row in rows
    ]
    frame = pandas.DataFrame(rows).astype({"parameters": "Int64"})
    header = render.header(scale_of(records), " where they differ")
    render.write(out, frame, HEADS, shown, header)
