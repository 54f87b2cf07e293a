"""A report of results that no run made, with everything that may be on the page."""

import csv

from PIL import Image

from analysis.report import scorecard
from tests.helpers.analyses import run, write_table
from tests.helpers.fake_records import grid, record, write_all
from tests.helpers.fake_sides import beside

NAMES = ("table1", "table3", "table6", "comparisons", "figure3", "prompt_gallery", "cost")
HOSTILE = "</script><script>alert(1)</script> \"quoted\" 'single' & <b>bold</b>"
CLAIMS = (
    ("counts", "counted as the formula says", "9", "9", "9", "9", "appears"),  # is no finding
    ("vision_gap", "far below the linear probe", "40", "44.923", "42.1", "47.6", "appears"),
    ("eurosat", "above the probe", "1.1", "-57.6", "-60.9", "-54.3", "does not appear"),
    ("clevr", "counts above the probe", "15.4", "-9", "-14", "-4", "undecided (still rising)"),
    ("smallest", HOSTILE, "-1", "0.5", "-1.04", "2.06", "undecided"),
    ("one_pixel", "one pixel helps", "3", "", "", "", "not run"),
)
DIFFERENCES = {  # (role, rival, task) -> VP - rival, low, high and the paper's
    ("clip", "text_prompt", "average"): (4.84, 3.9, 5.8, 24.0),
    ("clip", "linear_probe", "average"): (-13.3, -14.3, -12.3, -4.9),
    ("clip", "text_prompt", "shift_average"): (25.7, 23.0, 28.1, 31.3),
    ("clip", "linear_probe", "shift_average"): (-0.6, -4.2, 3.0, -4.5),
    ("instagram", "linear_probe", "average"): (-66.0, -69.0, -63.0, -39.3),
    ("bit_m", "linear_probe", "average"): (-65.0, -68.0, -62.0, -40.0),
    ("rn50", "linear_probe", "average"): (-64.0, -67.0, -61.0, -46.7),
}
COMPARED_METHODS = ("visual_prompt", "linear_probe")
COMPARED = (
    *("role", "rival", "task", "difference", "low", "high", "published", "up", "down", "rising"),
)
RISING = {"clevr": "clip visual_prompt +, clip fine_tune -"}


def accuracy(task, backbone, method):
    """Returns an accuracy by which the visual prompt is above the probe on SVHN only."""
    values = {"text_prompt": 20.0, "visual_prompt": 45.25, "linear_probe": 50.0, "fine_tune": 80.0}
    return 61.5 if (task, method) == ("svhn_twin", "visual_prompt") else values[method]


def made_records():
    """Returns records of all cells; the first has a history, and names that try to break out."""
    records = grid(accuracy)
    first = records[0]
    first["history"] = [
        {"epoch": epoch, "loss": 2.0 / epoch, "train_accuracy": 10.0 * epoch}
        | {
            name: 9.0 * epoch if epoch % 2 == 0 else None
            for name in ("validation_accuracy", "test_accuracy")
        }
        for epoch in range(1, 9)
    ]
    first["spec"]["settings"] = {"lr": 10, "text_prompt": HOSTILE}
    others = [
        record("svhn_twin", "clip_micro", "visual_prompt", 30.0 + seed, seed, variant="lr_40")
        for seed in (1, 2)
    ]
    others[0]["spec"]["settings"] = {"lr": 0.5}
    for one in records + others:  # what a page may show in full
        same = [one["spec"][key] == first["spec"][key] for key in ("backbone", "task")]
        one["hashes"] |= {"weights": "ab" * 32} if same[0] else {}
        one["hashes"] |= {"data": "cd" * 32} if all(same) else {}
    return records + others


def write_results(folder):
    """Returns the arguments of the report once all that it reads is in `folder`."""
    results, captions = folder / "results", folder / "captions"
    (results / "figures").mkdir(parents=True)
    captions.mkdir()
    made = made_records()
    manifests = write_all(made, results / "runs")
    cells = [one for one in made if one["spec"]["variant"] == "default"]
    for one in cells:  # what table 1 compares
        if one["spec"]["backbone"] == "clip_micro" and one["spec"]["method"] in COMPARED_METHODS:
            one["file"] = beside(one, results / "runs")["file"]
    for name in ("table1", "table3", "table6"):
        write_table(name, cells, results / f"{name}.csv")
        (captions / f"{name}.rst").write_text(f"Caption of ``{name}``.\nIt's in two lines.\n")
    heads = (*scorecard.CLAIM, "unit", "best_test", "note", "up", "down")
    write_csv(results / "claims.csv", heads, map(claim_row, CLAIMS))
    write_csv(results / "comparisons.csv", COMPARED, differences())
    for name, size in (("figure3", (700, 300)), ("prompt_gallery", (600, 700))):
        Image.linear_gradient("L").resize(size).save(results / "figures" / f"{name}.png")
        write_csv(results / f"{name}.csv", ("task", "measured"), [("dtd", 1.5), ("svhn", 2)])
        (captions / f"{name}.rst").write_text(f"What {name} shows. {HOSTILE}\n")
    config = folder / "made_up.yaml"
    config.write_text(f"scale: lab # {HOSTILE}\nkind: twins\n")
    return [
        *("--results", str(results), "--captions", str(captions), "--config", str(config)),
        *("--names", *NAMES, "--runs", *map(str, manifests)),
    ]


def claim_row(claim):
    """Returns one row of claims.csv."""
    name, text, published, measured, low, high, verdict = claim
    counted = "no" if name == "counts" else "yes"
    judged = "The rule of it.", verdict, "lab", counted, RISING.get(name, "")
    note = "A note." if measured else "A note. Not run: cost.csv is missing"
    more = "points", measured and "12.34", note, "5.5" if name in RISING else "0", "0"
    return name, "5.1", text, published, measured, low, high, *judged, *more


def differences():
    """Returns the rows of comparisons.csv: DIFFERENCES, and one that tries to break out."""
    rows = [(*key, *numbers, 0, 0, "") for key, numbers in DIFFERENCES.items()]
    return [*rows, ("clip", "text_prompt", HOSTILE, -1.5, "", "", "", "", "", "")]


def write_csv(path, heads, rows):
    """Returns `path` once the CSV is there."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heads, *rows])
    return path


def write_page(folder):
    """Returns the path of the page made from the made-up results."""
    out = folder / "report.html"
    assert run("report", *write_results(folder), "--out", str(out)) == 0
    return out
