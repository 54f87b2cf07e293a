"""What was not run: said on stderr, and in the figure itself instead of an empty plot."""

import sys
import textwrap
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes


def warn(missing: list[str]) -> list[str]:
    """Returns `missing`, the things that were not run, after naming each on stderr."""
    for thing in missing:
        print(f"warning: not run: {thing}", file=sys.stderr)
    return missing


def explain(axes: "Axes", text: str) -> "Axes":
    """Returns `axes` as a panel that only says `text`."""
    axes.set_axis_off()
    axes.text(
        0.5, 0.5, "\n".join(textwrap.wrap(text, 60)), ha="center", va="center", fontsize=9,
        transform=axes.transAxes, parse_math=False,
    )  # fmt: skip
    return axes


def note(missing: list[str], said: str = "Not run") -> str:
    """Returns the lines for a figure that name what is missing, empty if nothing is."""
    return "\n".join(textwrap.wrap(f"{said}: {'; '.join(missing)}.", 120)) if missing else ""
