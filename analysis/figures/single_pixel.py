"""Figure 7: what a prompt of a single pixel gains over the text prompt, on EuroSAT with CLIP."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas

from analysis.common import (
    cells,
    convergence,
    effects,
    gaps,
    paired,
    published,
    seed_variance,
    style,
    variants,
)
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.paired import difference
from analysis.common.scales import Scale, scale_of
from analysis.figures.ablation_prompt_size import (
    TEMPLATES,
    listed,
    look_of,
    pools_of,
    prompt_runs,
    rates_of,
)
from vpbench.common.errors import RecordError
from vpbench.records import reading

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


MARK = "#d55e00"
ZOOM = 8  # pixels on a side
COLUMNS = (
    *("template", "size", "parameters", "rate", "lr", "measured", "spread", "low", "high"),
    *("seeds", "seed_variance", "text_prompt", "gain", "gain_low", "gain_high", "p_value"),
    *("published", *effects.MOVES),
)


def single_pixels(records: list[Record]) -> dict[tuple[str, str], tuple[float, list[Record]]]:
    """Returns (template, rate) -> (learning rate, runs by seed) of the prompts of one pixel."""
    designs, fixed = prompt_runs(records)
    return {
        (template, rate): (lr, designs[template, size, lr])
        for (template, size), chosen in rates_of(designs, fixed).items()
        for rate, lr in chosen.items()
        if size == 1 and template != "padding"  # a padding of 1 is the whole border
    }


def gains(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per template and rate: the gain over TP, with a paired interval and test.

    The variance of the seeds is that of the template's prompts of all sizes at all rates.

    The gain is the mean over the seeds; `gain_low`, `gain_high` is a paired bootstrap over the test
    images, widened by the variance of the seeds, and `p_value` McNemar's, the largest of the seeds
    (see analysis/common/paired.py). `up` and `down` are what more training may change of the gain.
    """
    plain, growths = variants.zero_shot(records), convergence.grants(records)
    paper, designs = published_gain(), prompt_runs(records)[0]
    rows = []
    for (template, rate), (lr, group) in single_pixels(records).items():
        pools = pools_of(designs, template)
        values = cells.cell(group, pools)
        row = {"template": template, "size": 1, "rate": rate, "lr": lr, "published": paper}
        row["parameters"] = group[0]["trained_parameters"]
        row |= {key: value for key, value in values.items() if key in COLUMNS}
        name = f"{template} 1"
        row |= effects.columns(convergence.part(growths, group, name, values["measured"]))
        if plain:
            pair = paired.matched_runs(group, [plain])
            seeds = seed_variance.of_difference(group, [plain], pools)
            row["text_prompt"] = cells.cell([plain])["measured"]
            gain = difference([pair], other_seeds=seeds)
            row |= dict(zip(("gain", "gain_low", "gain_high"), gain))
            row["p_value"] = f"{paired.mcnemar(*pair):.3g}"  # three decimals would round it to 0
        rows.append(row)
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def published_gain() -> float:
    """Returns the paper's gain of a single pixel, in percentage points."""
    return float(pandas.read_csv(published.FOLDER / "single_pixel.csv").gain.iloc[0])


def shown(records: list[Record]) -> Record | None:
    """Returns the run whose pixel is drawn, None without one: the fixed patch if it is there."""
    prompts = single_pixels(records)
    for template in ("fixed_patch", "random_patch"):
        for rate in ("validated", "fixed"):
            if (template, rate) in prompts:
                return prompts[template, rate][1][0]
    return None


def pixel(canvas: np.ndarray) -> tuple[int, int] | None:
    """Returns (row, column) of the one place where a prompt [3, S, S] acts, None if it is zero."""
    rows, columns = np.nonzero(np.any(canvas != 0, axis=0))
    if len(rows) > 1:
        raise RecordError(f"a prompt of one pixel changes {len(rows)} pixels; run it again")
    return (int(rows[0]), int(columns[0])) if len(rows) else None


def draw_picture(
    axes: "Axes", image: np.ndarray, place: tuple[int, int] | None, title: str
) -> "Axes":
    """Returns `axes` with a picture enlarged and a circle around the pixel at `place`."""
    axes.imshow(image, interpolation="nearest")
    axes.set(xticks=[], yticks=[], title=title)
    if place is not None:
        axes.plot(
            place[1], place[0], "o", markersize=11, fillstyle="none", color=MARK, mew=1.6,
            clip_on=False,
        )  # fmt: skip
    return axes


def draw_zoom(axes: "Axes", image: np.ndarray, place: tuple[int, int]) -> "Axes":
    """Returns `axes` with the corner of a picture around `place`, a frame around the pixel."""
    import matplotlib.pyplot as plt

    top, left = (max(0, min(at - ZOOM // 2, image.shape[0] - ZOOM)) for at in place)
    axes.imshow(image[top : top + ZOOM, left : left + ZOOM], interpolation="nearest")
    corner = place[1] - left - 0.5, place[0] - top - 0.5
    axes.add_patch(plt.Rectangle(corner, 1, 1, fill=False, edgecolor=MARK, lw=2, clip_on=False))
    axes.set(xticks=[], yticks=[], title=f"{ZOOM} x {ZOOM} pixels around it")
    return axes


def draw_gains(axes: "Axes", frame: pandas.DataFrame, plain: float) -> "Axes":
    """Returns `axes` with one gain per template and rate, and the paper's as a line."""
    names = {"fixed": "rate of the recipe", "validated": "rate chosen on validation"}
    for position, row in enumerate(frame.itertuples()):
        _, colour, marker, _ = look_of(row.template)
        axes.errorbar(
            row.gain, position, xerr=style.whiskers(row.gain, row.gain_low, row.gain_high),
            color=colour, marker=marker, markersize=6, capsize=2, lw=1,
        )  # fmt: skip
        p_value = float(row.p_value)
        test = "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
        axes.annotate(
            f"{style.signed(row.gain)} ({test})", (row.gain, position), (0, 7),
            textcoords="offset points", ha="center", fontsize=7.5,
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1},
        )  # fmt: skip
    axes.axvline(0, color="black", lw=0.8)
    axes.axvline(frame.published.iloc[0], color="black", linestyle=":", lw=1.2)
    axes.annotate(
        f"Paper, CLIP on EuroSAT: {style.signed(frame.published.iloc[0])}",
        (frame.published.iloc[0], 1), (3, 3), xycoords=("data", "axes fraction"),
        textcoords="offset points", fontsize=7.5,
    )  # fmt: skip
    labels = [
        f"{look_of(row.template)[0]},\n{names[row.rate]} ({row.lr:g})" for row in frame.itertuples()
    ]
    axes.set_yticks(range(len(frame)), labels)
    axes.set_ylim(len(frame) - 0.5, -0.7)
    axes.margins(x=0.15)
    axes.set_xlabel(f"Gain in accuracy over text prompt only, {plain:.1f} % (points)")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    return axes


def draw(
    frame: pandas.DataFrame, run: Record | None, scale: Scale, task: str, missing: list[str]
) -> "Figure":
    """Returns the figure: a test picture without and with the pixel, and what the pixel gains."""
    import matplotlib.pyplot as plt

    style.set_theme()
    figure = plt.figure(figsize=(style.WIDTH, 5.4), layout="constrained")
    title = f"CLIP on {style.task_name(task, scale)}: a visual prompt of a single pixel"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if run is None:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    above, below = figure.subfigures(2, 1, height_ratios=[1, 1], hspace=0.04)
    arrays = reading.arrays(run, "examples")
    place = pixel(arrays["canvas"])
    before, after, corner = above.subplots(1, 3)
    draw_picture(before, arrays["images"][0], None, "A test picture")
    draw_picture(after, arrays["prompted"][0], place, "The same with the prompt")
    if place is None:
        gaps.explain(corner, "The prompt is zero.")
    else:
        draw_zoom(corner, arrays["prompted"][0], place)
    axes = below.subplots()
    if frame.gain.notna().any():
        draw_gains(axes, frame, frame.text_prompt.iloc[0])
    else:
        accuracies = listed(frame.measured.round(1))
        gaps.explain(axes, f"Text prompt only was not run, so no gain. Accuracy: {accuracies} %.")
    figure.supxlabel(gaps.note(missing), fontsize=7)
    return figure


def gaps_of(records: list[Record]) -> list[str]:
    """Returns what the figure lacks, in words."""
    prompts = single_pixels(records)
    missing = [
        f"{TEMPLATES[template][0].lower()} of one pixel, {rate} rate"
        for template in ("fixed_patch", "random_patch")
        for rate in ("fixed", "validated")
        if (template, rate) not in prompts
    ]
    return missing + (["text prompt only"] if variants.zero_shot(records) is None else [])


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame, missing = gains(records), gaps.warn(gaps_of(records))
    write_csv(frame, out)
    task = records[0]["task"]["published"] if records else "eurosat"
    figure = draw(frame, shown(records), scale_of(records), task, missing)
    style.save(figure, figures, "single_pixel")
