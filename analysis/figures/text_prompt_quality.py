"""Figure 8: what a visual prompt gains over text prompts of different quality, EuroSAT with CLIP.

Every text prompt is a row; below them, rows with variant "all" hold a statistic over all of them
with its value, its 95 % bootstrap interval over the text prompts, and the value that it has if the
text prompt makes no difference to the accuracy of the visual prompt (`null`). The gain is VP - TP,
so it falls with TP even then: slope 0 of VP on TP is a correlation of -1 between gain and TP.
"""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
from numpy.typing import ArrayLike

from analysis.common import (
    cells,
    convergence,
    correlation,
    effects,
    gaps,
    paired,
    seed_variance,
    style,
    variants,
)
from analysis.common.aliases import Cell, Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.paired import difference
from analysis.common.scales import Scale, scale_of

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


WORDS = ("text_prompt", "class_names")
COLUMNS = (
    *("number", "variant", "text_prompt", "class_names", "text_prompt_accuracy", "measured"),
    *("low", "high", "gain", "gain_low", "gain_high", "seeds", "seed_variance"),
    *("statistic", "value", "null", *effects.MOVES),
)
COUNTS = ("number", "seeds")
SAMPLES = 2000  # of a bootstrap


def matched(records: list[Record]) -> dict[Cell, list[list[Record]]]:
    """Returns (text_prompt, class_names) -> [runs of TP, runs of VP]; a list may be empty."""
    for key in ("task", "backbone"):
        variants.single(records, key)
    sides: dict[Cell, list[list[Record]]] = {}
    for side, method in enumerate(("text_prompt", "visual_prompt")):
        all_runs = variants.of_method(records, method)
        usual = variants.own_text(all_runs)
        changed = convergence.arms(record for record in all_runs if record not in usual)
        kept = variants.alike(changed, WORDS, usual) if changed else []
        for words, group in variants.by_settings(kept, WORDS).items():
            sides.setdefault(words, [[], []])[side] = group
    return sides


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per text prompt that TP and VP were run with, worst zero-shot accuracy first.

    `measured`, `low`, `high` are VP's accuracy; the gain's interval is a paired bootstrap over the
    test images, widened by the variance of the seeds, pooled over the text prompts. `up` and `down`
    are what more training may change of the gain.
    """
    growths, sides = convergence.grants(records), matched(records).values()
    pools = seed_variance.shared(prompted for _, prompted in sides)
    rows = []
    for plain, prompted in sides:
        if not (plain and prompted):
            continue
        values = cells.cell(prompted, pools)
        row = {"variant": prompted[0]["spec"]["variant"]} | words_of(prompted[0])
        row["text_prompt_accuracy"] = cells.cell(plain[:1])["measured"]
        row |= {key: value for key, value in values.items() if key in COLUMNS}
        pair = paired.matched_runs(prompted, plain[:1])
        seeds = seed_variance.of_difference(prompted, plain[:1], pools)
        gain = difference([pair], other_seeds=seeds)
        row |= dict(zip(("gain", "gain_low", "gain_high"), gain))
        arm = prompted, "clip visual_prompt", values["measured"]
        row |= effects.columns(convergence.part(growths, *arm))
        rows.append(row)
    rows.sort(key=lambda row: (row["text_prompt_accuracy"], row["text_prompt"]))
    numbered = [{"number": number} | row for number, row in enumerate(rows, start=1)]
    return pandas.DataFrame(numbered, columns=list(COLUMNS))


def words_of(record: Record) -> dict[str, str]:
    """Returns the text prompt and the class names that a run said to CLIP; "" for the task's."""
    text = variants.setting(record, "text_prompt") or record["task"]["template"]
    names = variants.setting(record, "class_names") or ""  # a list, or the name of one
    return {
        "text_prompt": text,
        "class_names": names if isinstance(names, str) else ", ".join(names),
    }


def slope(zero_shot: np.ndarray, gain: np.ndarray) -> Any:
    """Returns the least-squares slope of VP on TP, from TP and the gain VP - TP."""
    centred = correlation.centred(zero_shot)
    return 1 + correlation.divided((centred * gain).sum(-1), (centred * centred).sum(-1))


STATISTICS = {  # name -> statistic of TP and gain, its value if VP is the same for all texts
    "slope": (slope, 0),
    "pearson": (correlation.pearson, -1),
    "spearman": (correlation.spearman, -1),
}


def statistics(frame: pandas.DataFrame) -> pandas.DataFrame:
    """Returns the rows of the statistics over all text prompts; none with too few of them.

    They have no value where all text prompts are equally good.
    """
    if len(frame) < correlation.FEWEST:
        return pandas.DataFrame(columns=list(COLUMNS))
    zero_shot, gain = (frame[key].to_numpy(float) for key in ("text_prompt_accuracy", "gain"))
    parts = effects.effects_of(frame, ("gain", "gain_low", "gain_high"))
    rows = []
    for name, (statistic, null) in STATISTICS.items():
        value, low, high = correlation.bootstrap(statistic, zero_shot, gain, SAMPLES)
        row = {"variant": "all", "statistic": name, "value": value, "low": low, "high": high}
        moves = moves_of(name, zero_shot, gain, parts)
        rows.append(row | {"null": null} | effects.columns(moves))
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def moves_of(name: str, zero_shot: np.ndarray, gain: np.ndarray, parts: list[Row]) -> Row:
    """Returns what more training may change of a statistic; `parts` are the gains as effects."""
    if name == "slope":  # linear in each of them
        slope_of_gain = effects.trend(parts, zero_shot)
        return {key: slope_of_gain[key] for key in effects.MOVES}
    statistic, _ = STATISTICS[name]
    return convergence.corners(lambda gains, plain: statistic(plain, gains), parts, gain, zero_shot)


def gaps_of(records: list[Record], frame: pandas.DataFrame) -> list[str]:
    """Returns what the figure lacks, in words."""
    missing = []
    for plain, prompted in matched(records).values():
        if not (plain and prompted):
            lacking = "visual prompt" if plain else "text prompt only"
            missing.append(f"{lacking} with \N{LEFT DOUBLE QUOTATION MARK}"
                           f"{words_of((plain or prompted)[0])['text_prompt']}"
                           "\N{RIGHT DOUBLE QUOTATION MARK}")  # fmt: skip
    fewest = correlation.FEWEST
    if len(frame) < fewest:
        missing.append(f"enough text prompts for a correlation: {len(frame)} of at least {fewest}")
    elif frame.text_prompt_accuracy.nunique() == 1:
        missing.append("text prompts of different quality: all have the same accuracy")
    return missing


def draw_points(axes: "Axes", frame: pandas.DataFrame, summary: pandas.DataFrame) -> "Axes":
    """Returns `axes` with a numbered point per text prompt, and what a constant VP would give."""
    zero_shot, gain = frame.text_prompt_accuracy, frame.gain
    axes.errorbar(
        zero_shot, gain, style.whiskers(gain, frame.gain_low, frame.gain_high), fmt="o",
        color=style.COLOURS["visual_prompt"], markersize=5, lw=0.8, capsize=1.5,
        label="A text prompt",
    )  # fmt: skip
    ends = np.array([zero_shot.min(), zero_shot.max()])
    axes.plot(
        ends, frame.measured.mean() - ends, color="black", linestyle="--", lw=1,
        label="The gain if VP were the same for all",
    )  # fmt: skip
    if len(summary):
        steep = summary.set_index("statistic").value["slope"]
        fit = frame.measured.mean() + steep * (ends - zero_shot.mean()) - ends
        axes.plot(ends, fit, color=style.COLOURS["linear_probe"], lw=1.4, label="Linear fit")
    if frame.gain_low.min() <= 0:
        axes.axhline(0, color="black", lw=0.8)
    axes.margins(x=0.06, y=0.1)
    for row, offset in zip(frame.itertuples(), label_places(zero_shot, gain)):
        axes.annotate(
            f"{row.number}", (row.text_prompt_accuracy, row.gain), offset, fontsize=7.5,
            textcoords="offset points", ha="center", va="center",
        )  # fmt: skip
    axes.set_xlabel("Accuracy with text prompt only, TP (%)")
    axes.set_ylabel("Gain from a visual prompt,\nVP \N{MINUS SIGN} TP (points)")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def label_places(x: ArrayLike, y: ArrayLike) -> list[tuple[float, float]]:
    """Returns for each point the offset of its number, in points: where most room is."""
    around = np.array([(8, 5), (-8, 5), (8, -5), (-8, -5), (13, 0), (-13, 0)])
    size = np.array([400, 150])  # of the panel, in points, nearly

    def placed(values: ArrayLike) -> np.ndarray:
        values = np.asarray(values, float)
        return (values - values.min()) / (np.ptp(values) or 1)

    points = np.stack([placed(x), placed(y)], 1) * size
    taken, chosen = list(points), []
    for point in points:
        others = np.array([other for other in taken if other is not point])
        candidates = point + around
        gaps_ = np.linalg.norm(candidates[:, None] - others, axis=2).min(1)
        best = int(np.argmax(np.minimum(gaps_, 9)))  # the first with enough room
        chosen.append(tuple(around[best]))
        taken.append(candidates[best])
    return chosen


def draw_texts(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` as a table of the numbered text prompts."""
    axes.set_axis_off()
    axes.set(xlim=(0, 1), ylim=(len(frame) + 0.5, -0.5))
    heads = ("", "TP", "VP", "Gain", "Text prompt; in brackets the class names, if changed")
    columns = (0.02, 0.08, 0.14, 0.205, 0.225)
    lines = [heads]
    for row in frame.itertuples():
        text = row.text_prompt + (f"  [{row.class_names}]" if row.class_names else "")
        numbers = f"{row.text_prompt_accuracy:.1f}", f"{row.measured:.1f}", style.signed(row.gain)
        lines.append((f"{row.number}", *numbers, textwrap.shorten(text, 92, placeholder=" …")))
    for y, line in enumerate(lines):
        for x, text in zip(columns, line):
            axes.text(
                x, y, text, fontsize=7, va="center", ha="left" if x == columns[-1] else "right",
                weight="bold" if y == 0 else "normal", parse_math=False,
            )  # fmt: skip
    return axes


def summary_text(summary: pandas.DataFrame) -> str:
    """Returns the statistics in words, each beside what a constant VP would give."""
    names = {
        "slope": "Slope of VP on TP",
        "pearson": "Pearson correlation of gain and TP",
        "spearman": "Spearman correlation of gain and TP",
    }
    return "\n".join(
        f"{names[row.statistic]}: {row.value:.2f} [{row.low:.2f}, {row.high:.2f}]; "
        f"the same VP for all would give {row.null:g}"
        for row in summary.itertuples()
    ).replace("-", "\N{MINUS SIGN}")


def draw(
    frame: pandas.DataFrame, summary: pandas.DataFrame, scale: Scale, task: str, missing: list[str]
) -> "Figure":
    """Returns the figure: gain against zero-shot accuracy, and the text prompts by number."""
    import matplotlib.pyplot as plt

    style.set_theme()
    title = f"CLIP on {style.task_name(task, scale)}: quality of the text prompt"
    figure = plt.figure(figsize=(style.WIDTH, 4.1 + 0.15 * len(frame)), layout="constrained")
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if frame.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    points, texts = figure.subplots(2, 1, height_ratios=[3.2, 0.15 * (len(frame) + 1)])
    draw_points(points, frame, summary)
    points.set_title(summary_text(summary), fontsize=8, loc="left")
    draw_texts(texts, frame)
    legend = figure.legend(
        loc="outside lower center", ncols=3, frameon=False, title=gaps.note(missing),
        title_fontsize=7,
    )  # fmt: skip
    legend.get_title().set_parse_math(False)
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = accuracies(records)
    summary = statistics(frame)
    missing = gaps.warn(gaps_of(records, frame))
    parts = [part for part in (frame, summary) if len(part)]
    whole = pandas.concat([part.dropna(axis=1, how="all") for part in parts]) if parts else frame
    whole = whole.reindex(columns=list(COLUMNS)).astype(dict.fromkeys(COUNTS, "Int64"))
    write_csv(whole, out)
    task = records[0]["task"]["published"] if records else "eurosat"
    figure = draw(frame, summary.dropna(subset=["value"]), scale_of(records), task, missing)
    style.save(figure, figures, "text_prompt_quality")
