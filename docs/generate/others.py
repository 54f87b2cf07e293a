"""Numbers that a run of the lab does not make: desk, searches, benchmarks, reported ones."""

import csv
from pathlib import Path

from docs.generate.lab import Tables
from docs.generate.text import Row, interval, markdown_tables, number, table

STEPS = {  # of a benchmark -> what it is called in names of values
    "clip_vit_b32, fp32": "vit_fp32",
    "clip_vit_b32, bf16": "vit_bf16",
    "rn50, fp32": "rn50_fp32",
    "rn50, bf16": "rn50_bf16",
}


def reported(path: Path) -> list[Row]:
    """Returns the numbers that were read from records which are not kept, with their origin."""
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def reported_table(rows: list[Row]) -> str:
    """Returns those numbers as a table."""
    lines = [[row["what"], row["value"], row["origin"]] for row in rows]
    return table(("What", "Value", "Made by"), lines)


def benchmark_values(text: str, machine: str) -> dict[str, str]:
    """Returns the named values of a report of `python -m benchmarks` on a machine."""
    named = {}
    for rows in markdown_tables(text):
        for row in rows:
            name = STEPS.get(row.get("step", ""))
            if name and "x official" in row:
                named[f"{machine}_{name}_official"] = row["x official"]
                named[f"{machine}_{name}_update"] = row["difference of the update"]
            elif name and "share of the limit, %" in row:
                named[f"{machine}_{name}_limit"] = row["share of the limit, %"]
    return named


def speedrun(rows: list[Row]) -> str:
    """Returns the recipes of a search for fewer steps, over all of its tasks."""
    lines = [
        [
            row["recipe"] + (" (best)" if row["best"] == "True" else ""),
            row["outcome"],
            interval(row, "speedup", 2) or "–",
            number(row["validation"]),
            number(row["target"]),
            number(row["test"]),
            number(row["official_test"]),
        ]
        for row in rows
        if row["task"] == "all"
    ]
    heads = ("Recipe", "Cells", "Fewer images by (range)", "Validation", "Its target")
    return table((*heads, "Test", "Official recipe's test"), lines)


def steps(rows: list[Row]) -> str:
    """Returns the steps of the official and of the best recipe where both reach the target."""
    cells = [row for row in rows if row["task"] != "all" and row["steps"]]
    official = {(r["backbone"], r["task"]): r for r in cells if r["recipe"] == "official"}
    lines = []
    for row in cells:
        if row["best"] == "True":
            before = official[row["backbone"], row["task"]]["steps"]
            line = [f"`{row['backbone']}`", f"`{row['task']}`"]
            lines.append([*line, number(before, 0), number(row["steps"], 0)])
    return table(("Backbone", "Task", "Steps, official recipe", "Steps, best recipe"), lines)


def reached(rows: list[Row]) -> str:
    """Returns the recipes, but the official one, that reach the target of every cell."""
    full = [row for row in rows if row["task"] == "all" and row["recipe"] != "official"]
    counts = {row["recipe"]: row["outcome"].split()[:3:2] for row in full}
    return "; ".join(recipe for recipe, (some, all_) in counts.items() if some == all_) or "none"


def best_rates(rows: list[Row], name: str, rates: tuple[str, ...]) -> str:
    """Returns the best of a search for learning rates, with its validation accuracies."""
    tasks = [column for column in rows[0] if column.endswith("_twin")]
    heads = ["Backbone", "Method", name.capitalize(), *rates]
    heads += [task.removesuffix("_twin") for task in tasks] + ["Mean"]
    lines = []
    for row in rows:
        if row["best"] == "True":
            line = [f"`{row['backbone']}`", f"`{row['method']}`", f"`{row[name]}`"]
            line += [row[rate] or "–" for rate in rates]
            lines.append(line + [number(row[task]) for task in (*tasks, "mean")])
    return table(heads, lines)


def fragments(lab: Tables, desk: Tables, numbers: list[Row]) -> dict[str, str]:
    """Returns the tables, by the name of their file."""
    return {
        "lab_speedrun": speedrun(lab["speedrun"]),
        "lab_steps": steps(lab["speedrun"]),
        "desk_speedrun": speedrun(desk["speedrun"]),
        "lab_recipes": best_rates(lab["recipe_search"], "variant", ()),
        "methods_recipes": best_rates(
            lab["methods_search"], "recipe", ("lr", "map_lr", "prompt_lr")
        ),
        "reported": reported_table(numbers),
    }
