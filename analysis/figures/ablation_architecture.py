"""Figure 9: visual prompt, linear probe and fine-tuning by architecture, on CIFAR100."""

import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import pandas

from analysis.common import cells, convergence, effects, gaps, seed_variance, style, variants
from analysis.common.aliases import Cell, Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.scales import Scale, scale_of
from vpbench.spec.backbones import ROLES

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


SHOWN = {  # method -> colour, marker
    "visual_prompt": ("#0173b2", "o"),
    "linear_probe": ("#de8f05", "s"),
    "fine_tune": ("#595959", "^"),
}
FAMILIES = {"clip": ("#0173b2", "o"), "instagram": ("#de8f05", "s")}
FAMILIES |= {"bit_m": ("#029e73", "^"), "rn50": ("#cc78bc", "D")}
FAMILY_NAMES = {"rn50": "ResNet"}  # where it is not the role's: RN50 is one model of a family
OTHER_FAMILY = (style.GREY, "P")
COLUMNS = (
    *("backbone", "role", "architecture", "parameters", "method", "chance"),
    *("measured", "spread", "low", "high", "seeds", "seed_variance", *effects.MOVES),
)


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per backbone and method, by model of the paper and number of parameters.

    The variance of the seeds of a method is pooled over the backbones: most have a single seed.

    `up` and `down` are what more training may change of its accuracy, see `convergence`.
    """
    variants.single(records, "task")
    growths, runs = convergence.grants(records), convergence.arms(records)
    recipe = [record for record in runs if record["spec"]["variant"] == "default"]
    rows = []
    for method in SHOWN:
        groups: dict[str, list[Record]] = {}
        for record in variants.of_method(same_origin(recipe), method):
            groups.setdefault(record["spec"]["backbone"], []).append(record)
        pools = seed_variance.shared(groups.values())
        for backbone, group in groups.items():
            variants.alike(group, ())
            facts, values = group[0]["backbone"], cells.cell(group, pools)
            row = {"backbone": backbone, "method": method, "chance": group[0]["task"]["chance"]}
            row |= {key: facts[key] for key in ("role", "architecture", "parameters")}
            row |= {key: value for key, value in values.items() if key in COLUMNS}
            name = f"{backbone} {method}"
            moves = convergence.part(growths, group, name, values["measured"])
            row |= effects.columns(moves)
            rows.append(row)
    rows.sort(key=order)
    return pandas.DataFrame(rows, columns=list(COLUMNS))


def order(row: Row) -> Cell:
    """Returns the place of a row: model of the paper, parameters, backbone, method."""
    places = style.place(row["role"], ROLES), row["parameters"], row["backbone"]
    return *places, list(SHOWN).index(row["method"])


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what the figure lacks, in words."""
    if frame.empty:
        return ["visual prompt, linear probe and fine-tuning, on every backbone"]
    return [
        f"{style.short_name(method)} of {backbone}"
        for backbone in frame.backbone.unique()
        for method in SHOWN
        if not ((frame.backbone == backbone) & (frame.method == method)).any()
    ]


def millions(parameters: float) -> str:
    """Returns a number of parameters for people: 0.60 M, 86 M."""
    count = parameters / 1e6
    return f"{count:.0f} M" if count >= 10 else f"{count:.2f} M"


def draw_methods(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with a row per architecture and a marker per method."""
    backbones = list(frame.backbone.unique())
    for number, (method, (colour, marker)) in enumerate(SHOWN.items()):
        rows = frame[frame.method == method]
        places = [backbones.index(backbone) + 0.2 * (number - 1) for backbone in rows.backbone]
        axes.errorbar(
            rows.measured, places,
            xerr=style.whiskers(rows.measured, rows.low, rows.high), fmt=marker, color=colour,
            markersize=6, lw=1, capsize=2, label=style.full_name(method),
        )  # fmt: skip
    facts = frame.drop_duplicates("backbone")
    labels = [
        "\n".join(
            [f"{style.backbone_name(row.backbone)}, {millions(row.parameters)}"]
            + textwrap.wrap(row.architecture, 30)
        )
        for row in facts.itertuples()
    ]
    axes.set_yticks(range(len(backbones)), labels, fontsize=7.5)
    axes.set_ylim(len(backbones) - 0.5, -0.5)
    for place, (role, above) in enumerate(zip(facts.role, [None, *facts.role])):
        if above not in (None, role):
            axes.axhline(place - 0.5, color="0.8", lw=0.8)
    axes.axvline(frame.chance.iloc[0], color="black", linestyle=":", lw=1, label="Chance")
    axes.set_xlim(0, 100)
    axes.set_xlabel("Test accuracy (%)")
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def draw_sizes(axes: "Axes", frame: pandas.DataFrame) -> "Axes":
    """Returns `axes` with the accuracy of the visual prompt by number of parameters."""
    rows = frame[frame.method == "visual_prompt"]
    transformer = rows.architecture.str.startswith("ViT")
    for (role, is_transformer), family in rows.groupby([rows.role, transformer], sort=False):
        colour, marker = FAMILIES.get(role, OTHER_FAMILY)
        mixed = transformer[rows.role == role].nunique() > 1  # CLIP: the paper compares the two
        kind = (" ViT" if is_transformer else " ResNet") if mixed else ""
        axes.errorbar(
            family.parameters / 1e6, family.measured,
            style.whiskers(family.measured, family.low, family.high), color=colour,
            marker=marker, markersize=6, lw=1, capsize=2, linestyle=":",
            mfc="white" if mixed and not is_transformer else colour,
            label=FAMILY_NAMES.get(role, style.role_name(role)) + kind,
        )  # fmt: skip
    style.logarithmic(axes, rows.parameters / 1e6, most=60)
    axes.margins(x=0.15)
    axes.set_ylim(bottom=0)
    axes.set_box_aspect(1.25)
    axes.set_anchor("N")
    axes.set_xlabel("Backbone parameters (millions)")
    axes.set_ylabel("Accuracy of visual prompt (%)")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.2), ncols=2)
    return axes


def draw(frame: pandas.DataFrame, scale: Scale, task: str, missing: list[str]) -> "Figure":
    """Returns the figure: every method by architecture, and the visual prompt by parameters."""
    import matplotlib.pyplot as plt

    style.set_theme()
    count = frame.backbone.nunique()
    figure = plt.figure(figsize=(style.WIDTH, max(3.8, 1.2 + 0.4 * count)), layout="constrained")
    noun = "architecture" if count == 1 else "architectures"
    title = f"{count} {noun} on {style.task_name(task, scale)}"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    if frame.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    prompted = frame[frame.method == "visual_prompt"]
    sized = prompted.role.duplicated().any()  # several models of a kind
    left, *others = figure.subplots(
        1, 2 if sized else 1, width_ratios=[1.15, 1] if sized else [1], squeeze=False
    )[0]
    draw_methods(left, frame)
    for right in others:
        draw_sizes(right, frame)
    handles, names = left.get_legend_handles_labels()
    alone = "" if sized else "One model of each kind: nothing is said about sizes."
    figure.legend(
        handles, names, loc="outside lower center", ncols=4, frameon=False,
        title="\n".join(filter(None, [alone, gaps.note(missing)])), title_fontsize=7,
    )  # fmt: skip
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = accuracies(records)
    write_csv(frame, out)
    task = records[0]["task"]["published"] if records else "cifar100"
    figure = draw(frame, scale_of(records), task, gaps.warn(gaps_of(frame)))
    style.save(figure, figures, "ablation_architecture")
