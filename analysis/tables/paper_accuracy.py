"""Accuracy of a modality's models, the paper's beside it: Tables 1, 2, 4 and 5."""

from collections.abc import Sequence
from pathlib import Path

from analysis.common import cells, published, render, style
from analysis.common.aliases import Cell, Record
from analysis.common.scales import scale_of
from analysis.figures import comparisons

SURELY = "the whole 95 % interval of the difference is above 0"


def write(
    records: list[Record],
    out: Path,
    number: int,
    modality: str,
    shift: bool,
    shaded_above: Sequence[str] = (),
) -> None:
    """Writes the paper's Table `number`: the models of `modality`, with or without a `shift`.

    A visual prompt surely above all the methods `shaded_above` is shaded, and a legend says so.
    """
    theirs = published.accuracies(number)
    shown = [one for one in records if one["backbone"]["modality"] == modality]
    frame = cells.table(records, theirs, modality, shift, above(shown, shift, shaded_above))
    scale = scale_of(records)
    names = " and ".join(style.full_name(method).lower() for method in shaded_above)
    legend = f"Visual prompt above {names}: {SURELY}" if names else ""
    render.write(out, frame, *render.layout(frame, scale), render.header(scale), legend)


def above(records: list[Record], shift: bool, rivals: Sequence[str]) -> set[Cell]:
    """Returns the (role, task) whose visual prompt is above all `rivals`; none without any.

    It is where the whole interval of the difference on the same test images is above 0, as the
    comparisons have it.
    """
    methods = ("visual_prompt", *rivals)
    compared = [record for record in records if record["spec"]["method"] in methods]
    frame = comparisons.comparisons(compared)
    average = comparisons.AVERAGES[shift]
    frame = frame[frame.rival.isin(rivals) & frame.task.isin([*cells.tasks_of(shift), average])]
    surely = (frame.low > 0).groupby([frame.role, frame.task.replace(average, "average")]).all()
    return set(surely[surely].index)
