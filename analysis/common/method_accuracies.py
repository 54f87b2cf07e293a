"""Accuracy, costs, gain over a visual prompt and mean rank of every method on every dataset."""

import math
from collections.abc import Iterable

import numpy as np
import pandas

from analysis.common import cells, effects, published, ranking, seed_variance, style
from analysis.common.aliases import Cell, Groups, Record, Row
from analysis.common.scales import scale_of
from analysis.common.seed_variance import Pools
from vpbench.spec import costs
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS

Entrant = tuple[str, str]  # method and variant
ByEntrant = dict[Entrant, dict[str, Row]]  # entrant -> dataset or average -> its values
ENTRANT = ("method", "variant")
MEASURED = ("measured", "spread", "low", "high", "seeds", "seed_variance", "rule")
COSTS = ("trained_parameters", "seconds", "images", "passes", "peak_memory_mb")
RANKED = ("mean_rank", "ranked", "critical_difference", "friedman_p")
BESIDE = (
    *("published", "published_gain", "published_backbone", "published_shots"),
    *("published_protocol", "published_source"),
)
COLUMNS = (
    *("backbone", *ENTRANT, "task", *MEASURED, *COSTS, "device"),
    *("gain", "gain_low", "gain_high", *RANKED, *BESIDE),
)
REFERENCE = ("visual_prompt", "default")
EVERY = "every"  # the average over all datasets, with and without a shift: that of the ranks
THOSE = "those_run"  # of a method that lacks a dataset without a shift: over the datasets it has
AVERAGES = ("average", "shift_average", EVERY, THOSE)


def accuracies(records: list[Record]) -> pandas.DataFrame:
    """Returns one row per backbone, method, variant and dataset or average: the columns COLUMNS.

    Accuracies and gains are in percent; intervals are those of `cells.cell`. A gain is that over
    the visual prompt of the same backbone, the two taken as independent. Costs of an average are
    medians over its datasets. Ranks are among the methods that were run on all of them. A
    method that was not run has rows, too, which are empty. One that was run on some datasets has
    the average THOSE, whose gain is that on the same ones.
    """
    records = [record for record in records if cells.dataset_of(record)]
    groups, averages = cells.by_cell(records, run_cell), averages_of(records)
    pools = seed_variance.pools(groups.values())
    theirs = published_beside(records)
    rows = []
    for backbone in sorted({key[0] for key in groups}, key=lambda one: style.place(one, BACKBONES)):
        by_entrant = {
            entrant: with_averages(groups, pools, (backbone, *entrant), averages)
            for entrant in entrants(groups, backbone)
        }
        for entrant in by_entrant:
            by_entrant[entrant] |= over_those(by_entrant, entrant, averages[EVERY])
        ranks = {name: ranked(by_entrant, tasks) for name, tasks in averages.items()}
        for entrant, by_task in by_entrant.items():
            for task, values in by_task.items():
                row = dict(zip(("backbone", *ENTRANT, "task"), (backbone, *entrant, task)))
                row |= {name: values[name] for name in (*MEASURED, *COSTS, "device")}
                row |= gain(values, reference_of(by_entrant, entrant, task, averages[EVERY]))
                row |= ranks.get(task, {}).get(entrant, {})
                row |= theirs.get((BACKBONES[backbone].role, *entrant, task), {})
                rows.append(row)
    return pandas.DataFrame(rows, columns=list(COLUMNS)).astype({"ranked": "Int64"})


def run_cell(record: Record) -> Cell:
    """Returns the (backbone, method, variant, dataset) of a record."""
    spec = record["spec"]
    return spec["backbone"], spec["method"], spec["variant"], cells.dataset_of(record)


def averages_of(records: list[Record]) -> dict[str, list[str]]:
    """Returns name -> datasets of each average, of those that have any."""
    plain, shifted = (cells.tasks_in(records, shift) for shift in (False, True))
    groups = zip(AVERAGES, (plain, shifted, plain + shifted))
    return {name: tasks for name, tasks in groups if tasks}


def published_beside(records: list[Record]) -> dict[Cell, Row]:
    """Returns (role, method, variant, task) -> the columns BESIDE; none beside one's own datasets.

    An average of published accuracies is about datasets of the paper.
    """
    if scale_of(records).chosen_datasets:
        return {}
    columns = ["value", *(name.removeprefix("published_") for name in BESIDE[1:])]
    frame = published.methods()
    keys = zip(frame.role, frame.method, frame.variant, frame.task)
    facts = frame[columns].itertuples(index=False)
    return {key: dict(zip(BESIDE, values)) for key, values in zip(keys, facts)}


def entrants(groups: Groups, backbone: str) -> list[Entrant]:
    """Returns the (method, variant) of a backbone: those that it could do, and those it did."""
    modality = BACKBONES[backbone].modality
    able = {(name, "default") for name, entry in METHODS.items() if modality in entry.modalities}
    run = {key[1:3] for key in groups if key[0] == backbone}

    def place(entrant: Entrant) -> Cell:
        method, variant = entrant
        return style.place(method, METHODS), variant != "default", variant

    return sorted(able | run, key=place)


def with_averages(
    groups: Groups, pools: Pools, entrant: Cell, averages: dict[str, list[str]]
) -> dict[str, Row]:
    """Returns dataset or name of an average -> its values, of one (backbone, method, variant)."""
    by_task = {task: cell(groups.get((*entrant, task), []), pools) for task in averages[EVERY]}
    means = {name: average([by_task[task] for task in tasks]) for name, tasks in averages.items()}
    return by_task | means


def over_those(by_entrant: ByEntrant, entrant: Entrant, tasks: list[str]) -> dict[str, Row]:
    """Returns THOSE -> the average over the `tasks` that an entrant has, if it lacks the average
    over the datasets without a shift; nothing otherwise, or of one that was not run."""
    by_task = by_entrant[entrant]
    there = has(by_task, tasks)
    if not there or ("average" in by_task and not math.isnan(by_task["average"]["measured"])):
        return {}
    return {THOSE: average([by_task[task] for task in there])}


def has(by_task: dict[str, Row], tasks: list[str]) -> list[str]:
    """Returns those of the `tasks` that were measured."""
    return [task for task in tasks if not math.isnan(by_task[task]["measured"])]


def reference_of(
    by_entrant: ByEntrant, entrant: Entrant, task: str, tasks: list[str]
) -> Row | None:
    """Returns what a gain of an entrant on a dataset or average is over; None of the reference."""
    if entrant == REFERENCE:
        return None
    if task != THOSE:
        return by_entrant[REFERENCE][task]
    return average([by_entrant[REFERENCE][each] for each in has(by_entrant[entrant], tasks)])


def cell(records: list[Record], pools: Pools) -> Row:
    """Returns accuracy and costs of the runs of a cell; costs are medians over its seeds."""
    measured = [one["measured"] for one in records]
    taken = {name: [one.get(name) for one in measured] for name in ("seconds", "peak_memory_mb")}
    taken["trained_parameters"] = [one["trained_parameters"] for one in records]
    taken["images"] = [images(one) for one in records]
    taken["passes"] = [costs.passes_of(one["spec"]) for one in records]
    return cells.cell(records, pools) | {
        **{name: cells.median(values) for name, values in taken.items()},
        "device": devices(one["device"] for one in records),
    }


def images(record: Record) -> int | None:
    """Returns how many images a run trained on, counted at each epoch; None if not known.

    Of a method that is not trained by steps: at how many it looked, each once.
    """
    speed = record["measured"].get("images_per_second")
    if speed is None:
        return None
    return round(speed * record["measured"]["seconds"])  # how that speed was made


def devices(names: Iterable[str | None]) -> str | None:
    """Returns the names of devices, each once, as text; None without any."""
    return "+".join(sorted(set(filter(None, names)))) or None


def average(tasks: list[Row]) -> Row:
    """Returns accuracy and costs of an average over cells; empty unless all are measured."""
    values = cells.average(tasks)
    measured = tasks if values["seeds"] else []
    taken = {name: [one[name] for one in measured if one[name] == one[name]] for name in COSTS}
    return values | {
        **{name: cells.median(numbers) for name, numbers in taken.items()},
        "device": devices(one["device"] for one in measured),
    }


def gain(values: Row, reference: Row | None) -> Row:
    """Returns the gain over the `reference` with its interval, empty without one of the two."""
    if reference is None or math.isnan(values["measured"] + reference["measured"]):
        return {}
    difference = effects.minus(values, reference)
    return {
        "gain": difference["measured"],
        "gain_low": difference["low"],
        "gain_high": difference["high"],
    }


def ranked(by_entrant: ByEntrant, tasks: list[str]) -> dict[Entrant, Row]:
    """Returns (method, variant) -> the columns RANKED, of those that have all `tasks`."""
    scores = {
        entrant: [by_task[task]["measured"] for task in tasks]
        for entrant, by_task in by_entrant.items()
        if not any(math.isnan(by_task[task]["measured"]) for task in tasks)
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
