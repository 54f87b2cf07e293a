"""The paper's claims as the report shows them, with how many findings have each verdict."""

import re
from pathlib import Path
from typing import Any

from analysis.claims.claims import COUNTED
from analysis.common.aliases import Row
from analysis.common.effects import VERDICTS
from analysis.report import found, reference
from analysis.report.csv_texts import data_url, dictionaries, read_csv, short
from vpbench.common.errors import RecordError
from vpbench.records import schema

CLAIM = (
    *("id", "section", "claim", "published", "measured", "low", "high", "rule", "verdict", "scale"),
    *("finding", "rising"),
)


def scorecard(path: Path, scale: str | None, other: Path | None = None) -> dict[str, Any]:
    """Returns the claims as the page shows them, and how many findings have each verdict.

    They must be of the same scale as the records, if there are any. Beside them stand the verdicts
    of the reference run, whose claims are in the folder `other`.
    """
    beside = {row["id"]: claim_texts(row) for row in judged(other / path.name)} if other else {}
    claims = []
    for row in judged(path):
        if scale not in (None, row["scale"]):
            raise RecordError(
                f"{path}: its scale is {row['scale']!r}, the records' {scale!r}; make it again"
            )
        claims.append(claim_texts(row) | {"reference": beside.get(row["id"], {})})
    counted = [claim for claim in claims if claim["counted"]]
    return {
        "claims": sorted(claims, key=lambda claim: not claim["counted"]),
        "findings": len(counted),
        "counts": {name: sum(row["verdict"] == name for row in counted) for name in VERDICTS},
        "lacking": found.lacking(counted),
        "contradictions": reference.contradictions(counted),
        "download": data_url("text/csv", path.read_bytes()) if path.exists() else "",
    }


def judged(path: Path) -> list[dict[str, str]]:
    """Returns the rows of a file of claims, none if it is not there."""
    table = read_csv(path)
    if table:
        schema.demand(dict.fromkeys(table[0]), CLAIM, path)
    return dictionaries(table)


def claim_texts(row: dict[str, str]) -> Row:
    """Returns a row of the claims as the page shows it."""
    names = ("published", "measured", "best_test", "up", "down")
    return {
        **row,
        **{name: short(row.get(name, "")) for name in names},
        **{name: row.get(name, "") for name in ("unit", "note")},
        "rising": re.sub(r" -(?=,|$)", " \N{MINUS SIGN}", row["rising"]),
        "interval": f"{short(row['low'])} to {short(row['high'])}" if row["low"] else "",
        "counted": row.get("finding") == COUNTED,
    }
