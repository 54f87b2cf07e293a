"""What the report tells about single runs: a row of a table, and details with history curves."""

from typing import Any

from analysis.common import style
from analysis.common.aliases import Record
from analysis.report import provenance
from vpbench.records.paths import record_path

COLUMNS = {  # head -> is it a number?
    "Task": False,
    "Backbone": False,
    "Method": False,
    "Variant": False,
    "Seed": True,
    "Accuracy (%)": True,
    "Epoch": True,
    "Read at": False,
    "lr": True,
    "Trained parameters": True,
    "Seconds": True,
}
FILTERS = ("Task", "Backbone", "Method", "Variant")
SERIES = ("loss", "train_accuracy", "validation_accuracy", "test_accuracy")
POINTS = 150_000  # of all curves together, so that the page stays small
METRICS = {
    "accuracy": "Accuracy",
    "macro_f1": "Macro F1",
    "worst_group": "Worst group",
    "nll": "NLL",
    "ece": "ECE",
}


def words(name: str) -> str:
    """Returns a key as words."""
    return str(name).replace("_", " ")


def row(record: Record) -> list[Any]:
    """Returns the values of COLUMNS; None where a run has no such thing."""
    spec, pick = record["spec"], record["selection"][record["rule"]]
    role = record["backbone"]["role"]
    return [
        record["task"]["display"],
        spec["backbone"],
        style.method_name(spec["method"], role),
        spec["variant"],
        spec["seed"],
        pick["test"]["accuracy"],
        pick["epoch"],
        words(record["rule"]),
        spec["settings"].get("lr"),
        record["trained_parameters"],
        record["measured"].get("seconds"),
    ]


def shown(value: Any, head: str) -> str:
    """Returns a value of a row as text."""
    if value is None:
        return ""
    if isinstance(value, float) and head in ("Accuracy (%)", "Seconds"):
        return f"{value:.1f}"
    return f"{value:,}" if head == "Trained parameters" else str(value)


def key(record: Record) -> str:
    """Returns the name of a run in links to it: the path of its record within the runs."""
    return record_path(record["spec"], "").with_suffix("").as_posix()


def epochs_shown(runs: int) -> int:
    """Returns about how many epochs of a run its curves may have if there are so many runs."""
    return max(20, min(200, POINTS // max(1, runs)))


def details(record: Record, epochs: int) -> dict[str, Any]:
    """Returns what is shown when a run is opened: curves, every selection, and all other facts."""
    spec, role = record["spec"], record["backbone"]["role"]
    method = style.method_name(spec["method"], role)
    facts = {
        "Run": {name: spec[name] for name in ("scale", "task", "backbone", "variant", "seed")},
        "Settings": spec["settings"] | own_words(record),
        "Chosen on validation": record["chosen"],
        "Images": record["task"]["sizes"],
        "Notes on the images": dict(enumerate(provenance.notes(record), start=1)),
        "Backbone": record["backbone"],
        "Cost": {"trained parameters": record["trained_parameters"]} | record["measured"],
        "Hashes (SHA-256)": record["hashes"],
        "Versions": record["versions"] | {"device": record["device"]},
    }
    return {
        "key": key(record),
        "title": f"{method} of {spec['backbone']} on {record['task']['display']}",
        "subtitle": f"variant {spec['variant']}, seed {spec['seed']}",
        "history": thinned(record["history"], epochs),
        "chance": record["task"]["chance"],
        "read": record["selection"][record["rule"]]["epoch"],
        "selections": [selection(record, name) for name in record["selection"]],
        "facts": [
            [title, [[words(name), fact_text(value)] for name, value in values.items()]]
            for title, values in facts.items()
            if values
        ],
    }


def own_words(record: Record) -> dict[str, str]:
    """Returns the text prompt and class names of the task, of the settings that leave them to it.

    A backbone without a text encoder reads neither.
    """
    settings, task = record["spec"]["settings"], record["task"]
    reads = record["backbone"]["modality"] == "vision_language"
    own = {"text_prompt": task["template"], "class_names": "those of the dataset"}
    return {
        name: text if reads else "not read, there is no text encoder"
        for name, text in own.items()
        if settings.get(name, "") is None
    }


def selection(record: Record, name: str) -> list[Any]:
    """Returns one row about a selection: name, is it the one the tables read, epoch, metrics."""
    pick = record["selection"][name]
    epoch = "" if pick["epoch"] is None else str(pick["epoch"])
    validation = decimal((pick.get("validation") or {}).get("accuracy"))
    measured = [decimal(pick["test"].get(metric)) for metric in METRICS]
    return [words(name), name == record["rule"], epoch, validation, *measured]


def decimal(value: float | None) -> str:
    """Returns a number with two decimals, an en dash for a missing one."""
    return "\N{EN DASH}" if value is None else f"{value:.2f}"


def fact_text(value: Any) -> str:
    """Returns a fact of a record as text."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(fact_text, value))
    if isinstance(value, dict):
        return ", ".join(f"{key} {fact_text(item)}" for key, item in value.items())
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def thinned(history: list[dict[str, Any]], most: int) -> dict[str, list[Any]]:
    """Returns epoch and SERIES as lists of equal length, of at most twice `most` epochs.

    Half of them are evenly spread over all epochs, half over those with a look at the test split.
    """
    looks = [place for place, epoch in enumerate(history) if epoch.get("test_accuracy") is not None]
    kept = {*spread(list(range(len(history))), most), *spread(looks, most)}
    epochs = [history[place] for place in sorted(kept)]
    columns = {name: [rounded(epoch.get(name)) for epoch in epochs] for name in SERIES}
    return {"epoch": [epoch["epoch"] for epoch in epochs]} | columns


def spread(places: list[int], most: int) -> list[int]:
    """Returns at most `most` of `places`, evenly spread, with the first and the last."""
    if len(places) <= most:
        return places
    return [places[round(step * (len(places) - 1) / (most - 1))] for step in range(most)]


def rounded(value: float | None) -> float | None:
    """Returns a number with as many digits as a curve can show."""
    return value if value is None else float(f"{value:.4g}")
