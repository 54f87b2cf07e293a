"""Accuracy of a modality's models, the paper's beside it: Tables 1, 2, 4 and 5."""

from collections.abc import Sequence
from pathlib import Path

from analysis.common import cells, published, render, style
from analysis.common.aliases import Record
from analysis.common.scales import scale_of


def write(
    records: list[Record],
    out: Path,
    number: int,
    modality: str,
    shift: bool,
    shaded_above: Sequence[str] = (),
) -> None:
    """Writes the paper's Table `number`: the models of `modality`, with or without a `shift`.

    A visual prompt above all the methods `shaded_above` is shaded, and a legend says so.
    """
    theirs = published.accuracies(number)
    frame = cells.table(records, theirs, modality, shift, shaded_above)
    scale = scale_of(records)
    names = " and ".join(style.full_name(method).lower() for method in shaded_above)
    legend = f"Visual prompt above {names}" if names else ""
    render.write(out, frame, *render.layout(frame, scale), render.header(scale), legend)
