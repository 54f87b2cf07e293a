"""Figure 6: accuracy of a visual prompt by template and size, on EuroSAT with CLIP."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas
from scipy.special import fdtrc

from analysis.common import cells, convergence, effects, gaps, seed_variance, style, variants
from analysis.common.aliases import Groups, Record
from analysis.common.csv_file import write_csv
from analysis.common.scales import Scale, scale_of

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Design = tuple[str, int]  # template and size
TEMPLATES = {  # template -> name, colour, marker, line
    "padding": ("Padding", "#0173b2", "o", "-"),
    "fixed_patch": ("Patch at a fixed place", "#de8f05", "s", "--"),
    "random_patch": ("Patch at a random place", "#029e73", "^", "-."),
}
DESIGN = ("template", "size", "lr")
PLACES = ("position_range", "test_position")  # only a random patch reads them
RATES = ("fixed", "validated")
LEVEL = 0.05  # of the F test
COLUMNS = (
    *("template", "size", "parameters", "rate", "lr", "validation", "measured", "spread"),
    *("accuracies", "low", "high", "seeds", "seed_variance", "epochs", "text_prompt", "gain"),
    *effects.MOVES,
)


def prompt_runs(records: list[Record]) -> tuple[Groups, float | None]:
    """Returns (designs, fixed): (template, size, lr) -> runs by seed, and the recipe's own rate.

    Partners of half the length are not among them; the recipe may be twice as long as the ablation.
    The rate is None where the recipe itself (variant `default`) was not run.
    """
    for key in ("task", "backbone"):
        variants.single(records, key)
    prompted = variants.own_text(variants.of_method(records, "visual_prompt"))
    recipe = [record for record in prompted if record["spec"]["variant"] == "default"]
    changed = [record for record in prompted if record["spec"]["variant"] != "default"]
    changed = convergence.arms(changed)
    fixed = variants.setting(recipe[0], "lr") if recipe else None
    designs = variants.by_settings(variants.alike(changed, DESIGN + PLACES, recipe), DESIGN)
    for (template, size, lr), group in designs.items():
        variants.alike(group, PLACES if template != "random_patch" else ())
    return designs, fixed


def rates_of(designs: Groups, fixed: float | None) -> dict[Design, dict[str, float]]:
    """Returns (template, size) -> {fixed, validated: learning rate}, in the order of the figure.

    `validated` is the rate with the best mean validation accuracy over the seeds, of those that
    were run (ties: the fixed rate, then the smallest); the test split has no say in it.
    """
    rates = {}
    for template, size in sorted({key[:2] for key in designs}, key=place):
        tried = {key[2]: group for key, group in designs.items() if key[:2] == (template, size)}
        chosen = {"fixed": fixed} if fixed is not None and fixed in tried else {}
        scores = {lr: variants.validation_accuracy(group) for lr, group in tried.items()}
        # Rounded, because equal shares of the images may differ in the last bit.
        order = [(-round(s, 6), lr != fixed, lr) for lr, s in scores.items() if s is not None]
        if len(order) == len(tried):
            chosen["validated"] = min(order)[-1]
        rates[template, size] = chosen
    return rates


def look_of(template: str) -> tuple[str, str, str, str]:
    """Returns name, colour, marker and line of a template, grey if it is not the paper's."""
    name = template.replace("_", " ").capitalize()
    return TEMPLATES.get(template, (name, style.GREY, "P", ":"))


def place(design: Design) -> tuple[int, int]:
    """Returns the place of (template, size) in the figure."""
    template, size = design
    return style.place(template, TEMPLATES), size


def pools_of(designs: Groups, template: str) -> seed_variance.Pools:
    """Returns the variance of the seeds of a template, pooled over all of its sizes and rates."""
    return seed_variance.shared(runs for design, runs in designs.items() if design[0] == template)


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per template, size and rate: accuracy over the seeds and gain over TP.

    The variance of the seeds is pooled over all sizes and rates of a template. `accuracies` are
    those of the single seeds. `up` and `down` are what more training may change of accuracy and
    gain, see `convergence`.
    """
    designs, fixed = prompt_runs(records)
    growths = convergence.grants(records)
    plain = variants.zero_shot(records)
    text_prompt = cells.cell([plain])["measured"] if plain else math.nan
    rows = []
    for (template, size), chosen in rates_of(designs, fixed).items():
        pools = pools_of(designs, template)
        for rate, lr in chosen.items():
            group = designs[template, size, lr]
            values = cells.cell(group, pools)
            name = f"{template} {size}"
            moves = convergence.part(growths, group, name, values["measured"])
            rows.append(
                {
                    **{"template": template, "size": size, "rate": rate, "lr": lr},
                    "parameters": group[0]["trained_parameters"],
                    "epochs": variants.setting(group[0], "epochs"),
                    "validation": variants.validation_accuracy(group),
                    "text_prompt": text_prompt,
                    "gain": values["measured"] - text_prompt,
                    "accuracies": " ".join(f"{one:.3f}" for one in values["by_seed"].values()),
                }
                | {key: value for key, value in values.items() if key in COLUMNS}
                | effects.columns(moves)
            )
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def gaps_of(records: list[Record]) -> list[str]:
    """Returns what the figure lacks, in words."""
    designs, fixed = prompt_runs(records)
    chosen = rates_of(designs, fixed)
    missing = []
    if fixed is None:
        missing.append("the recipe itself (visual_prompt, default), so no rate is the fixed one")
    for template, (name, *_) in TEMPLATES.items():
        sizes = [size for other, size in chosen if other == template]
        if not sizes:
            missing.append(name.lower())
        for rate in RATES:
            lacking = [size for size in sizes if rate not in chosen[template, size]]
            if lacking and not (rate == "fixed" and fixed is None):
                missing.append(f"{name.lower()} p = {listed(lacking)}, {rate} rate")
    if variants.zero_shot(records) is None:
        missing.append("text prompt only")
    return missing


def listed(numbers: Iterable[float]) -> str:
    """Returns numbers as text: 1, 3, 10."""
    return ", ".join(f"{number:g}" for number in numbers)


def seeds_of(rows: pandas.DataFrame) -> list[list[float]]:
    """Returns for each row the accuracies of its seeds."""
    return [[float(text) for text in str(texts).split()] for texts in rows.accuracies]


def between_sizes(sizes: list[list[float]]) -> tuple[float, float]:
    """Returns (p, deviation): whether sizes differ by more than their seeds do, an F test, and the
    standard deviation of the seeds of one size; not-a-number where there is nothing to compare."""
    noise = seed_variance.pooled(sizes)
    if len(sizes) < 2 or not noise.freedom:
        return math.nan, math.nan
    means, counts = [np.mean(values) for values in sizes], [len(values) for values in sizes]
    middle = np.average(means, weights=counts)
    apart = float(np.sum(counts * (means - middle) ** 2)) / (len(sizes) - 1)
    if not noise.variance:
        return (0.0 if apart else math.nan), 0.0
    p_value = float(fdtrc(len(sizes) - 1, noise.freedom, apart / noise.variance))
    return p_value, math.sqrt(noise.variance)


def said_of(name: str, sizes: list[list[float]]) -> str:
    """Returns whether the sizes of a template can be told apart, beside how far seeds differ."""
    p_value, deviation = between_sizes(sizes)
    if math.isnan(p_value):
        return f"{name}: no seeds to compare the sizes with"
    verdict = "sizes differ" if p_value < LEVEL else "seeds differ as much as sizes"
    return f"{name}: {verdict} (F test, p = {p_value:.2g}; SD of seeds {deviation:.1f})"


def draw_panel(axes: "Axes", frame: pandas.DataFrame, rate: str) -> "Axes":
    """Returns `axes` with a small marker per seed and a line through the means of a template.

    Above them stands whether the sizes differ by more than the seeds of one size do.
    """
    said = []
    for number, template in enumerate(dict.fromkeys([*TEMPLATES, *frame.template])):
        name, colour, marker, line = look_of(template)
        rows = frame[(frame.template == template) & (frame.rate == rate)]
        if rows.empty:
            continue
        rows = rows.sort_values("parameters")
        x = rows.parameters * 1.06 ** (number - 1)  # aside, so that no seed hides another
        axes.plot(
            x, rows.measured, color=colour, marker=marker, linestyle=line, markersize=5, lw=1.2,
            label=name,
        )  # fmt: skip
        sizes = seeds_of(rows)
        for place_, values in zip(x, sizes):
            axes.plot(
                [place_] * len(values), values, marker, color=colour, mfc="none", mew=0.7,
                markersize=3.5, linestyle="none",
            )  # fmt: skip
        said.append(said_of(name, sizes))
    axes.text(
        0.01, 0.98, "\n".join(said), va="top", fontsize=7, linespacing=1.4,
        transform=axes.transAxes,
    )  # fmt: skip
    text_prompt = frame.text_prompt.iloc[0]
    if text_prompt == text_prompt:
        axes.axhline(text_prompt, color="black", linestyle=":", lw=1.2, label="Text prompt only")
    axes.set_xscale("log")
    axes.set_ylabel("Test accuracy (%)")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def name_sizes(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with two rows above it: the size p at each number of parameters.

    Sizes whose texts would touch are named together.
    """
    low, high = (math.log10(limit) for limit in axes.get_xlim())
    padding = frame.template == "padding"
    for y, name, rows in ((1.03, "padding", frame[padding]), (1.11, "patch", frame[~padding])):
        points = sorted(set(zip(rows.parameters, rows["size"])))
        names = [((math.log10(count) - low) / (high - low), f"{size}") for count, size in points]
        for x, text in apart(names):
            axes.text(x, y, text, ha="center", fontsize=7, transform=axes.transAxes)
        axes.text(-0.01, y, f"p of {name}", ha="right", fontsize=7, transform=axes.transAxes)
    return axes


def apart(names: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Returns [(x, text)] from left to right, neighbours that would touch joined into one.

    `x` is a text's middle as a share of a panel's width; a letter of 7 pt takes 0.008 of it.
    """
    for place, ((x, text), (other_x, other)) in enumerate(zip(names, names[1:])):
        if other_x - x < 0.008 * (len(text) + len(other)) / 2 + 0.008:
            joined = (x + other_x) / 2, f"{text}, {other}"
            return apart([*names[:place], joined, *names[place + 2 :]])
    return names


def training(frame: pandas.DataFrame) -> str:
    """Returns for how long and how often the prompts were trained."""
    return f"{spelled(frame.epochs, 'epoch')}, {spelled(frame.seeds, 'seed')}"


def spelled(counts: Any, noun: str) -> str:
    """Returns the smallest and largest count with their noun: 4 epochs, 1 to 3 seeds."""
    low, high = min(counts), max(counts)
    return f"{low if low == high else f'{low} to {high}'} {noun}{'' if high == 1 else 's'}"


def titles(frame: pandas.DataFrame) -> dict[str, str]:
    """Returns rate -> what stands above its panel."""
    fixed, chosen = (sorted(frame[frame.rate == rate].lr.unique()) for rate in RATES)
    ends = dict.fromkeys([chosen[0], chosen[-1]]) if chosen else {}
    between = f" ({' to '.join(f'{lr:g}' for lr in ends)})" if ends else ""
    return {
        "fixed": f"Learning rate of the main recipe{f' ({listed(fixed)})' if fixed else ''}",
        "validated": f"Learning rate chosen on validation for each template and size{between}",
    }


def draw(frame: pandas.DataFrame, scale: Scale, task: str, missing: list[str]) -> "Figure":
    """Returns the figure: above with the recipe's own rate, below with one chosen for each."""
    import matplotlib.pyplot as plt

    style.set_theme()
    title = f"CLIP on {style.task_name(task, scale)}: template and size of the visual prompt"
    figure = plt.figure(figsize=(style.WIDTH, 5.6), layout="constrained")
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if frame.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(2, 1, sharex=True, sharey=True)
    for axes, (rate, text) in zip(panels, titles(frame).items()):
        if (frame.rate == rate).any():
            draw_panel(axes, frame, rate)
        else:
            gaps.explain(axes, "Not run.")
        axes.set_title(text, pad=27 if axes is panels[0] else 4)
    low, high = panels[0].get_ylim()
    panels[0].set_ylim(low, high + 0.3 * (high - low))  # room for what is said above
    if frame.parameters.nunique() == 1:  # a logarithmic axis of one value has no width
        panels[0].set_xlim(frame.parameters.min() / 2, frame.parameters.max() * 2)
    name_sizes(panels[0], frame)
    panels[1].set_xlabel(f"Trainable parameters ({training(frame)})")
    handles: dict[str, Artist] = {}
    for axes in panels:
        handles |= {name: handle for handle, name in zip(*axes.get_legend_handles_labels())}
    figure.legend(
        handles.values(), handles.keys(), loc="outside lower center", ncols=4, frameon=False,
        title=gaps.note(missing), title_fontsize=7,
    )  # fmt: skip
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame, missing = accuracies(records), gaps.warn(gaps_of(records))
    write_csv(frame, out)
    task = records[0]["task"]["published"] if records else "eurosat"
    figure = draw(frame, scale_of(records), task, missing)
    style.save(figure, figures, "ablation_prompt_size")
