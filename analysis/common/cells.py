"""Table cells: one row per role x method x task, measured and published side by side.

Accuracies, spreads and gaps are in percent. A cell without records is empty (NaN).
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas
from scipy.special import stdtrit

from analysis.common import seed_variance
from analysis.common.aliases import Cell, Groups, Record, Row
from analysis.common.origin import same_origin
from analysis.common.scales import scale_in
from analysis.common.seed_variance import Pools
from vpbench.common.errors import RecordError
from vpbench.common.intervals import wilson
from vpbench.records.schema import difference
from vpbench.spec.backbones import BACKBONES, ROLES
from vpbench.spec.methods import METHODS, PAPER_METHODS
from vpbench.spec.tasks import TASKS

COLUMNS = (
    *("role", "method", "task", "measured", "spread", "low", "high", "seeds", "seed_variance"),
    *("rule", "epoch", "selection_gap", "published", "chance", "shaded"),
)
EMPTY: Row = {
    "measured": math.nan,
    "spread": math.nan,
    "low": math.nan,
    "high": math.nan,
    "seeds": 0,
    "seed_variance": None,
}
EMPTY |= {"rule": None, "epoch": math.nan, "selection_gap": math.nan, "by_seed": {}}


def table(
    records: list[Record],
    published: dict[Cell, float],
    modality: str,
    shift: bool,
    above: Collection[Cell] = (),
) -> pandas.DataFrame:
    """Returns the cells of a table as a frame with the columns COLUMNS.

    `published` is a mapping from (role, method, task); `above` has the (role, task) of the visual
    prompts that are shaded.
    """
    groups = by_cell(records)
    pools = seed_variance.pools(groups.values())
    chance = {record["task"]["published"]: record["task"]["chance"] for record in records}
    tasks = tasks_of(shift)
    chance["average"] = float(np.mean([chance.get(task, math.nan) for task in tasks]))
    rows = []
    for role, method in rows_of(modality):
        cells = [cell(groups.get((role, method, task), []), pools) for task in tasks]
        for task, values in zip([*tasks, "average"], [*cells, average(cells)]):
            key = role, method, task
            facts = {"published": published.get(key, math.nan), "chance": chance.get(task)}
            facts["shaded"] = method == "visual_prompt" and (role, task) in above
            rows.append(dict(zip(("role", "method", "task"), key)) | values | facts)
    frame = pandas.DataFrame(rows, columns=list(COLUMNS))
    numbers = ["measured", "spread", "low", "high", "epoch", "selection_gap", "published", "chance"]
    return frame.astype(dict.fromkeys(numbers, float))


def tasks_of(shift: bool) -> list[str]:
    """Returns the paper's datasets with (or without) a distribution shift, in Table 6's order."""
    names = [task.published for task in TASKS.values() if task.published and task.shift == shift]
    return list(dict.fromkeys(names))


def tasks_in(records: list[Record], shift: bool) -> list[str]:
    """Returns the datasets an analysis is about: the paper's, or those of `records` that the user
    chose, at a scale where that is so."""
    chosen = [one for one in records if scale_in(one).chosen_datasets]
    names = [dataset_of(one) for one in chosen if one["task"]["shift"] == shift]
    return [name for name in dict.fromkeys(names) if name] if chosen else tasks_of(shift)


def rows_of(modality: str) -> list[tuple[str, str]]:
    """Returns the (role, method) of the rows of a table, in the paper's order."""
    roles = {backbone.role for backbone in BACKBONES.values() if backbone.modality == modality}
    methods = [name for name in PAPER_METHODS if modality in METHODS[name].modalities]
    return [(role, method) for role in ROLES if role in roles for method in methods]


def dataset_of(record: Record) -> str | None:
    """Returns a record's dataset: the paper's name of it, the task's where the user chose it.

    None of a toy dataset, which is in no table of the paper.
    """
    chosen = record["spec"]["task"] if scale_in(record).chosen_datasets else None
    return record["task"]["published"] or chosen


def paper_cell(record: Record) -> Cell:
    """Returns the (role, method, dataset) of a record."""
    return record["backbone"]["role"], record["spec"]["method"], dataset_of(record)


def by_cell(records: list[Record], cell_of: Callable[[Record], Cell] = paper_cell) -> Groups:
    """Returns the cell of a record -> the records in it, which differ in nothing but the seed."""
    groups: Groups = {}
    for record in same_origin(records):
        key = cell_of(record)
        group = groups.setdefault(key, [])
        cell_name = " ".join(map(str, key))
        for other in group:
            seedless = {"seed": None}
            differing = difference(other["spec"] | seedless, record["spec"] | seedless)
            if differing:
                raise RecordError(
                    f"two kinds of records for {cell_name}: {differing[0]} is {differing[1]!r} and "
                    f"{differing[2]!r}; select one"
                )
            if other["spec"]["seed"] == record["spec"]["seed"]:
                raise RecordError(f"two records for {cell_name}, seed {other['spec']['seed']}")
        group.append(record)
    return groups


def cell(records: list[Record], pools: Pools | None = None) -> Row:
    """Returns the measured part of a cell from the records of its seeds.

    Its interval is Wilson's over the test images, widened by the variance of the seeds, which is
    that of its arm in `pools`; without those, that of these records alone.
    """
    if not records:
        return EMPTY
    rule = records[0]["rule"]
    chosen = [record["selection"][rule] for record in records]
    best = [record["selection"]["best_test"] for record in records]
    values = [seed_variance.accuracy(record) for record in records]
    epochs = [pick["epoch"] for pick in chosen if pick["epoch"] is not None]
    mean = float(np.mean(values))
    part = seed_variance.part(records, pools)
    low, high = interval(mean, records[0]["task"]["sizes"]["test"], part.half)
    return {
        "measured": mean,
        "spread": float(np.std(values, ddof=1)) if len(values) > 1 else math.nan,
        "low": low,
        "high": high,
        "seeds": len(values),
        "seed_variance": part.source or seed_variance.NONE,
        "rule": rule,
        "epoch": float(np.mean(epochs)) if epochs else math.nan,
        "selection_gap": float(np.mean([pick["test"]["accuracy"] for pick in best])) - mean,
        "by_seed": {record["spec"]["seed"]: value for record, value in zip(records, values)},
    }


def average(cells: Sequence[Row]) -> Row:
    """Returns the measured part of the average over tasks; empty unless all tasks are measured.

    Tasks are independent, and so are their seeds, whatever their numbers.
    """
    if not cells or any(math.isnan(values["measured"]) for values in cells):
        return EMPTY
    mean = float(np.mean([values["measured"] for values in cells]))
    seeds = set.intersection(*(set(values["by_seed"]) for values in cells))
    means = [float(np.mean([values["by_seed"][seed] for values in cells])) for seed in seeds]
    same_seeds = all(set(values["by_seed"]) == seeds for values in cells)
    spread = float(np.std(means, ddof=1)) if same_seeds and len(means) > 1 else math.nan
    low, high = combined(cells, [1 / len(cells)] * len(cells))
    return EMPTY | {
        "measured": mean,
        "spread": spread,
        "low": low,
        "high": high,
        "seeds": min(values["seeds"] for values in cells),
        "seed_variance": seed_variance.weakest(values["seed_variance"] for values in cells),
        "rule": "+".join(sorted({values["rule"] for values in cells})),
        "selection_gap": float(np.mean([values["selection_gap"] for values in cells])),
    }


def median(values: Iterable[float | None]) -> float:
    """Returns the median of the numbers that were measured, NaN of none."""
    numbers = [value for value in values if value is not None]
    return float(np.median(numbers)) if numbers else math.nan


def interval(percent: float, images: int, seeds: float) -> tuple[float, float]:
    """Returns the 95 % interval of an accuracy: Wilson's, widened by the half-width of the seeds,
    within 0 and 100."""
    low, high = seed_variance.widened(percent, *wilson(percent, images), seeds)
    return max(0.0, low), min(100.0, high)


def t_limits(values: Sequence[float] | np.ndarray) -> tuple[float, float]:
    """Returns the 95 % t-interval of the mean of two or more numbers."""
    count, mean = len(values), float(np.mean(values))
    half = float(stdtrit(count - 1, 0.975) * np.std(values, ddof=1) / math.sqrt(count))
    return mean - half, mean + half


def combined(cells: Sequence[Mapping[str, Any]], weights: Sequence[float]) -> tuple[float, float]:
    """Returns the 95 % interval of a weighted sum of cells, taken as independent.

    This is the method of variance estimates recovery (Zou and Donner, 2008): each limit adds the
    squared distances of the cells' own limits to their means.
    """
    down = up = total = 0.0
    for values, weight in zip(cells, weights):
        below, above = values["measured"] - values["low"], values["high"] - values["measured"]
        if weight < 0:
            below, above = above, below
        total += weight * values["measured"]
        down += (weight * below) ** 2
        up += (weight * above) ** 2
    return total - math.sqrt(down), total + math.sqrt(up)
