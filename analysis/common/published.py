"""The paper's own numbers, read from `analysis/published/`; they are never mixed with ours."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pandas

from analysis.common.aliases import Cell

FOLDER = Path(__file__).parents[1] / "published"
DATASETS = 6  # the tables with other columns than role, method, task, value
MODELS = 3
BESIDE = {1: "average", 2: "shift_average", 4: "average", 5: "shift_average"}  # their last column
PAPER = "Bahng et al. (2022), Table"
KEPT = "All training images; the released code keeps a prompt's best test epoch"
TOGETHER: dict[str, Callable[[list[float]], float]] = {
    "mean": lambda values: sum(values) / len(values),
    "smallest": min,
    "largest": max,
}


def table(number: int) -> pandas.DataFrame:
    """Returns the published Table `number`, tidy; the averages are those printed there."""
    columns = {"train": "Int64", "validation": "Int64", "test": "Int64", "classes": "Int64"}
    return pandas.read_csv(FOLDER / f"table{number}.csv", dtype=columns if number == 6 else None)


def accuracies(*numbers: int) -> dict[Cell, float]:
    """Returns (role, method, task) -> the accuracy printed in the Tables `numbers`."""
    rows = pandas.concat(table(number) for number in numbers)
    return dict(zip(zip(rows.role, rows.method, rows.task), rows.value))


def methods() -> pandas.DataFrame:
    """Returns one row per published accuracy of any method, with where and how it was measured.

    `gain` is that over a visual prompt in the same source; `shots` are training images per class;
    the averages are `average` (of the source's own datasets) and `shift_average`.
    """
    architectures = table(MODELS).set_index("role").architecture
    frames = []
    for number, name in BESIDE.items():
        rows = table(number)
        prompted = rows[rows.method == "visual_prompt"].set_index(["role", "task"]).value
        same = rows.join(prompted.rename("reference"), on=["role", "task"]).reference
        gain = (rows.value - same).where(rows.method != "visual_prompt").round(1)
        rows = rows.assign(variant="default", gain=gain, shots="all", protocol=KEPT)
        rows = rows.assign(backbone=rows.role.map(architectures), source=f"{PAPER} {number}")
        frames.append(rows.replace({"task": {"average": name}}))
    others = pandas.read_csv(FOLDER / "methods.csv", dtype={"shots": str})
    return pandas.concat([*frames, others], ignore_index=True)[list(others.columns)]


def claims() -> pandas.DataFrame:
    """Returns one row per claim of the paper: its words and number, and the rule that decides.

    Those with `finding` yes are counted. A number is above 0 where the claim is right. A claim with
    a `table` is the mean, smallest or largest difference `method` - `minus` of the `roles` on the
    tasks `task`, where "all" is every dataset of that table, less the `limit`. `tolerance` says how
    far a number measured at paper scale may be from the published one.
    """
    texts = ["roles", "method", "minus", "task", "of", "relation", "note", "unit"]
    frame = pandas.read_csv(FOLDER / "claims.csv", dtype={"section": str, "table": "Int64"})
    return frame.fillna(dict.fromkeys(texts, "") | {"limit": 0.0})


def claimed(claim: Any, values: Mapping[Cell, float]) -> float:
    """Returns the number that `claim` is about, from `values` of any (role, method, task)."""
    differences: list[float] = []
    for role in claim.roles.split():
        gains = {
            task: value - values[role, claim.minus, task]
            for (some_role, method, task), value in values.items()
            if some_role == role and method == claim.method
        }
        if claim.task == "all":
            gains.pop("average")
            differences += gains.values()
        else:
            differences += [gains[task] for task in claim.task.split()]
    return TOGETHER[claim.of](differences) - claim.limit
