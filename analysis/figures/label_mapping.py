"""Section 6.3: cats and dogs with source classes that fit, are swapped, or are arbitrary."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
from analysis.common.aliases import Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.paired import difference
from analysis.common.scales import Scale, scale_of

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.figure import Figure


COLUMNS = (
    *("variant", "source_classes", "measured", "spread", "low", "high", "seeds", "seed_variance"),
    *("difference", "difference_low", "difference_high", "p_value", "chance", "published"),
    *effects.MOVES,
)
HATCHES = {"semantic": "", "swapped": "///"}
FIRST = "the first ones"


def mappings(records: list[Record]) -> dict[str, list[Record]]:
    """Returns variant -> its runs by seed: those of the paper first, then the others."""
    for key in ("task", "backbone"):
        variants.single(records, key)
    prompted = convergence.arms(variants.of_method(records, "visual_prompt"))
    named = [record for record in prompted if variants.setting(record, "source_classes")]
    first = [record for record in prompted if not variants.setting(record, "source_classes")]
    groups = variants.by_settings(
        variants.alike(named, ["source_classes"], first), ["source_classes"]
    )
    by_name = {group[0]["spec"]["variant"]: group for group in groups.values()}
    order = [*published_accuracies(), *by_name]
    return {name: by_name[name] for name in sorted(by_name, key=order.index)}


def published_accuracies() -> dict[str, float]:
    """Returns variant -> the accuracy stated in the paper."""
    stated = pandas.read_csv(published.FOLDER / "label_mapping.csv")
    return dict(zip(stated.variant, stated.value))


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per mapping: its accuracy, and how far it is below the semantic one.

    `difference` is semantic - this mapping in percentage points, with a paired bootstrap interval
    over the test images, widened by the variance of the seeds, which is pooled over the mappings,
    and McNemar's p value, the largest of all pairs of their runs. `up` and `down` are what more
    training may change of it.
    """
    by_name, paper = mappings(records), published_accuracies()
    parts, pools = parts_of(records, by_name), seed_variance.shared(by_name.values())
    rows = []
    for name, group in by_name.items():
        values = cells.cell(group, pools)
        source = variants.setting(group[0], "source_classes")
        row: Row = {"variant": name, "source_classes": ", ".join(source) if source else FIRST}
        row |= {key: value for key, value in values.items() if key in COLUMNS}
        row |= {"chance": group[0]["task"]["chance"], "published": paper.get(name, math.nan)}
        if "semantic" in by_name and name != "semantic":
            pair = paired.matched_runs(by_name["semantic"], group)
            seeds = seed_variance.of_difference(by_name["semantic"], group, pools)
            limits = difference([pair], other_seeds=seeds)
            row |= dict(zip(("difference", "difference_low", "difference_high"), limits))
            row["p_value"] = f"{paired.mcnemar(*pair):.3g}"  # three decimals would round it to 0
            row |= effects.columns(effects.moved([parts["semantic"], parts[name]], [1, -1]))
        rows.append(row)
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def parts_of(records: list[Record], by_name: dict[str, list[Record]]) -> dict[str, Row]:
    """Returns mapping -> what more training may change of its accuracy."""
    growths = convergence.grants(records)
    return {
        name: convergence.part(growths, group, name, cells.cell(group)["measured"])
        for name, group in by_name.items()
    }


def gaps_of(records: list[Record]) -> list[str]:
    """Returns what the figure lacks, in words."""
    by_name = mappings(records)
    return [f"{name} mapping" for name in published_accuracies() if name not in by_name]


def draw(
    frame: pandas.DataFrame, by_name: dict[str, list[Record]], scale: Scale, missing: list[str]
) -> "Figure":
    """Returns the figure: a bar per mapping, its seeds as points and the paper's accuracy."""
    import matplotlib.pyplot as plt

    style.set_theme()
    figure = plt.figure(figsize=(0.75 * style.WIDTH, 4), layout="constrained")
    if frame.empty:
        figure.suptitle(f"Output transformation\n{scale.title}", fontsize=9.5)
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    axes = figure.subplots()
    for position, row in enumerate(frame.itertuples()):
        axes.bar(
            position, row.measured, 0.6, color=style.COLOURS["visual_prompt"], alpha=0.75,
            hatch=HATCHES.get(row.variant, "..."), edgecolor="black", lw=0.6,
            label="Measured" if position == 0 else None,
        )  # fmt: skip
        axes.errorbar(
            position, row.measured, style.whiskers(row.measured, row.low, row.high),
            color="black", lw=1, capsize=3,
        )  # fmt: skip
        values = list(cells.cell(by_name[row.variant])["by_seed"].values())
        places = position - 0.18 + np.linspace(-0.06, 0.06, len(values))
        axes.plot(
            places, values, "o", markersize=4, color="white", mec="black", zorder=3,
            label="Single seeds" if position == 0 and len(values) > 1 else None,
        )  # fmt: skip
        axes.annotate(
            text_of(row), (position, max(row.high, row.measured, *values)), (0, 4),
            textcoords="offset points", ha="center", fontsize=7.5,
        )  # fmt: skip
        if row.published == row.published:
            axes.plot(
                position + 0.46, row.published, "D", markersize=6, color="#d55e00", mec="black",
                label="Paper" if position == 0 else None, clip_on=False,
            )  # fmt: skip
            axes.annotate(
                f"{row.published:g}", (position + 0.46, row.published), (0, -12),
                textcoords="offset points", ha="center", fontsize=7.5,
            )  # fmt: skip
    if frame.difference.notna().any():
        axes.set_title("Second line: points against semantic, paired 95 % interval", fontsize=7.5)
    axes.axhline(frame.chance.iloc[0], color="black", linestyle=":", lw=1.2, label="Chance")
    axes.set_xticks(
        range(len(frame)),
        [name_of(row.variant, by_name[row.variant]) for row in frame.itertuples()],
    )
    axes.set(xlim=(-0.5, len(frame) - 0.35), ylim=(0, 118), ylabel="Test accuracy (%)")
    axes.set_yticks(range(0, 101, 20))
    axes.spines[["top", "right"]].set_visible(False)
    first = next(iter(by_name.values()))[0]
    what = f"{style.role_name(first['backbone']['role'])}, {first['task']['display']}"
    figure.suptitle(f"{what}: source class of each class\n{scale.title}", fontsize=9.5)
    figure.legend(
        loc="outside lower center", ncols=4, frameon=False, title=gaps.note(missing),
        title_fontsize=7,
    )  # fmt: skip
    return figure


def text_of(row: Any) -> str:
    """Returns what stands above a bar: its accuracy, and how far it is below the semantic one."""
    if row.difference != row.difference:
        return f"{row.measured:.1f}"
    low, high = (style.signed(-limit) for limit in (row.difference_high, row.difference_low))
    return f"{row.measured:.1f}\n{style.signed(-row.difference)} [{low}, {high}]"


def name_of(variant: str, group: list[Record]) -> str:
    """Returns a mapping's name with the source class of each class, below one another."""
    source = variants.setting(group[0], "source_classes")
    names = group[0]["task"]["class_names"]
    pairs = [f"{name} \N{RIGHTWARDS ARROW} {other}" for name, other in zip(names, source or [])]
    return "\n".join([variant, *(pairs or [FIRST])])


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame, missing = accuracies(records), gaps.warn(gaps_of(records))
    write_csv(frame, out)
    figure = draw(frame, mappings(records), scale_of(records), missing)
    style.save(figure, figures, "label_mapping")
