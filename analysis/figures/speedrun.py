"""Speedrun: in how many steps a prompt reaches the accuracy that the official recipe ends with."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from analysis.common import gaps, style
from analysis.common.aliases import Cell, Record, Row
from analysis.common.csv_file import write_csv
from analysis.common.origin import same_origin
from analysis.common.scales import Scale, scale_of
from vpbench.common.errors import RecordError

if TYPE_CHECKING:  # drawing is imported when something is drawn
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Rates = dict[float, dict[tuple[str, int], Record]]  # lr -> (task, seed) -> run
FREE = ("lr", "epochs", "eval_epochs")  # what may differ within a recipe
OFFICIAL, SHORTER = "official", "official, shorter"
NOT_REACHED = "not reached"
COLUMNS = (
    *("recipe", "backbone", "task", "outcome", "seeds", "seeds_reached", "lr", "epochs", "steps"),
    *("images", "speedup", "low", "high", "target", "validation", "official_test", "test", "best"),
)
COLOURS = ("#0173b2", "#de8f05", "#029e73", "#cc78bc", "#ca9161")  # of backbones
MARKERS = "osD^vPX*"  # of tasks
TICKS = (0.2, 0.5, 1, 2, 3, 5, 10, 20, 50)
LEAST = 1e-4  # percent: accuracies are float32, so equal shares of the images may differ


def speedruns(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per recipe, backbone and task, and one per recipe over all of them.

    The official recipe is the variant `default`; its validation accuracy after the last epoch, the
    mean over seeds, is the target. Every other length of a training is a run of its own with a
    schedule of its own, at the rate of `chosen_rate`; the shortest whose mean reaches the target
    counts. `speedup` is the number of images that the official recipe had seen when it first
    reached the target, by that of this length; low and high are those of the single seeds (over
    all: of the single tasks, around their geometric mean). `best` is the recipe that reaches most
    targets, and of several the one with the largest geometric mean. The test split decides nothing.
    """
    official, tries = grouped(same_origin(records))
    goals = {cell: goal(list(seeds.values())) for cell, seeds in official.items()}
    rows = []
    for recipe in [OFFICIAL, *dict.fromkeys(recipe for recipe, _ in tries)]:
        of_recipe = []
        for (backbone, task), target in goals.items():
            if recipe == OFFICIAL:
                reached: Row | None = itself(target, len(official[backbone, task]))
            else:
                lengths = at_chosen_rates(tries.get((recipe, backbone), {}), task)
                reached = shortest(lengths, target)
            if reached:
                of_recipe.append({"recipe": recipe, "backbone": backbone, "task": task} | reached)
        rows += [*of_recipe, overall(recipe, of_recipe, len(goals))] if of_recipe else []
    frame = pandas.DataFrame(rows, columns=list(COLUMNS))
    reaching = frame[(frame.task == "all") & frame.speedup.notna()]
    return frame.assign(best=frame.recipe.isin(ranked(reaching)[:1]))


def itself(target: Row, seeds: int) -> Row:
    """Returns the row of the official recipe, which every other is compared with."""
    speeds = {"outcome": "reached", "speedup": 1.0, "low": 1.0, "high": 1.0}
    accuracies = {"validation": target["target"], "test": target["official_test"]}
    return target | speeds | accuracies | {"seeds_reached": seeds}


def grouped(
    records: list[Record],
) -> tuple[dict[Cell, dict[int, Record]], dict[Cell, dict[int, Rates]]]:
    """Returns (official, tries), both down to single records.

    official: (backbone, task) -> seed -> record; tries: (recipe, backbone) -> epochs -> lr ->
    (task, seed) -> record.
    """
    official: dict[Cell, dict[int, Record]] = {}
    tries: dict[Cell, dict[int, Rates]] = {}
    for record in (one for one in records if one["spec"]["variant"] == "default"):
        spec = record["spec"]
        official.setdefault((spec["backbone"], spec["task"]), {})[spec["seed"]] = record
    usual = {cell[0]: next(iter(seeds.values())) for cell, seeds in official.items()}
    for record in (one for one in records if one["spec"]["variant"] != "default"):
        spec, settings = record["spec"], record["spec"]["settings"]
        if (spec["backbone"], spec["task"]) in official:
            key = recipe_of(settings, usual[spec["backbone"]]["spec"]["settings"]), spec["backbone"]
            lengths = tries.setdefault(key, {}).setdefault(settings["epochs"], {})
            lengths.setdefault(settings["lr"], {})[spec["task"], spec["seed"]] = record
    return official, tries


def recipe_of(settings: dict[str, Any], usual: dict[str, Any]) -> str:
    """Returns the name of a recipe: what it changes in the `usual` settings, e.g. init zeros."""
    keys = sorted((settings.keys() | usual.keys()) - set(FREE))
    changed = [key for key in keys if settings.get(key) != usual.get(key)]
    return ", ".join(f"{key} {settings.get(key)}" for key in changed) or SHORTER


def goal(records: list[Record]) -> Row:
    """Returns what the official recipe reached, over its seeds, and what it took."""
    target = mean(records, "validation")
    epochs = first_at(records, target)
    return length(records[0], epochs) | {
        "target": target,
        "official_test": mean(records, "test"),
        "seeds": len(records),
    }


def first_at(records: list[Record], target: float) -> int:
    """Returns the first epoch at which the mean validation accuracy over seeds is `target`."""
    for lines in zip(*(record["history"] for record in records), strict=True):
        looks = [line["validation_accuracy"] for line in lines]
        if None not in looks and np.mean(looks) >= target - LEAST:
            return lines[0]["epoch"]
    raise RecordError(f"{records[0]['file']}: its history does not end with its own accuracy")


def length(record: Record, epochs: int) -> Row:
    """Returns what a training of this kind takes in so many epochs."""
    settings, images = record["spec"]["settings"], record["task"]["sizes"]["train"]
    steps = epochs * math.ceil(images / settings["batch_size"])
    return {"lr": settings["lr"], "epochs": epochs, "steps": steps, "images": epochs * images}


def mean(records: list[Record], split: str) -> float:
    """Returns the mean accuracy (%) on a split after the last epoch."""
    looks = [record["selection"]["last"][split] for record in records]
    if None in looks:
        raise RecordError(
            f"{records[looks.index(None)]['file']}: the task has no {split} split, and steps "
            "are counted on validation; leave it out"
        )
    return float(np.mean([look["accuracy"] for look in looks]))


def chosen_rate(rates: Rates) -> float:
    """Returns the lr with the best mean validation accuracy, ties: the smallest.

    The mean is over the tasks and seeds that all `rates` (lr -> (task, seed) -> record) have, so
    that one seed may choose and others confirm.
    """
    shared = sorted(set.intersection(*map(set, rates.values())))
    if not shared:
        raise RecordError(f"the rates {', '.join(map(str, rates))} have no task and seed in common")
    scores = {lr: mean([runs[key] for key in shared], "validation") for lr, runs in rates.items()}
    return min(scores, key=lambda lr: (-round(scores[lr], 4), lr))


def at_chosen_rates(lengths: dict[int, Rates], task: str) -> dict[int, list[Record]]:
    """Returns epochs -> records of the task at the rate chosen for that length."""
    records_of = {}
    for epochs, rates in sorted(lengths.items()):
        chosen = rates[chosen_rate(rates)]
        records_of[epochs] = [
            record for (name, _), record in sorted(chosen.items()) if name == task
        ]
    return {epochs: records for epochs, records in records_of.items() if records}


def shortest(lengths: dict[int, list[Record]], target: Row) -> Row | None:
    """Returns the row of the shortest of `lengths` (epochs -> records) that reaches the target.

    If none does, it is the row of the longest, which says so; without lengths it is None.
    """
    if not lengths:
        return None
    goal_, reached = target["target"] - LEAST, {}
    for epochs, records in reversed(lengths.items()):
        for record in records:
            if mean([record], "validation") >= goal_:
                reached[record["spec"]["seed"]] = length(record, epochs)["images"]
    enough = [n for n, records in lengths.items() if mean(records, "validation") >= goal_]
    shown = enough[0] if enough else max(lengths)
    records = lengths[shown]
    takes = length(records[0], shown)
    speeds = [target["images"] / images for images in reached.values()]
    if not enough:
        takes |= {"steps": math.nan, "images": math.nan}
    return takes | {
        "outcome": "reached" if enough else NOT_REACHED,
        "seeds": len(records),
        "seeds_reached": len(reached),
        "speedup": target["images"] / takes["images"],
        "low": min(speeds, default=math.nan) if enough else math.nan,
        "high": max(speeds, default=math.nan) if enough else math.nan,
        "target": target["target"],
        "validation": mean(records, "validation"),
        "official_test": target["official_test"],
        "test": mean(records, "test"),
    }


def overall(recipe: str, rows: list[Row], cells: int) -> Row:
    """Returns the row of a recipe over all of its tasks, of which there are `cells`."""
    reached = [row["speedup"] for row in rows if row["outcome"] != NOT_REACHED]
    means = ("target", "validation", "official_test", "test")
    return {
        "recipe": recipe,
        "backbone": "all",
        "task": "all",
        "outcome": f"{len(reached)} of {cells} reached",
        "seeds": min(row["seeds"] for row in rows),
        "speedup": math.exp(np.mean(np.log(reached))) if reached else math.nan,
        "low": min(reached, default=math.nan),
        "high": max(reached, default=math.nan),
    } | {key: float(np.mean([row[key] for row in rows])) for key in means}


def ranked(frame: pandas.DataFrame) -> list[str]:
    """Returns the names of the recipes, the official one aside, the best first.

    One that reaches more targets is better, and of several the one that is faster; one that
    reaches none comes last.
    """
    rows = frame[(frame.task == "all") & (frame.recipe != OFFICIAL)]
    reached = rows.outcome.str.split().str[0].astype(int)
    order = zip(-reached, -rows.speedup.fillna(0), rows.recipe)
    return [recipe for _, _, recipe in sorted(order)]


def gaps_of(frame: pandas.DataFrame) -> list[str]:
    """Returns what was not run, in words."""
    if frame.empty:
        return ["the official recipe (visual_prompt, default), so there is no target"]
    cells = frame[frame.recipe == OFFICIAL]
    wanted = [(b, t) for b, t in zip(cells.backbone, cells.task) if t != "all"]
    missing = [] if frame.recipe.nunique() > 1 else ["any other recipe"]
    for recipe, rows in frame.groupby("recipe", sort=False):
        there = set(zip(rows.backbone, rows.task))
        lacking = [
            f"{task} with {backbone}" for backbone, task in wanted if (backbone, task) not in there
        ]
        missing += [f"{recipe} on {', '.join(lacking)}"] if lacking else []
    return missing


def draw(frame: pandas.DataFrame, scale: Scale, missing: list[str]) -> "Figure":
    """Returns the figure: a row per recipe, the speed-up on every task and their mean."""
    import matplotlib.pyplot as plt

    style.set_theme()
    recipes = ranked(frame)
    figure = plt.figure(figsize=(style.WIDTH, 1.9 + 0.5 * len(recipes)), layout="constrained")
    title = "Speed-up: images until the official recipe's validation accuracy"
    figure.suptitle(f"{title}\n{scale.title}", fontsize=9.5)
    axes = figure.subplots()
    if not recipes or frame[frame.recipe == OFFICIAL].empty:
        gaps.explain(axes, gaps.note(missing))
        return figure
    edge = 0.7 * frame.speedup.min()  # where those stand that do not reach it
    axes.axvspan(0.8 * edge, 1.2 * edge, color="0.9", lw=0)
    draw_points(axes, frame, recipes, edge, scale)
    axes.axvline(1, color="black", linestyle=":", lw=1)
    axes.set_xscale("log")
    ticks = [tick for tick in TICKS if edge * 1.2 < tick <= 1.3 * frame.high.max()]
    axes.set_xticks([edge, *ticks], ["not\nreached", *(f"{tick:g}x" for tick in ticks)])
    axes.minorticks_off()
    axes.set_xlabel("Speed-up")
    axes.set_ylim(len(recipes) - 0.5, -0.5)
    axes.spines[["top", "right"]].set_visible(False)
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(
        handles, labels, title=gaps.note(missing), title_fontsize=7,
        loc="outside lower center", ncols=3, frameon=False,
    )  # fmt: skip
    return figure


def draw_points(
    axes: "Axes", frame: pandas.DataFrame, recipes: list[str], edge: float, scale: Scale
) -> "Axes":
    """Returns `axes` with a point per recipe and task, at `edge` if the target is not reached."""
    official = frame[(frame.recipe == OFFICIAL) & (frame.task != "all")]
    cells = list(zip(official.backbone, official.task))
    backbones, tasks = (list(dict.fromkeys(names)) for names in zip(*cells))
    named, names = set(), []
    for y, recipe in enumerate(recipes):
        rows = frame[frame.recipe == recipe].set_index(["backbone", "task"])
        total = rows.loc["all", "all"]
        names.append(f"{recipe}{' (best)' if total.best else ''}".replace(", ", ",\n"))
        names[-1] += f"\n{total.outcome}"
        for place, (backbone, task) in enumerate(cells):
            if (backbone, task) not in rows.index:
                continue
            cell = rows.loc[backbone, task]
            height = y - 0.3 + 0.6 * place / max(1, len(cells) - 1)
            look = {"color": COLOURS[backbones.index(backbone) % len(COLOURS)], "ms": 4.5}
            look |= {"marker": MARKERS[tasks.index(task) % len(MARKERS)], "ls": "none"}
            if (backbone, task) not in named:
                named.add((backbone, task))
                dataset = style.task_name(task.removesuffix("_twin"), scale)
                look["label"] = f"{dataset}, {style.backbone_name(backbone)}"
            if cell.outcome == NOT_REACHED:
                axes.plot(edge, height, mfc="none", **look)
            else:
                spread = style.whiskers(cell.speedup, cell.low, cell.high)
                axes.errorbar(cell.speedup, height, xerr=spread, elinewidth=0.8, **look)
        mean_label = {} if y else {"label": "Geometric mean"}
        axes.plot([total.speedup] * 2, [y - 0.38, y + 0.38], color="black", lw=1.6, **mean_label)
    axes.set_yticks(range(len(recipes)), names, fontsize=7.5)
    return axes


def write(records: list[Record], out: Path, figures: Path) -> None:
    """Writes the csv file and the figure."""
    frame = speedruns(records)
    missing = gaps.warn(gaps_of(frame))
    write_csv(frame, out)
    style.save(draw(frame, scale_of(records), missing), figures, "speedrun")
