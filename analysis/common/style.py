"""How tables and figures look: display names, colours, sizes and files."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from analysis.common import coverage
from analysis.common.scales import Scale
from vpbench.common import atomic_files
from vpbench.spec.backbones import BACKBONES, ROLES
from vpbench.spec.methods import COLOURS as KIND_COLOURS
from vpbench.spec.methods import LEARNS, METHODS, Method

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


TASKS = {  # column heads of the paper's tables
    "cifar100": "CIFAR100",
    "cifar10": "CIFAR10",
    "flowers102": "Flowers",
    "food101": "Food",
    "eurosat": "EuroSAT",
    "sun397": "SUN",
    "ucf101": "UCF",
    "svhn": "SVHN",
    "oxfordpets": "Pets",
    "dtd": "DTD",
    "resisc45": "RESISC",
    "clevr": "CLEVR",
    "iwildcam": "iWILDCAM",
    "fmow": "FMoW",
    "camelyon17": "Camelyon17",
    "average": "Average",
}
MODALITIES = {"vision_language": "Vision-language", "vision": "Vision"}
FULL_NAMES = {  # of methods in sentences and legends; any other goes by its short one
    "visual_prompt": "Visual prompt",
    "linear_probe": "Linear probe",
    "fine_tune": "Fine-tuning",
}
COLOURS = {  # from seaborn's colour-blind palette; every method has its own hatch as well
    "visual_prompt": "#0173b2",
    "linear_probe": "#de8f05",
    "fine_tune": "#d9d9d9",
}
HATCHES = {"visual_prompt": "", "linear_probe": "///", "fine_tune": "..."}
UNKNOWN, GREY = "something else", "#949494"  # what a method learns that is not installed
KINDS = {kind: KIND_COLOURS.get(kind, GREY) for kind in (*LEARNS, UNKNOWN)}  # learned -> colour
WIDTH = 7.0  # inches, a page; text is set in its printed size


def described(method: str) -> Method:
    """Returns the description of a method; one that is not installed goes by its name, grey."""
    return METHODS.get(method) or Method("", method, {}, learns=UNKNOWN, colour=GREY)


def short_name(method: str) -> str:
    """Returns what a method is called in tables, e.g. VP."""
    return described(method).display


def method_name(method: str, role: str) -> str:
    """Returns the paper's name of a method, e.g. VP + TP for a visual prompt of CLIP."""
    name = short_name(method)
    return f"{name} + TP" if method == "visual_prompt" and role == "clip" else name


def full_name(method: str) -> str:
    """Returns what a method is called in a sentence or legend."""
    return FULL_NAMES.get(method, short_name(method))


def variant_name(method: str, variant: str) -> str:
    """Returns what a method is called where its variants stand side by side, e.g. VPT, deep."""
    name = short_name(method)
    return name if variant == "default" else f"{name}, {variant.replace('_', ' ')}"


def role_name(role: str) -> str:
    """Returns the paper's name of a model; a role that is not of the paper goes by itself."""
    return ROLES.get(role, role)


def backbone_name(backbone: str) -> str:
    """Returns the paper's model that a backbone is or stands in for, else the backbone's name."""
    entry = BACKBONES.get(backbone)
    return role_name(entry.role) if entry and entry.stand_in else backbone


def task_name(task: str, scale: Scale) -> str:
    """Returns the name of a dataset as it was measured: where it was painted, that of its twin."""
    name = task.removesuffix("_twin")
    shown = TASKS.get(name, name)
    return f"{shown} twin" if scale.painted and task != "average" else shown


def place(name: str, names: Iterable[str]) -> int:
    """Returns where `name` stands among `names`, after all of them if it is none."""
    order = list(names)
    return order.index(name) if name in order else len(order)


def signed(number: float) -> str:
    """Returns a gain as text, with its sign."""
    return f"{number:+.1f}".replace("-", "\N{MINUS SIGN}")


def whiskers(values: ArrayLike, low: ArrayLike, high: ArrayLike) -> np.ndarray:
    """Returns how far intervals reach below and above their values [2, N], for error bars.

    Never less than nothing: where all images are right, or none, rounding puts a limit on the wrong
    side, and a percentile interval may leave its value out.
    """
    middle, below, above = (np.atleast_1d(np.asarray(each, float)) for each in (values, low, high))
    return np.maximum(0, np.stack([middle - below, above - middle]))


def round_places(low: float, high: float, most: float = 40) -> list[float]:
    """Returns round numbers about as far apart on a logarithmic axis, from `low` to `high`.

    1, 2 and 5 times the powers of ten where `high` is less than `most` times `low`, else those.
    """
    steps = (1, 2, 5) if high < most * low else (1,)
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    places = [step * 10**exponent for exponent in exponents for step in steps]
    return [place for place in places if 0.8 * low <= place <= 1.25 * high]


def logarithmic(axes: "Axes", values: ArrayLike, most: float = 40) -> "Axes":
    """Returns `axes` with a logarithmic horizontal axis for positive numbers, its ticks apart."""
    from matplotlib import ticker

    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    places = round_places(low, high, most)
    axes.set_xscale("log")
    if len(places) > 1:
        axes.set_xticks(places, [f"{place:,g}" for place in places])
    else:  # of one size, or nearly
        axes.xaxis.set_major_locator(ticker.MaxNLocator(4))
        axes.xaxis.set_major_formatter("{x:,g}")
    axes.minorticks_off()
    return axes


def set_theme() -> None:
    """Sets this project's theme for all figures from here on; they embed their fonts."""
    import matplotlib
    import seaborn  # here, because tables need the names above and no second of seaborn's import

    matplotlib.use("Agg")
    sizes = {"font.size": 9, "axes.titlesize": 9, "axes.labelsize": 9, "legend.fontsize": 8}
    ticks = {"xtick.labelsize": 8, "ytick.labelsize": 8, "hatch.linewidth": 0.5}
    fonts = {"pdf.fonttype": 42, "font.family": "DejaVu Sans"}
    seaborn.set_theme(context="paper", style="ticks", rc=sizes | ticks | fonts)


def save(figure: "Figure", folder: str | Path, name: str) -> None:
    """Writes `figure` into a folder, as a PDF and as a PNG of 300 dots per inch."""
    from matplotlib import pyplot

    pdf, png = Path(folder, f"{name}.pdf"), Path(folder, f"{name}.png")
    options: dict[str, Any] = {}
    if coverage.said():  # above the figure, where nothing of it is
        figure.text(0.5, 1.01, coverage.said(), ha="center", va="bottom", fontsize=8)
        options["bbox_inches"] = "tight"
    pdf_options = options | {"metadata": {"CreationDate": None}}  # equal records, equal file
    atomic_files.write_with(pdf, lambda file: figure.savefig(file, format="pdf", **pdf_options))
    atomic_files.write_with(
        png, lambda file: figure.savefig(file, format="png", dpi=300, **options)
    )
    pyplot.close(figure)
