"""Every method on every dataset: accuracy, costs, gain over a visual prompt, and mean ranks."""

import math
import sys

import numpy as np
import pandas

from analysis.common import cells, effects, gaps, published, ranking, runs, style
from analysis.figures import cost
from vpbench.spec import costs
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS
from vpbench.spec.scales import OWN_DATASETS

ENTRANT = ("method", "variant")
MEASURED = ("measured", "spread", "low", "high", "seeds", "rule")
COSTS = ("trained_parameters", "seconds", "images", "passes", "peak_memory_mb")
RANKED = ("mean_rank", "ranked", "critical_difference", "friedman_p")
BESIDE = ("published", "published_gain", "published_backbone", "published_shots")
BESIDE += ("published_protocol", "published_source")
COLUMNS = (
    *("backbone", *ENTRANT, "task", *MEASURED, *COSTS, "device"),
    *("gain", "gain_low", "gain_high", *RANKED, *BESIDE),
)
REFERENCE = ("visual_prompt", "default")
EVERY = "every"  # the average over all datasets, with and without a shift: that of the ranks
AVERAGES = ("average", "shift_average", EVERY)
FEW = 4  # datasets that are named one by one where they lack
KINDS = {  # what is learned -> colour
    "Nothing": "#000000",
    "Pixels": "#0173b2",
    "Tokens": "#de8f05",
    "Head or all weights": "#029e73",
    "Something else": "#949494",
}
LOOKS = {  # method -> kind, marker
    "text_prompt": ("Nothing", "o"),
    "visual_prompt": ("Pixels", "o"),
    "evp": ("Pixels", "s"),
    "adversarial_reprogramming": ("Pixels", "^"),
    "linear_probe": ("Head or all weights", "o"),
    "fine_tune": ("Head or all weights", "s"),
    "prompted_fine_tune": ("Head or all weights", "^"),
    "coop": ("Tokens", "o"),
    "cocoop": ("Tokens", "s"),
    "vpt": ("Tokens", "^"),
    "upt": ("Tokens", "D"),
}
OTHER_LOOK = ("Something else", "P")  # of a method of one's own


def accuracies(records):
    """Returns one row per backbone, method, variant and dataset or average: the columns COLUMNS.

    Accuracies and gains are in percent; intervals are those of `analysis.cells`. A gain is that
    over the visual prompt of the same backbone, the two taken as independent. Costs of an average
    are medians over its datasets. Ranks are among the methods that were run on all of them. A
    method that was not run has rows, too, which are empty.
    """
    records = [record for record in records if cells.dataset_of(record)]
    groups, averages = cells.by_cell(records, run_cell), averages_of(records)
    theirs = published_beside(records)
    rows = []
    for backbone in sorted({key[0] for key in groups}, key=list(BACKBONES).index):
        found = {
            entrant: with_averages(groups, (backbone, *entrant), averages)
            for entrant in entrants(groups, backbone)
        }
        ranks = {name: ranked(found, tasks) for name, tasks in averages.items()}
        for entrant, own in found.items():
            for task, values in own.items():
                row = dict(zip(("backbone", *ENTRANT, "task"), (backbone, *entrant, task)))
                row |= {name: values[name] for name in (*MEASURED, *COSTS, "device")}
                row |= gain(values, found[REFERENCE][task] if entrant != REFERENCE else None)
                row |= ranks.get(task, {}).get(entrant, {})
                row |= theirs.get((BACKBONES[backbone].role, *entrant, task), {})
                rows.append(row)
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype({"ranked": "Int64"})


def run_cell(record):
    """Returns the (backbone, method, variant, dataset) of a record."""
    spec = record["spec"]
    return spec["backbone"], spec["method"], spec["variant"], cells.dataset_of(record)


def averages_of(records):
    """Returns name -> datasets of each average, of those that have any."""
    plain, shifted = (cells.tasks_in(records, shift) for shift in (False, True))
    groups = zip(AVERAGES, (plain, shifted, plain + shifted))
    return {name: tasks for name, tasks in groups if tasks}


def published_beside(records):
    """Returns (role, method, variant, task) -> the columns BESIDE; none beside one's own datasets.

    An average of published accuracies is about datasets of the paper.
    """
    if runs.scale_of(records) in OWN_DATASETS:
        return {}
    columns = ["value", *(name.removeprefix("published_") for name in BESIDE[1:])]
    frame = published.methods()
    keys = zip(frame.role, frame.method, frame.variant, frame.task)
    facts = frame[columns].itertuples(index=False)
    return {key: dict(zip(BESIDE, values)) for key, values in zip(keys, facts)}


def entrants(groups, backbone):
    """Returns the (method, variant) of a backbone: those that it could do, and those it did."""
    modality = BACKBONES[backbone].modality
    able = {(name, "default") for name, entry in METHODS.items() if modality in entry.modalities}
    found = {key[1:3] for key in groups if key[0] == backbone}
    order = list(METHODS)
    return sorted(able | found, key=lambda one: (order.index(one[0]), one[1] != "default", one[1]))


def with_averages(groups, entrant, averages):
    """Returns dataset or name of an average -> its values, of one (backbone, method, variant)."""
    found = {task: cell(groups.get((*entrant, task), [])) for task in averages[EVERY]}
    means = {name: average([found[task] for task in tasks]) for name, tasks in averages.items()}
    return found | means


def cell(records):
    """Returns accuracy and costs of the runs of a cell; costs are medians over its seeds."""
    measured = [one["measured"] for one in records]
    taken = {name: [one.get(name) for one in measured] for name in ("seconds", "peak_memory_mb")}
    taken["trained_parameters"] = [one["trained_parameters"] for one in records]
    taken["images"] = [images(one) for one in records]
    taken["passes"] = [passes(one) for one in records]
    return cells.cell(records) | {
        **{name: cost.median(values) for name, values in taken.items()},
        "device": devices(one["device"] for one in records),
    }


def images(record):
    """Returns how many images a run trained on, counted at each epoch; None if not known.

    Of a method that is not trained by steps: at how many it looked, each once.
    """
    speed = record["measured"].get("images_per_second")
    if speed is None:
        return None
    return round(speed * record["measured"]["seconds"])  # how that speed was made


def passes(record):
    """Returns the compute of a run in passes, those of `vpbench.spec.costs`; None if not known."""
    spec = record["spec"]
    return costs.passes_of(spec) if spec["method"] in costs.PASSES else None


def devices(names):
    """Returns the names of devices, each once, as text; None without any."""
    return "+".join(sorted(set(filter(None, names)))) or None


def average(found):
    """Returns accuracy and costs of an average over cells; empty unless all are measured."""
    values = cells.average(found)
    measured = found if values["seeds"] else []
    taken = {name: [one[name] for one in measured if one[name] == one[name]] for name in COSTS}
    return values | {
        **{name: cost.median(numbers) for name, numbers in taken.items()},
        "device": devices(one["device"] for one in measured),
    }


def gain(values, reference):
    """Returns the gain over the `reference` with its interval, empty without one of the two."""
    if reference is None or math.isnan(values["measured"] + reference["measured"]):
        return {}
    found = effects.minus(values, reference)
    return {"gain": found["measured"], "gain_low": found["low"], "gain_high": found["high"]}


def ranked(found, tasks):
    """Returns (method, variant) -> the columns RANKED, of those that have all `tasks`."""
    scores = {
        entrant: [own[task]["measured"] for task in tasks]
        for entrant, own in found.items()
        if not any(math.isnan(own[task]["measured"]) for task in tasks)
    }
    if len(scores) < 2:
        return {}
    table = np.transpose(list(scores.values()))
    facts = {
        "ranked": len(scores),
        "critical_difference": ranking.critical_difference(len(scores), len(tasks)),
        # As text, because a table rounded to three decimals would call the smallest ones zero.
        "friedman_p": f"{ranking.friedman(table):.2g}",
    }
    means = zip(scores, ranking.mean_ranks(table))
    return {entrant: {"mean_rank": float(mean)} | facts for entrant, mean in means}


def named(row):
    """Returns what a row's method is called."""
    return style.variant_name(row.method, row.variant)


def gaps_of(frame):
    """Returns what was not run, in words: the methods that lack the same datasets, together."""
    if frame.empty:
        return ["any method"]
    missing = []
    for backbone, rows in frame[~frame.task.isin(AVERAGES)].groupby("backbone", sort=False):
        lacking, most = {}, rows.task.nunique()
        for _, own in rows.groupby(list(ENTRANT), sort=False):
            empty = list(own.task[own.measured.isna()])
            where = ", ".join(empty) if len(empty) <= FEW else f"{len(empty)} of {most} datasets"
            where = "any dataset" if len(empty) == most else where
            if empty:
                lacking.setdefault(where, []).append(named(own.iloc[0]))
        whose = style.backbone_name(backbone)
        missing += [f"{whose} {', '.join(names)} on {where}" for where, names in lacking.items()]
    return missing


def kind_of(row):
    """Returns what the method of a row learns: a key of KINDS."""
    if row.trained_parameters == 0:  # a variant may leave out what its method learns
        return "Nothing"
    return LOOKS.get(row.method, OTHER_LOOK)[0]


def draw_averages(axes, frame):
    """Returns `axes` with a row per method, the best on top: its averages, published hollow."""
    plain = frame[(frame.task == "average") & frame.measured.notna()]
    plain = plain.sort_values("measured", ascending=False, kind="stable")
    places = {(row.method, row.variant): y for y, row in enumerate(plain.itertuples())}
    for name, marker, fill, aside in (("average", "o", "full", -0.14),
                                      ("shift_average", "^", "none", 0.14)):  # fmt: skip
        for row in frame[(frame.task == name) & frame.measured.notna()].itertuples():
            if (row.method, row.variant) in places:
                axes.errorbar(
                    row.measured, places[row.method, row.variant] + aside,
                    xerr=[[row.measured - row.low], [row.high - row.measured]], fmt=marker,
                    color=KINDS[kind_of(row)], fillstyle=fill, markersize=4, elinewidth=0.9,
                )  # fmt: skip
    for y, row in enumerate(plain.itertuples()):
        if row.published_shots == "all":
            axes.plot(row.published, y, "D", ms=4, mfc="none", mec="#949494", mew=0.8, zorder=1)
    axes.set_yticks(range(len(plain)), map(named, plain.itertuples()))
    axes.set_ylim(len(plain) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0, labelsize=7.5)
    axes.grid(linewidth=0.4, color="#cccccc")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)
    return axes


def draw_ranks(axes, frame):
    """Returns `axes` with the critical-difference diagram: a scale of ranks, the best on top.

    Bars beside the scale join methods that the test does not tell apart; lines lead to the names.
    """
    axes.set_axis_off()
    rows = frame[(frame.task == EVERY) & frame.mean_rank.notna()]
    if rows.empty:
        return gaps.explain(axes, "No ranks: they need two methods with all datasets")
    rows = rows.sort_values("mean_rank", kind="stable")
    count, difference = len(rows), rows.critical_difference.iloc[0]
    axes.set_xlim(-0.22, 1)
    axes.set_ylim(count + 0.5, 0.2)
    axes.plot([0, 0], [1, count], color="black", lw=1)
    for tick in range(1, count + 1):
        axes.plot([-0.015, 0], [tick, tick], color="black", lw=0.8)
        axes.text(-0.03, tick, tick, ha="right", va="center", fontsize=7)
    groups = ranking.alike(rows.mean_rank, difference)
    for number, (best, worst) in enumerate(groups):
        x = 0.03 + 0.24 * number / max(6, len(groups))
        axes.plot([x, x], [best - 0.06, worst + 0.06], color="black", lw=2.2, zorder=3)
    for place, row in enumerate(rows.itertuples(), start=1):
        colour = KINDS[kind_of(row)]
        axes.plot([0, 0.28, 0.36], [row.mean_rank, row.mean_rank, place], color=colour, lw=0.7)
        axes.text(
            0.37, place, f"{named(row)}  {row.mean_rank:.1f}", va="center", fontsize=7,
            parse_math=False,
        )  # fmt: skip
    end = min(1 + difference, count)
    axes.plot([-0.14, -0.14], [1, end], color="black", lw=1.6)
    axes.text(
        -0.16, (1 + end) / 2, f"CD {difference:.1f}", rotation=90, ha="right", va="center",
        fontsize=7,
    )  # fmt: skip
    return axes


def draw(frame, scale, missing):
    """Returns the figure: a row per backbone, accuracies on the left and ranks on the right."""
    import matplotlib.pyplot as plt

    style.set_theme()
    there = frame[(frame.task == "average") & frame.measured.notna()]
    counts = there.groupby("backbone", sort=False).size()
    heights = [0.6 + 0.19 * count for count in counts]
    height = max(3, 1.3 + 0.12 * len(missing) + sum(heights))
    figure = plt.figure(figsize=(style.WIDTH, height), layout="constrained")
    title = "All methods: accuracy, and ranks with Nemenyi's critical difference"
    figure.suptitle(f"{title}\n{style.SCALES[scale]}", fontsize=9.5)
    if there.empty:
        gaps.explain(figure.subplots(), gaps.note(missing))
        return figure
    panels = figure.subplots(
        len(counts), 2, squeeze=False, height_ratios=heights, width_ratios=[1.15, 1]
    )
    for (left, right), backbone in zip(panels, counts.index):
        own = frame[frame.backbone == backbone]
        name = style.backbone_name(backbone)
        draw_averages(left, own)
        left.set_title(f"{name}: averages over datasets")
        draw_ranks(right, own)
        every = own[own.task == EVERY]
        p_values = every.friedman_p.dropna()
        said = f"\n(Friedman's p = {p_values.iloc[0]})" if len(p_values) else ""
        right.set_title(f"{name}: mean rank over all datasets{said}")
    left.set_xlabel("Test accuracy (%)")
    handles, names = legend(there)
    figure.legend(
        handles, names, title=gaps.note(missing), title_fontsize=7,
        loc="outside lower center", ncols=4, frameon=False, columnspacing=1.2,
    )  # fmt: skip
    return figure


def legend(frame):
    """Returns (handles, names) of the kinds of methods in `frame`, and of the markers."""
    from matplotlib.lines import Line2D

    found = set(map(kind_of, frame.itertuples()))
    kinds = [kind for kind in KINDS if kind in found]
    handles = {f"Learns: {kind.lower()}": Line2D([], [], color=KINDS[kind], lw=3) for kind in kinds}
    look = {"linestyle": "none", "markersize": 4}
    handles["Datasets without a shift"] = Line2D([], [], marker="o", color="black", **look)
    handles["Shifts"] = Line2D([], [], marker="^", color="black", mfc="none", **look)
    handles["Published, all training images"] = Line2D(
        [], [], marker="D", mfc="none", mec="#949494", **look
    )
    return list(handles.values()), list(handles)


def write_figure(records, out, figures):
    """Returns the paths of the figure's files."""
    frame = accuracies(records)
    missing = gaps.warn(gaps_of(frame))
    runs.write_csv(frame, out)
    return style.save(draw(frame, runs.scale_of(records), missing), figures, "methods")


def main(argv=None):
    """Returns the exit code."""
    return runs.run(__doc__, write_figure, argv, figures=True)


if __name__ == "__main__":
    sys.exit(main())
