"""Runs of text and visual prompts that nobody made, and what all their analyses must do."""

import pandas

from tests.helpers.analyses import run
from tests.helpers.fake_records import record, write_all
from vpbench.records.paths import record_path

RECIPE = {"template": "padding", "size": 7, "lr": 10, "epochs": 4, "label_map": "text"}
RECIPE |= {"text_prompt": None, "class_names": None, "position_range": "full"}
SIDE = 56


def parameters(template, size):
    """Returns the paper's number of trainable parameters."""
    return 6 * size * (2 * SIDE - 2 * size) if template == "padding" else 3 * size**2


def prompt(accuracy, validation=None, seed=0, variant=None, task="eurosat_twin", **settings):
    """Returns a run of a visual prompt of CLIP with these settings and accuracies."""
    variant = variant or "_".join(map(str, settings.values())).replace(".", "_")
    settings = RECIPE | settings
    made = record(task, "clip_micro", "visual_prompt", accuracy, seed=seed, variant=variant)
    made["spec"]["settings"] = settings
    chosen = made["selection"]["best_validation"]
    chosen["validation"] = chosen["test"] | {"accuracy": validation or accuracy}
    made["trained_parameters"] = parameters(settings["template"], settings["size"])
    return made


def text(accuracy, variant="default", **settings):
    """Returns a run of the text prompt alone."""
    made = record("eurosat_twin", "clip_micro", "text_prompt", accuracy, variant=variant)
    made["spec"]["settings"] = {"text_prompt": None, "class_names": None} | settings
    return made


def default(accuracy=50.0, **settings):
    """Returns a run of the recipe itself, longer than those of the ablation."""
    return prompt(accuracy, variant="default", **{"epochs": 10} | settings)


def row_of(frame, **values):
    """Returns the only row with these values."""
    for key, value in values.items():
        frame = frame[frame[key] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def figure_text(figure):
    """Returns all that a figure says."""
    texts = figure.findobj(lambda artist: hasattr(artist, "get_text"))
    return " ".join(" ".join(artist.get_text() for artist in texts).split())


def check_products(analysis, made, folder):
    """Returns the csv that `analysis` makes of the records `made`; its figure is there too."""
    name = analysis.__name__.rpartition(".")[2]
    paths = write_all([without_file(one) for one in made], folder / "runs")
    out, figures = folder / f"{name}.csv", folder / "figures"
    command = ["--runs", *map(str, paths), "--out", str(out), "--figures", str(figures)]
    assert run(name, *command) == 0
    frame = pandas.read_csv(out)
    assert tuple(frame.columns) == analysis.COLUMNS
    assert (figures / f"{name}.png").stat().st_size > 8_000
    assert b"/Type /Font" in (figures / f"{name}.pdf").read_bytes()
    return frame


def check_lost_predictions(analysis, made, folder, capsys):
    """Checks that `analysis` ends with one line about predictions that are gone."""
    paths = write_all([without_file(one) for one in made], folder / "runs")
    for one in made:
        file = record_path(one["spec"], folder / "runs")
        file.with_suffix(".predictions.npz").unlink(missing_ok=True)
    command = ["--runs", *paths, "--out", folder / "x.csv", "--figures", folder]
    assert run(analysis.__name__.rpartition(".")[2], *command) == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith("delete its record and run it again")


def without_file(record):
    """Returns a record as it is written, without the place it was loaded from."""
    return {key: value for key, value in record.items() if key != "file"}
