"""Figure 10: the learned prompts of every dataset and model, and pictures with them."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas

from analysis.common import gaps, style
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of
from analysis.figures.deployability import lacking
from vpbench.common.errors import RecordError
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.tasks import TASKS

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage
    from matplotlib.text import Text


COLUMNS = (
    *("task", "backbone", "role", "template", "size", "parameters", "largest", "rms"),
    *("share_outside", "accuracy"),
)
PERCENTILE = 98  # of the magnitudes of a prompt: drawn as black or white at its own range
ALIKE = 1.0  # the range that all prompts are drawn at as well: black to white, in pixel units
PAIRS = 2  # pictures per dataset, each plain and prompted
LABEL, TOP, GAP, LINE = 1.2, 0.9, 0.06, 0.125  # inches
BELOW = 0.09  # inches below a tile, for the range it is drawn at
TILE, PAGE = 1.1, 9.8  # inches, at most
SCALING = (
    "Prompts, twice: at left all at one range (\N{PLUS-MINUS SIGN}1), where black and white take "
    "and add the whole range of a pixel; at right each at its own, which is written below it: the "
    f"{PERCENTILE}th percentile of its magnitudes. Middle grey is zero, no change. Pictures: test "
    "images of different classes, plain and prompted, the latter cut to the range of a picture."
)


def shown(records: list[Record]) -> dict[tuple[str, str], Record]:
    """Returns (task, backbone) -> its run of a visual prompt, the one of the lowest seed."""
    prompted: dict[tuple[str, str], Record] = {}
    for record in records:
        spec = record["spec"]
        if spec["method"] != "visual_prompt":
            continue
        other = prompted.setdefault((spec["task"], spec["backbone"]), record)
        if other["spec"]["variant"] != spec["variant"]:
            raise RecordError(
                f"two prompts of {spec['backbone']} on {spec['task']}: {other['spec']['variant']} "
                f"and {spec['variant']}; select one"
            )
        if spec["seed"] < other["spec"]["seed"]:
            prompted[spec["task"], spec["backbone"]] = record
    folders = dict.fromkeys(task for task, _ in prompted if task not in TASKS)
    order = [(task, backbone) for task in [*TASKS, *folders] for backbone in BACKBONES]
    return {key: prompted[key] for key in sorted(prompted, key=order.index)}


def prompts(runs: dict[tuple[str, str], Record]) -> pandas.DataFrame:
    """Returns one row per run (see `shown`): how large its prompt is, how good.

    largest and rms are those of its parameters in pixel units, 1 being the full range of a pixel;
    share_outside is the share of the pixels of the prompted examples of which a channel left that
    range, in percent; accuracy is that of the tables, in percent.
    """
    rows = []
    for record in runs.values():
        spec, arrays = record["spec"], reading.arrays(record, "examples")
        canvas, parameters = arrays["canvas"].astype(float), record["trained_parameters"]
        prompted = arrays["images"] / 255 + canvas.transpose(1, 2, 0)
        outside = ((prompted < 0) | (prompted > 1)).any(axis=-1)
        rows.append(
            {
                "task": record["task"]["published"] or spec["task"],
                "backbone": spec["backbone"],
                "role": record["backbone"]["role"],
                "template": spec["settings"]["template"],
                "size": spec["settings"]["size"],
                "parameters": parameters,
                "largest": float(np.abs(canvas).max()),
                "rms": float(np.sqrt((canvas**2).sum() / parameters)),
                "share_outside": 100 * float(outside.mean()),
                "accuracy": record["selection"][record["rule"]]["test"]["accuracy"],
            }
        )
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def visible(canvas: np.ndarray, full: float) -> np.ndarray:
    """Returns a prompt [3, S, S] as a picture [S, S, 3] in 0..1 with zero in the middle, and white
    and black where it adds or takes `full`."""
    return (0.5 + 0.5 * (canvas / full).clip(-1, 1)).transpose(1, 2, 0)


def own_range(canvas: np.ndarray) -> float:
    """Returns the PERCENTILE of a prompt's magnitudes where it acts, all channels together.

    One for all keeps its colours; of a prompt of zeros it is that of all prompts.
    """
    acts = np.any(canvas != 0, axis=0)
    return float(np.percentile(np.abs(canvas[:, acts]), PERCENTILE)) if acts.any() else ALIKE


def lay_out(
    rows: int, prompts: int, pairs: int, bottom: float
) -> tuple[float, list[float], list[float]]:
    """Returns (side of a tile, left edges of the prompts, left edges of the pairs), in inches.

    A prompt has two tiles side by side, as a pair of pictures has.
    """
    groups = prompts + pairs
    side = min(
        TILE,
        (style.WIDTH - LABEL - (groups + 2) * GAP) / (2 * groups),
        (PAGE - TOP - bottom) / rows - GAP - BELOW,
    )
    start = LABEL + prompts * (2 * side + GAP) + 2 * GAP
    lefts = [LABEL + column * (2 * side + GAP) for column in range(prompts)]
    return side, lefts, [start + pair * (2 * side + GAP) for pair in range(pairs)]


def draw(runs: dict[tuple[str, str], Record], scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: a row per dataset, its prompts for every model and pictures with one."""
    import matplotlib.pyplot as plt

    style.set_theme()
    title = f"Learned visual prompts\n{scale.title}"
    if not runs:
        figure = plt.figure(figsize=(style.WIDTH, 3), layout="constrained")
        figure.suptitle(title, fontsize=9.5)
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    tasks = list(dict.fromkeys(task for task, _ in runs))
    backbones = [name for name in BACKBONES if any(name == other for _, other in runs)]
    pictured = backbones[0]  # CLIP, if it was run: the first that is described
    note = textwrap.wrap(SCALING, 118) + gaps.note(missing).splitlines()
    bottom = 0.2 + LINE * len(note)
    side, lefts, starts = lay_out(len(tasks), len(backbones), PAIRS, bottom)
    row_height = side + BELOW + GAP
    height = TOP + len(tasks) * row_height + bottom
    figure = plt.figure(figsize=(style.WIDTH, height))
    axes = figure.add_axes((0, 0, 1, 1))  # its units are inches, so that every tile is square
    axes.text(style.WIDTH / 2, 0.12, title, ha="center", va="top", fontsize=9.5)
    for left, backbone in zip(lefts, backbones):
        head(
            axes, left, 2 * side, f"{style.backbone_name(backbone)}\n\N{PLUS-MINUS SIGN}1      own"
        )
    text = f"Pictures, plain and\nwith {style.backbone_name(pictured)}'s prompt"
    head(axes, starts[0], starts[-1] + 2 * side - starts[0], text)
    for row, task in enumerate(tasks):
        top = TOP + row * row_height
        runs_of = {backbone: runs.get((task, backbone)) for backbone in backbones}
        draw_prompts(axes, runs_of, lefts, top, side)
        draw_pictures(axes, runs_of[pictured], starts, top, side)
    axes.text(0.1, height - bottom + 0.08, "\n".join(note), va="top", fontsize=7)
    axes.set(xlim=(0, style.WIDTH), ylim=(height, 0))
    axes.set_axis_off()
    return figure


def head(axes: "Axes", left: float, width: float, text: str) -> "Text":
    """Returns the text of a column's head, in the middle of its width."""
    return axes.text(left + width / 2, TOP - 0.06, text, ha="center", va="bottom", fontsize=7.5)


def draw_prompts(
    axes: "Axes", runs_of: dict[str, Record | None], lefts: list[float], top: float, side: float
) -> "Axes":
    """Returns `axes` with the name of a dataset and its prompts; `runs_of` has a run per model."""
    display = next(record["task"]["display"] for record in runs_of.values() if record)
    label = "\n".join(textwrap.wrap(display, 14))
    axes.text(LABEL - 0.08, top + side / 2, label, ha="right", va="center", fontsize=8)
    for left, record in zip(lefts, runs_of.values()):
        if record:
            canvas = reading.arrays(record, "examples")["canvas"]
            own = own_range(canvas)
            tile(axes, visible(canvas, ALIKE), left, top, side)
            tile(axes, visible(canvas, own), left + side, top, side)
            axes.text(
                left + 1.5 * side, top + side + 0.01, f"\N{PLUS-MINUS SIGN}{own:.2g}",
                ha="center", va="top", fontsize=5.5,
            )  # fmt: skip
        else:
            not_run(axes, left, top, side)
    return axes


def draw_pictures(
    axes: "Axes", record: Record | None, lefts: list[float], top: float, side: float
) -> "Axes":
    """Returns `axes` with the example pictures of a run, plain and prompted side by side."""
    if record is None:
        return not_run(axes, lefts[0], top, side)
    examples = reading.arrays(record, "examples")
    for left, plain, prompted in zip(lefts, examples["images"], examples["prompted"]):
        tile(axes, plain, left, top, side)
        tile(axes, prompted, left + side, top, side)
    return axes


def not_run(axes: "Axes", left: float, top: float, side: float) -> "Axes":
    """Returns `axes` with an empty tile that says so."""
    tile(axes, np.ones((1, 1, 3)), left, top, side)
    axes.text(left + side / 2, top + side / 2, "not run", ha="center", va="center", fontsize=7)
    return axes


def tile(axes: "Axes", picture: np.ndarray, left: float, top: float, side: float) -> "AxesImage":
    """Returns the image of `picture` as a square with a thin frame, in inches."""
    edges = (left, left + side, top + side, top)
    axes.plot(
        np.take(edges, [0, 1, 1, 0, 0]), np.take(edges, [3, 3, 2, 2, 3]), color="black", lw=0.4
    )
    return axes.imshow(picture, extent=edges, interpolation="nearest")


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    runs = shown(records)
    done = {(record["backbone"]["role"], record["task"]["published"]) for record in runs.values()}
    scale = scale_of(records)
    missing = gaps.warn(lacking(done, scale))
    write_csv(prompts(runs), out)
    style.save(draw(runs, scale, missing), figures, "prompt_gallery")
