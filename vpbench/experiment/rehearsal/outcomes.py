"""What a rehearsal has found, item by item, and the table that it ends with."""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from vpbench.common.messages import one_line

HOLDS, FAILS, ABSENT, UNTRIED = "holds", "would fail", "absent here", "not tried"
VERDICTS = (FAILS, ABSENT, UNTRIED, HOLDS)  # in the order of the table
LONGEST = 600  # characters of a reason


class Outcome(NamedTuple):
    """What became of one item of a part of the rehearsal, and why."""

    part: str  # datasets, runs, measurements, analyses, plan, ...
    item: str
    verdict: str  # one of VERDICTS
    reason: str = ""

    @property
    def line(self) -> str:
        """The outcome as one line of the table."""
        reason = one_line(self.reason)
        reason = reason if len(reason) <= LONGEST else reason[: LONGEST - 3] + "..."
        return f"{self.verdict:<12}{self.part:<14}{self.item}" + (f": {reason}" if reason else "")


def table(outcomes: Sequence[Outcome]) -> list[str]:
    """Returns the lines of the table, what would fail first, and a last line that counts."""
    counts = Counter(outcome.verdict for outcome in outcomes)
    ordered = sorted(outcomes, key=lambda outcome: VERDICTS.index(outcome.verdict))
    summed = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS[::-1])
    return [*(outcome.line for outcome in ordered), "", f"rehearsed: {summed}"]


def exit_code(outcomes: Sequence[Outcome], strict: bool) -> int:
    """Returns 1 if something would fail, or, with `strict`, is absent here; else 0."""
    bad = (FAILS, ABSENT) if strict else (FAILS,)
    return int(any(outcome.verdict in bad for outcome in outcomes))


def document(outcomes: Sequence[Outcome], facts: dict[str, object]) -> dict[str, object]:
    """Returns the same for machines, with `facts` about the rehearsal."""
    return facts | {"outcomes": [outcome._asdict() for outcome in outcomes]}
