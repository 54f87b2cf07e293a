"""Recipe search: validation accuracy of each variant of a recipe; the test split is never read."""

from itertools import combinations, cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas

from analysis.common import style
from analysis.common.aliases import Record
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.scales import Scale, scale_of
from vpbench.common.errors import RecordError
from vpbench.spec.blocks import variant_name

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.figure import Figure


RATES = ("lr", "map_lr", "prompt_lr")


def search(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per backbone, method, recipe and rates: validation accuracy per task, mean.

    A recipe is what a block of the grid sweeps over rates: lr and, where there is one, that of a
    label map or of a prompt beside a fine-tune. The accuracy is that of the last epoch, averaged
    over seeds; `best` marks the largest mean of each recipe. A mean needs every task that any rate
    has.
    """
    keys = ["backbone", "method", "recipe", *RATES]
    frame = pandas.DataFrame(
        {
            "backbone": record["spec"]["backbone"],
            "method": record["spec"]["method"],
            "recipe": recipe_of(record["spec"]),
            **{rate: record["spec"]["settings"].get(rate) for rate in RATES},
            "task": record["spec"]["task"],
            "accuracy": last_validation(record),
        }
        for record in same_origin(records)
    )
    if frame.empty:
        return pandas.DataFrame(columns=[*keys, "mean", "best"])
    frame = frame.astype(dict.fromkeys(RATES, float))
    means = frame.groupby([*keys, "task"], dropna=False)["accuracy"].mean()
    rows = means.unstack("task")
    rows["mean"] = rows.mean(axis=1, skipna=False)
    rows["best"] = rows["mean"] == rows.groupby(keys[:3])["mean"].transform("max")
    found = rows.reset_index()
    return found.drop(columns=[rate for rate in RATES if found[rate].isna().all()])


def last_validation(record: Record) -> float:
    """Returns the validation accuracy after the last epoch; RecordError where there is none."""
    look, spec = record["selection"]["last"]["validation"], record["spec"]
    if look is None:
        raise RecordError(
            f"recipe_search: {spec['task']} has no validation split, on which rates are chosen; "
            "leave it out of the `tasks` of this analysis"
        )
    return float(look["accuracy"])


def recipe_of(spec: dict[str, Any]) -> str:
    """Returns the name of the recipe of a run: its variant's without the rates that are swept."""
    rates = {rate: spec["settings"].get(rate) for rate in RATES}
    suffixes = [
        variant_name("", dict(swept))
        for count in range(len(rates) + 1)
        for swept in combinations(rates.items(), count)
    ]
    swept_suffixes = [suffix for suffix in suffixes if spec["variant"].endswith(suffix)]
    return spec["variant"].removesuffix(max(swept_suffixes, key=len))


def draw(rows: pandas.DataFrame, scale: Scale) -> "Figure":
    """Returns the figure: mean validation accuracy against the rate, a panel per recipe."""
    import matplotlib.pyplot as plt

    style.set_theme()
    recipes = list(rows.groupby("recipe", sort=False)) or [("no run", rows)]
    wide = min(4, len(recipes))
    high = -(-len(recipes) // wide)
    figure, panels = plt.subplots(
        high, wide, figsize=(style.WIDTH, 0.5 + 1.9 * high), squeeze=False, layout="constrained"
    )
    backbones = sorted(set(rows.backbone))
    markers = dict(zip(backbones, cycle("osD^v")))
    for axes, (recipe, tried) in zip(panels.flat, recipes):
        rate = next((name for name in RATES if name in tried and tried[name].nunique() > 1), "lr")
        for backbone, group in tried.groupby("backbone"):
            colour = f"C{backbones.index(backbone)}"
            axes.plot(
                group[rate], group["mean"], color=colour, marker=markers[backbone], label=backbone
            )
            best = group[group.best]
            axes.plot(best[rate], best["mean"], "o", color="none", mec="black", markersize=11)
        axes.set(xscale="log", title=recipe.replace("_", " "))
        values = sorted(set(tried[rate].dropna())) if rate in tried else []
        axes.set_xticks(values, [f"{value:g}" for value in values])
        axes.minorticks_off()
        axes.margins(0.06, 0.15)  # or a circle at the edge is cut
        axes.set_xlabel({"lr": "Learning rate"}.get(rate, rate))
    for axes in list(panels.flat)[len(recipes) :]:
        axes.remove()
    lines = [plt.Line2D([], [], color=f"C{i}", marker=markers[b]) for i, b in enumerate(backbones)]
    figure.legend(
        lines, backbones, loc="outside lower center", ncols=4, frameon=False,
        title="circled: chosen",
    )  # fmt: skip
    figure.supylabel("Mean validation accuracy (%)", fontsize=9)
    figure.suptitle(scale.title, fontsize=9.5)
    return figure


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    rows = search(records)
    rates = rows.columns.intersection(RATES)  # in all their digits: 0.0001 is not 0
    written = rows.assign(**{rate: rows[rate].map("{:g}".format, "ignore") for rate in rates})
    write_csv(written, out)
    style.save(draw(rows, scale_of(records)), figures, "recipe_search")
