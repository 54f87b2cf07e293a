"""Every combination of the choices of two recipes, and the effects of the choices on accuracy.

Every choice is a factor of two levels, and every combination of them a cell that is trained on
every dataset. The effect of a factor is the mean accuracy at EVP's level minus that at the
official one, over all levels of the others; the interaction of two factors is half of what the
effect of the one changes with the other. A factor that was run at one level only is left out.
"""

import math
from itertools import combinations, product
from typing import Any, NamedTuple

import numpy as np
import pandas

from analysis.common import cells, seed_variance, variants
from analysis.common.aliases import Cell, Record, Row
from analysis.common.origin import same_origin
from vpbench.common.errors import RecordError

Rates = dict[float, list[Record]]  # learning rate -> runs, one per seed
FACTORS = {  # setting -> name, and the levels that are not the official recipe's
    "prompt_space": ("Prompt space", ("pixel",)),
    "init": ("Start", ("zeros",)),
    "warm_up": ("Warm-up", (0,)),
    "augmentation": ("Augmentation", ("flip", "flip_crop", "resized_crop")),
    "momentum": ("Momentum", (0,)),
    "gradient": ("Gradient", ("unit", "unit_image")),
}
STEPS = "warm_up_steps"  # of a warm-up, which count instead of its share where they are given
FREE = (*FACTORS, STEPS, "lr")  # what may differ between runs
OFFICIAL, NEAR_OFFICIAL, NEAR_EVP = "official", "nearest to official", "nearest to EVP"
COLUMNS = (
    *("task", "kind", "factor", "other", "levels", "measured", "low", "high", "pairs", "share"),
    *("recipe", "lr", "validation", "seeds"),
)
COUNTS = ("pairs", "seeds")
LEAST = 1e-9  # points squared: no variance at all


class Factorial(NamedTuple):
    """All cells of a design: a cell is a level of each factor, in the order of FACTORS."""

    levels: dict[str, list]  # factor -> its levels, the official recipe's first
    varied: list[str]  # the factors that have two
    runs: dict[str, dict]  # dataset -> cell -> its runs, one per seed, at the rate of the cell
    values: np.ndarray  # test accuracies (%) [2, 2, ..., datasets], an axis per varied factor


def factorial(records: list[Record]) -> Factorial | None:
    """Returns the `Factorial` of the runs of a visual prompt, None without any.

    Each cell is read at the learning rate that is chosen for it, on validation, for each dataset.
    Raises RecordError where a cell is missing, or where runs differ in other settings.
    """
    variants.single(records, "backbone")
    by_task: dict[str, list[Record]] = {}
    for record in variants.of_method(same_origin(records), "visual_prompt"):
        if task := cells.dataset_of(record):
            by_task.setdefault(task, []).append(record)
    if not by_task:
        return None
    rates = {task: by_rate(variants.alike(runs, FREE)) for task, runs in by_task.items()}
    levels = levels_of([cell for tried in rates.values() for cell in tried])
    wanted = list(product(*levels.values()))
    check_complete(rates, wanted)
    chosen = {
        task: {cell: at_best_rate(tried[cell]) for cell in wanted} for task, tried in rates.items()
    }
    varied = [factor for factor, two in levels.items() if len(two) == 2]
    means = [
        [cells.cell(runs[cell])["measured"] for runs in chosen.values()] for cell in wanted
    ]  # product() lets the last factor change first, and so does an array
    return Factorial(levels, varied, chosen, np.reshape(means, [2] * len(varied) + [len(chosen)]))


def by_rate(records: list[Record]) -> dict[Cell, Rates]:
    """Returns cell -> learning rate -> its runs, one per seed, of the runs of a dataset."""
    rates: dict[Cell, Rates] = {}
    for values, runs in variants.by_settings(records, FREE).items():
        cell = dict(zip(FREE, values))
        lr, steps = cell.pop("lr"), cell.pop(STEPS)
        if steps is not None:
            cell["warm_up"] = steps
        rates.setdefault(tuple(cell.values()), {})[lr] = runs
    return rates


def levels_of(tried: list[Cell]) -> dict[str, list[Any]]:
    """Returns factor -> its levels in the cells `tried`, the official recipe's first."""
    levels = {}
    for factor, values in zip(FACTORS, zip(*tried)):
        others = FACTORS[factor][1]
        levels[factor] = sorted(set(values), key=lambda level: (level in others, str(level)))
        if len(levels[factor]) > 1 and [one in others for one in levels[factor]] != [False, True]:
            raise RecordError(
                f"{factor} has the levels {', '.join(map(str, levels[factor]))}; expected two, the "
                f"official recipe's and one of {', '.join(map(str, others))}: leave the others out"
            )
    return levels


def check_complete(rates: dict[str, dict[Cell, Rates]], wanted: list[Cell]) -> None:
    """Raises RecordError unless each cell `wanted` was run on every dataset, at the same rates.

    The rates may be others for another level of the gradient.
    """
    usual: dict[Any, set[float]] = {}
    gradient = list(FACTORS).index("gradient")
    for tried in rates.values():
        for cell, by_lr in tried.items():
            usual.setdefault(cell[gradient], set()).update(by_lr)
    lacking = [
        (task, cell, sorted(usual.get(cell[gradient], set()) - set(tried.get(cell, ()))))
        for task, tried in rates.items()
        for cell in wanted
        if set(tried.get(cell, ())) != usual.get(cell[gradient])
    ]
    if lacking:
        task, cell, some = lacking[0]
        raise RecordError(
            f"{len(lacking)} of {len(wanted) * len(rates)} cells of the factorial are not complete "
            f"and its effects need all: {described(cell)} was not run on {task} with lr "
            f"{', '.join(f'{lr:g}' for lr in some)}; run it, or leave out its level or its dataset"
        )


def described(cell: Cell) -> str:
    """Returns the levels of a cell in words."""
    return ", ".join(f"{factor} {level}" for factor, level in zip(FACTORS, cell))


def at_best_rate(rates: Rates) -> list[Record]:
    """Returns the runs at the learning rate with the best validation accuracy; `rates`: lr -> runs.

    The accuracy is the mean over the seeds that all rates have; of equal ones the smallest counts.
    """
    seeds = [{one["spec"]["seed"] for one in runs} for runs in rates.values()]
    shared = set.intersection(*seeds)
    scores = {}
    for lr, runs in rates.items():
        kept = [one for one in runs if one["spec"]["seed"] in shared]
        score = variants.validation_accuracy(kept) if kept else None
        if score is None:
            raise RecordError(
                f"{runs[0]['spec']['variant']} of {runs[0]['spec']['task']}: the rate of a cell is "
                "chosen on validation, with the same seeds at all rates, and this run has no "
                f"{'validation split' if kept else 'such seed'}; leave it out, or run it again"
            )
        scores[lr] = -round(score, 6)  # equal shares of the images may differ in the last bit
    return rates[min(scores, key=lambda lr: (scores[lr], lr))]


def paired_effects(values: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    """Returns the effect of the factors `axes` together at all levels of the others, by dataset.

    `values` are accuracies [2, 2, ..., datasets]. That of two factors is half of the difference
    between the effects of the one at the two levels of the other, and so on.
    """
    for axis in sorted(axes, reverse=True):
        values = values.take(1, axis) - values.take(0, axis)
    return values / 2 ** (len(axes) - 1)


def sum_of_squares(table: np.ndarray, axes: tuple[int, ...]) -> float:
    """Returns the part that the factors `axes` together have in the sum of squares of the cells.

    `table` has accuracies [2, 2, ...]. The parts of all sets of factors add up to the whole.
    """
    return 2 ** (table.ndim - 2) * float(paired_effects(table, axes).mean()) ** 2


def effects(design: Factorial | None) -> pandas.DataFrame:
    """Returns the rows of a `Factorial`, of each dataset and of their average: columns COLUMNS.

    `measured` is an effect in percentage points, that of a cell its accuracy in percent. The 95 %
    t-interval of an effect is over its `pairs`: every combination of the other factors' levels, on
    every dataset. It says how much the effect depends on those, and nothing about other seeds.
    `share` is the percentage of the sum of squares between the cells (their means over datasets).
    `recipe` names the cells of the two recipes: none is EVP's own, which also shrinks the image.
    """
    rows: list[Row] = []
    if design:
        tasks = list(design.runs)
        about = [(task, design.values[..., [at]], [task]) for at, task in enumerate(tasks)]
        for name, values, some in [*about, ("average", design.values, tasks)]:
            facts = [*effect_rows(design, values), *cell_rows(design, some)]
            rows += [{"task": name} | row for row in facts]
    frame = pandas.DataFrame(rows, columns=list(COLUMNS))
    return frame.astype(dict.fromkeys(COUNTS, "Int64"))


def effect_rows(design: Factorial, values: np.ndarray) -> list[Row]:
    """Returns the rows of the effects and pairwise interactions of accuracies [2, ..., datasets].

    Then one for all interactions of more factors, and one for each factor that is left out.
    """
    rows: list[Row] = []
    table = values.mean(axis=-1)
    left = total = float(((table - table.mean()) ** 2).sum())
    axes = range(len(design.varied))
    for some in [*combinations(axes, 1), *combinations(axes, 2)]:
        pairs, part = paired_effects(values, some).ravel(), sum_of_squares(table, some)
        low, high = cells.t_limits(pairs) if len(pairs) > 1 else (math.nan, math.nan)
        names = [design.varied[axis] for axis in some]
        row: Row = {"kind": "main effect", "factor": names[0]}
        if len(names) == 2:
            row |= {"kind": "interaction", "other": names[1]}
        row |= {"levels": ", ".join(f"{name} {change(design, name, ' to ')}" for name in names)}
        row |= {"measured": float(pairs.mean()), "low": low, "high": high, "pairs": len(pairs)}
        rows.append(row | {"share": percentage(part, total)})
        left -= part
    if len(design.varied) > 2:
        share = percentage(max(0.0, left), total)
        rows.append({"kind": "higher interactions", "share": share})
    fixed = [factor for factor in design.levels if factor not in design.varied]
    return rows + [
        {"kind": "left out", "factor": factor, "levels": f"{factor} {design.levels[factor][0]}"}
        for factor in fixed
    ]


def change(design: Factorial, factor: str, between: str) -> str:
    """Returns the two levels of a factor as text."""
    return between.join(map(str, design.levels[factor]))


def percentage(part: float, whole: float) -> float:
    """Returns how much of a sum of squares a part is, NaN where there is none."""
    return 100 * part / whole if whole > LEAST else math.nan


def cell_rows(design: Factorial, tasks: list[str]) -> list[Row]:
    """Returns a row per cell: its accuracy over `tasks`, and its learning rate where it is one."""
    names, rows = recipes_of(design.levels), []
    for cell in product(*design.levels.values()):
        runs = [design.runs[task][cell] for task in tasks]
        pools = seed_variance.pools(runs)
        measured = [cells.cell(records, pools) for records in runs]
        values = cells.average(measured) if len(measured) > 1 else measured[0]
        row: Row = {"kind": "cell", "levels": described(cell), "recipe": names.get(cell)}
        row |= {key: values[key] for key in ("measured", "low", "high", "seeds")}
        row["validation"] = float(np.mean([variants.validation_accuracy(one) for one in runs]))
        rates = {variants.setting(one[0], "lr") for one in runs}
        rows.append(row | {"lr": rates.pop() if len(rates) == 1 else math.nan})
    return rows


def recipes_of(levels: dict[str, list[Any]]) -> dict[Cell, str]:
    """Returns cell -> the name of the recipe that it is, or that it comes nearest to."""
    whole = all(values[0] not in FACTORS[factor][1] for factor, values in levels.items())
    first, last = (tuple(values[side] for values in levels.values()) for side in (0, -1))
    return {last: NEAR_EVP, first: OFFICIAL if whole else NEAR_OFFICIAL}
