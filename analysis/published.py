"""The paper's own numbers, read from `analysis/published/`; they are never mixed with ours."""

from pathlib import Path

import pandas

FOLDER = Path(__file__).parent / "published"
DATASETS = 6  # the tables with other columns than role, method, task, value
MODELS = 3


def table(number):
    """Returns the published Table `number`, tidy; the averages are those printed there."""
    columns = {"train": "Int64", "validation": "Int64", "test": "Int64", "classes": "Int64"}
    return pandas.read_csv(FOLDER / f"table{number}.csv", dtype=columns if number == 6 else None)


def accuracies(*numbers):
    """Returns (role, method, task) -> the accuracy printed in the Tables `numbers`."""
    rows = pandas.concat(table(number) for number in numbers)
    return dict(zip(zip(rows.role, rows.method, rows.task), rows.value))


def claims():
    """Returns the numbers stated in the text, each with the difference that it states."""
    return pandas.read_csv(FOLDER / "claims_text.csv", dtype={"section": str})


def claimed(claim, values):
    """Returns the number that `claim` is about, from `values` of any (role, method, task).

    It is a difference of two methods on one task, on the average, or on the task where it is best
    or worst; of several roles, the mean.
    """
    extremes = {"best": max, "worst": min}
    differences = []
    for role in claim.roles.split():
        gains = {
            task: value - values[role, claim.minus, task]
            for (some_role, method, task), value in values.items()
            if some_role == role and method == claim.method
        }
        if claim.task in extremes:
            gains.pop("average")
            differences.append(extremes[claim.task](gains.values()))
        else:
            differences.append(gains[claim.task])
    return sum(differences) / len(differences)
