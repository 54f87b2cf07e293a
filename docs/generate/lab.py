"""The results of the lab: named values, and tables with the paper's numbers beside."""

import csv
from pathlib import Path

from analysis.common import style
from docs.generate.text import Row, interval, listed, number, table
from vpbench.spec.backbones import ROLES
from vpbench.spec.methods import METHODS

Tables = dict[str, list[Row]]
VERDICTS = {  # verdict -> its heading, and the name of their number
    "appears": ("Appears", "claims_appear"),
    "does not appear": ("Does not appear", "claims_contrary"),
    "undecided": ("Undecided", "claims_undecided"),
    "undecided (still rising)": ("Undecided, because still rising", "claims_rising"),
    "not run": ("Not run", "claims_not_run"),
}
SHORT = ("text_prompt", "visual_prompt", "linear_probe", "fine_tune")
DECIMALS = {"points": 1, "parameters": 0}  # of a claim of this unit; of another, two
CONDITIONS = {  # of a prompted image -> what it is called in names of values
    "unprompted": "unprompted",
    "unbounded": "prompted",
    "8_bit": "8bit",
    "jpeg_95": "jpeg95",
    "unprompted_jpeg_95": "unprompted_jpeg95",
}


def read(folder: Path) -> Tables:
    """Returns name -> rows of the CSV files in a folder."""
    tables = {}
    for path in sorted(folder.glob("*.csv")):
        with open(path, newline="") as file:
            tables[path.stem] = list(csv.DictReader(file))
    return tables


def values(tables: Tables) -> dict[str, str]:
    """Returns the named values of the lab, as text."""
    claims = tables["claims"]
    findings = [row for row in claims if counted(row)]
    named = {"claims_all": str(len(findings))}
    for verdict, (_, name) in VERDICTS.items():
        named[name] = str(sum(row["verdict"] == verdict for row in findings))
    for row in claims:
        decimals = DECIMALS.get(row["unit"], 2)
        named[f"claim_{row['id']}"] = interval(row, decimals=decimals) or "not run"
        named[f"paper_{row['id']}"] = number(row["published"], decimals) or "no number"
        named[f"verdict_{row['id']}"] = row["verdict"]
    return named | gains(tables["figure4"]) | pictures(tables["deployability"])


def counted(row: Row) -> bool:
    """Returns whether a claim is one of the findings that are counted."""
    return row.get("finding", "yes") == "yes"


def gains(rows: list[Row]) -> dict[str, str]:
    """Returns the datasets with the largest gains, ours and the paper's, and those with a loss."""

    def largest(column: str) -> str:
        best = sorted(rows, key=lambda row: -float(row[column]))[:4]
        return listed([f"{style.TASKS[r['task']]} ({number(r[column])})" for r in best])

    lost = [style.TASKS[row["task"]] for row in rows if float(row["high"]) < 0]
    return {
        "largest_gains": largest("measured"),
        "paper_largest_gains": largest("published"),
        "losses": listed(lost),
    }


def pictures(rows: list[Row]) -> dict[str, str]:
    """Returns CLIP's accuracy over all datasets once the prompted image is a picture."""
    ours = {row["condition"]: row for row in rows if (row["role"], row["task"]) == ("clip", "all")}
    named = {
        f"picture_{name}": number(ours[condition]["accuracy"])
        for condition, name in CONDITIONS.items()
    }
    bare = float(ours["unprompted"]["accuracy"])
    gain = {name: float(ours[each]["accuracy"]) - bare for each, name in CONDITIONS.items()}
    return named | {f"picture_gain_{name}": number(gain[name]) for name in ("prompted", "8bit")}


def fragments(tables: Tables) -> dict[str, str]:
    """Returns the tables of the lab, by the name of their file."""
    return {
        "lab_claims": claims_table(tables["claims"]),
        "lab_rules": rules(tables["claims"]),
        "lab_clip": accuracy_tables(tables["table1"]),
        "lab_clip_shift": accuracy_tables(tables["table2"]),
        "lab_vision": accuracy_tables(tables["table4"]),
        "lab_vision_shift": accuracy_tables(tables["table5"]),
        "lab_gains": gains_table(tables["figure4"]),
        "lab_distance": dependences(tables["dataset_properties"]),
        "lab_transfer": transfer_table(tables["transfer"]),
        "lab_datasets": datasets_table(tables["table6"]),
        "lab_pixel": pixel_table(tables["single_pixel"]),
    }


def claims_table(claims: list[Row]) -> str:
    """Returns the findings by verdict, the paper's number beside that of the lab."""
    groups = {
        heading: [row for row in claims if row["verdict"] == verdict and counted(row)]
        for verdict, (heading, _) in VERDICTS.items()
    }
    groups["Not counted, because nearly any result would have them"] = [
        row for row in claims if not counted(row)
    ]
    return "\n".join(
        f"**{heading}: {len(rows)}**\n\n" + table(CLAIM_HEADS, map(claim, rows))
        for heading, rows in groups.items()
        if rows
    )


CLAIM_HEADS = ("Finding of the paper", "Section", "Paper", "Lab (95 % interval)", "Unit")


def claim(row: Row) -> list[str]:
    """Returns the cells of a finding."""
    decimals = DECIMALS.get(row["unit"], 2)
    paper = number(row["published"], decimals) or "–"
    ours = interval(row, decimals=decimals) or "–"
    return [row["claim"], row["section"], paper, ours, row["unit"]]


def rules(claims: list[Row]) -> str:
    """Returns the rule and the note of every finding."""
    return "".join(
        f"- **{row['claim']}.** {row['rule']}.{' ' + row['note'] + '.' if row['note'] else ''}\n"
        for row in claims
    )


def accuracy_tables(rows: list[Row]) -> str:
    """Returns a table per model: a row per dataset, for each method the lab beside the paper."""
    parts = []
    for role in dict.fromkeys(row["role"] for row in rows):
        cells = {(row["task"], row["method"]): row for row in rows if row["role"] == role}
        methods = list(dict.fromkeys(method for _, method in cells))
        names = [style.method_name(method, role) for method in methods]
        heads = ["Dataset"]
        for name in names:
            heads += [f"{name}, lab", f"{name}, paper"]
        lines = []
        for task in dict.fromkeys(task for task, _ in cells):
            line = [style.TASKS[task]]
            for method in methods:
                row = cells[task, method]
                line += [number(row["measured"]) or "–", number(row["published"]) or "–"]
            lines.append(line)
        parts.append(f"**{ROLES[role]}**\n\n{table(heads, lines)}")
    return "\n".join(parts)


def gains_table(rows: list[Row]) -> str:
    """Returns the gains of a visual prompt over the text prompt, the largest first."""
    lines = [
        [style.TASKS[row["task"]], interval(row), number(row["published"])]
        for row in sorted(rows, key=lambda row: -float(row["measured"]))
    ]
    return table(("Dataset", "Lab: VP − TP (95 % interval)", "Paper: VP − TP"), lines)


def dependences(rows: list[Row]) -> str:
    """Returns in words how the gain depends on distance and on diversity."""
    known = {row["statistic"]: row for row in rows if row["task"] == "all"}
    return "".join(
        f"- {dependence(known[f'spearman_gain_{name}'], words)}; "
        f"{given(known[f'partial_spearman_gain_{name}_given_text_prompt'])}.\n"
        for name, words in (
            ("frechet", "distance from the pretraining data"),
            ("diversity", "diversity of a dataset's images"),
        )
    )


def dependence(row: Row, words: str) -> str:
    """Returns whether the gain rises or falls, with the rank correlation."""
    start = f"With {int(float(row['count']))} datasets"
    if trend(row) is None:
        return f"{start} we cannot tell whether the gain depends on the {words} ({ranks(row)})"
    return f"{start} the gain {trend(row)} with the {words} ({ranks(row)})"


def given(row: Row) -> str:
    """Returns the same once TP is accounted for."""
    if trend(row) is None:
        return f"nor can we once TP is accounted for ({ranks(row)})"
    return f"once TP is accounted for, it {trend(row)} ({ranks(row)})"


def trend(row: Row) -> str | None:
    """Returns the direction of a correlation, None where its interval has both signs."""
    low, high = float(row["low"]), float(row["high"])
    return "rises" if low > 0 else "falls" if high < 0 else None


def ranks(row: Row) -> str:
    """Returns a rank correlation with its interval."""
    value, low, high = (number(row[name], 2) for name in ("value", "low", "high"))
    return f"rank correlation {value}, 95 % interval {low} to {high}"


def transfer_table(rows: list[Row]) -> str:
    """Returns the gain of prompts on each backbone, by the one that they were learned for."""
    cells = {
        (row["backbone"], row["target_backbone"]): number(row["gain"])
        for row in rows
        if (row["task"], row["target_task"]) == ("all", "all")
    }
    names = list(dict.fromkeys(name for name, _ in cells))
    lines = [[f"`{source}`", *(cells.get((source, to), "–") for to in names)] for source in names]
    return table(("Learned for", *(f"on `{name}`" for name in names)), lines)


def datasets_table(rows: list[Row]) -> str:
    """Returns the datasets of the lab beside those of the paper."""
    heads = ["Dataset"]
    columns = ("train", "validation", "test", "classes")
    for column in columns:
        heads += [f"{column}, lab", f"{column}, paper"]
    lines = []
    for row in rows:
        line = [row["published_name"]]
        for column in columns:
            line += [number(row[name], 0) or "–" for name in (column, f"published_{column}")]
        lines.append(line)
    return table(heads, lines)


def pixel_table(rows: list[Row]) -> str:
    """Returns the gain of a single pixel."""
    lines = [
        [
            row["template"].replace("_", " "),
            {"fixed": "of the recipe", "validated": "chosen on validation"}[row["rate"]],
            f"{number(row['gain'])} ({number(row['gain_low'])} to {number(row['gain_high'])})",
            number(row["published"]),
        ]
        for row in rows
    ]
    return table(("Place", "Learning rate", "Lab: gain (95 % interval)", "Paper: gain"), lines)


def overview(tables: Tables) -> str:
    """Returns the five rows of the README: accuracy of CLIP, lab beside paper."""
    twelve, shifts = averages(tables["table1"]), averages(tables["table2"])
    lines = []
    for method in SHORT:
        line = [f"{METHODS[method].display}, {LONG[method]}"]
        for rows in (twelve, shifts):
            row = rows[method]
            line += [number(row["measured"]), number(row["published"])]
        lines.append(line)
    gain = ["gain of VP over TP"]
    for rows in (twelve, shifts):
        for column in ("measured", "published"):
            difference = [float(rows[name][column]) for name in ("visual_prompt", "text_prompt")]
            gain.append(number(difference[0] - difference[1]))
    heads = ("CLIP, accuracy in %", "12 datasets: lab", "paper", "3 shifts: lab", "paper")
    return table(heads, [*lines, gain])


LONG = {
    "text_prompt": "text prompt",
    "visual_prompt": "visual prompt",
    "linear_probe": "linear probe",
    "fine_tune": "fine-tuning",
}


def averages(rows: list[Row]) -> dict[str, Row]:
    """Returns method -> the row of its average."""
    return {row["method"]: row for row in rows if row["task"] == "average"}
