"""A small results folder that runs made, then one damage for each thing that is checked."""

import json
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save

from tests.helpers.checkout import ROOT, read_config, write_config
from tests.helpers.tiny import DATA, spec
from vpbench.cli.main import main
from vpbench.common import atomic_files
from vpbench.experiment import measure, run, side_files
from vpbench.models.backbone import load_backbone
from vpbench.records import paths as paths_module
from vpbench.records.paths import record_path
from vpbench.spec.grid import expand
from vpbench.spec.products import analysis_arguments, claims_arguments, document_arguments, within
from vpbench.training import metrics
from vpbench.verify import contents, tables, verification

UNIT = "eurosat_twin/vision_language.main.manifest.json"
CELL = "eurosat_twin/clip_micro/{}/default/seed0"
PROMPT, TEXT, PROBE = map(CELL.format, ("visual_prompt", "text_prompt", "linear_probe"))
JPEG = "measurements/smoke/deployability/eurosat_twin"


def configuration(**changes):
    """Returns the smoke configuration, with one task and backbone, and no tables."""
    config = read_config("smoke")
    measurement = config["measurements"]["deployability"] | {"data": DATA}
    measurement["settings"] = measurement["settings"] | {"images": 12}
    return (
        config
        | {
            "data": DATA,
            "tasks": ["eurosat_twin"],
            "backbones": ["clip_micro"],
            "grid": {"main": config["grid"]["main"]},
            "measurements": {"deployability": measurement},
            "analyses": {},
        }
        | changes
    )


WANTED = expand(configuration(), "given.yaml")
TABLE = {"table1": {"modality": "vision_language", "shift": False}}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Returns a folder with the runs and the measurement of the configuration, and no tables."""
    results = tmp_path_factory.mktemp("made") / "results"
    folders = [results / "runs", results / "measurements"]
    for file, specs in verification.jobs_of(WANTED).items():
        measured = "measurements" in file
        paths = (
            measure.measure_all(specs, *folders, torch.device("cpu"))
            if measured
            else run.run_all(specs, folders[0])
        )
        assert len(list(paths)) == len(specs)
        manifest = paths_module.manifest(specs, folders[measured])
        atomic_files.write(within(file, results), manifest)
    return results


@pytest.fixture
def results(made, tmp_path, monkeypatch):
    """Returns a copy of that folder, to be damaged."""
    monkeypatch.chdir(ROOT)  # where the scripts of the tables are
    return Path(shutil.copytree(made, tmp_path / "results"))


def found(results, wanted=WANTED, **options):
    """Returns the lines of what is wrong, without the name of the folder."""
    report = verification.verify(results, wanted, "given.yaml", **options)
    assert all("\n" not in problem.line for problem in report.problems)
    return [problem.line.replace(f"{results}/", "") for problem in report.problems]


def alone(results, **options):
    """Returns the line of the only thing that is wrong."""
    (line,) = found(results, **options)
    return line


def run_file(results, cell, suffix=".json"):
    """Returns the path of a file of a run."""
    return results / "runs/smoke" / (cell + suffix)


def edit(path, change):
    """Returns None once `change` has been made in a JSON file."""
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))


def edit_arrays(path, **changes):
    """Returns None once `changes` (name -> function of the array) have been made in a npz file."""
    with np.load(path) as file:
        arrays = dict(file)
    for name, change in changes.items():
        arrays[name] = change(arrays[name].copy())
    atomic_files.write_arrays(path, arrays)


def put(*keys):
    """Returns a change that puts the last of `keys` at the place that the others name."""
    *path, last, value = keys

    def change(document):
        for key in path:
            document = document[key]
        document[last] = value(document[last]) if callable(value) else value

    return change


def at(place, value):
    """Returns a change of the element of an array at `place`."""

    def change(array):
        array[place] = value(array[place]) if callable(value) else value
        return array

    return change


def test_what_the_runs_wrote_is_right(results):
    report = verification.verify(results, WANTED, "given.yaml")
    assert report.problems == report.notes == []
    assert report.counts == {"runs": 4, "measurements": 1, "manifests": 2}


FORMS = [  # method, backbone, what differs from the tiny recipe
    ("evp", "clip_micro", {}),
    ("evp", "rn50_micro", {"label_map": "bayesian_plus"}),
    ("adversarial_reprogramming", "rn50_micro", {"label_map": "iterative"}),
    ("visual_prompt", "clip_micro", {"template": "none", "label_map": "ensemble"}),
    ("visual_prompt", "rn50_micro", {"template": "none", "label_map": "linear", "map_lr": 0.01}),
    ("visual_prompt", "clip_micro", {"template": "low_rank", "size": 2}),
    ("visual_prompt", "clip_micro", {"template": "conditional", "size": 8, "lr": 0.01}),
    ("visual_prompt", "clip_micro", {"operation": "multiply"}),
    ("visual_prompt", "clip_micro", {"ensemble_size": 2}),
    ("visual_prompt", "clip_micro", {"label_map": "learned_classifier", "map_lr": 0.1}),
]


@pytest.mark.parametrize(("method", "backbone", "changes"), FORMS)
def test_the_records_of_every_form_of_a_prompt_are_found_right(
    method, backbone, changes, task, tmp_path
):
    if backbone == "rn50_micro":
        changes = {"label_map": "hard_coded"} | changes
    one, loaded = spec(method, backbone, **changes), load_backbone(backbone)
    path = record_path(one, tmp_path)
    side_files.write_run(path, *run.run(one, task, loaded), task, loaded)
    record = contents.read(path)
    contents.check_run(record)
    record["trained_parameters"] += 1
    with pytest.raises(ValueError, match="trained_parameters"):
        contents.check_run(record)


RULE = "best_validation"  # of a prompt on EuroSAT, which has a validation split in the paper
DAMAGED_RECORDS = {  # what was done -> cell, change, what is said
    "an accuracy is flipped": (
        *(PROMPT, put("selection", RULE, "test", "accuracy", lambda value: 100 - value)),
        f"selection.{RULE}.test.accuracy is",
    ),
    "an F1 is better than it was": (
        *(TEXT, put("selection", "last", "test", "macro_f1", lambda value: value + 1)),
        "selection.last.test.macro_f1 is",
    ),
    "a calibration error is": (
        *(PROBE, put("selection", "last", "test", "ece", 0.0)),
        "selection.last.test.ece is 0.0, but",
    ),
    "an NLL is": (
        *(PROBE, put("selection", "last", "test", "nll", 0.5)),
        "selection.last.test.nll is 0.5, but",
    ),
    "a class is": (
        *(TEXT, put("selection", "last", "test", "per_class", 3, lambda value: value + 1)),
        "selection.last.test.per_class.3 is",
    ),
    "a group is made up": (
        *(TEXT, put("selection", "last", "test", "worst_group", 50.0)),
        "selection.last.test.worst_group is 50.0, but",
    ),
    "the validation accuracy is not the history's": (
        *(PROMPT, put("selection", RULE, "validation", "accuracy", 101.0)),
        f"selection.{RULE}.validation.accuracy is 101.0, the history says",
    ),
    "the best epoch is not the best": (
        *(PROMPT, put("selection", "best_test", "epoch", lambda epoch: 3 - epoch)),
        "selection.best_test.epoch is",
    ),
    "an epoch is gone": (
        *(PROMPT, lambda record: record["history"].pop(0)),
        "the epochs of history is [2], expected [1, 2]",
    ),
    "the tables would show another epoch": (
        *(PROMPT, put("rule", "best_test")),
        f"rule is 'best_test', expected '{RULE}'",
    ),
    "the last of a run without epochs is not its best": (
        *(TEXT, put("selection", "best_test", "validation", None)),
        "selection.best_test.validation is None, selection.last says",
    ),
    "a learning rate is not that of the configuration": (
        *(PROMPT, put("spec", "settings", "lr", 0.25)),
        "settings.lr is 0.25, but 5 in given.yaml",
    ),
    "a backbone has another role": (
        *(PROBE, put("backbone", "role", "rn50")),
        "backbone.role is 'rn50', the catalogue says 'clip'",
    ),
    "a task has another chance": (
        *(PROBE, put("task", "chance", 50.0)),
        "task.chance is 50.0, expected 10.0",
    ),
    "the number of parameters is not the prompt's": (
        *(PROMPT, put("trained_parameters", 1)),
        "trained_parameters is 1, the prompt and its map have",
    ),
    "a text prompt has learned something": (
        *(TEXT, put("trained_parameters", 1)),
        "trained_parameters is 1, expected 0",
    ),
    "the weights are others": (
        *(PROBE, put("hashes", "weights", "0" * 64)),
        "the file of clip_micro has",
    ),
    "the images are others": (
        *(PROBE, put("hashes", "data", "0" * 64)),
        "hashes.data is 000000000000, but",
    ),
    "it is of another version": (PROBE, put("schema", 2), "schema is 2"),
    "a key is gone": (PROBE, lambda record: record.pop("hashes"), "lacks the key hashes"),
    "an accuracy is no number": (
        *(PROBE, put("selection", "last", "test", "accuracy", "high")),
        "selection.last.test.accuracy is 'high', expected a number",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED_RECORDS)
def test_a_record_is_wrong_where(results, damage):
    cell, change, words = DAMAGED_RECORDS[damage]
    path = run_file(results, cell)
    edit(path, change)
    line = alone(results)
    assert line.startswith(f"runs/smoke/{cell}.") and words in line


SIDES = ".predictions.npz"
DAMAGED_ARRAYS = {  # what was done -> file, changes, what is said
    "a prediction is swapped": (
        *(TEXT + SIDES, {"prediction": at(slice(3), lambda old: (old + 1) % 10)}),
        "image test/",
    ),
    "wrong predictions are swapped": (
        *(PROBE + SIDES, {"prediction": lambda old: old[::-1]}),
        "confidence and log_probability do not fit each other",
    ),
    "all are right": (
        TEXT + SIDES,
        {"prediction": lambda old: np.arange(24) % 10, "log_probability": lambda old: old * 0}
        | {"confidence": lambda old: old * 0 + 1},
        "selection.last.test.accuracy is",
    ),
    "a label is of no class": (
        *(PROBE + SIDES, {"label": at(5, 10)}),
        "image test/5: label is not one of 10 classes",
    ),
    "an id is there twice": (
        *(PROBE + SIDES, {"id": at(5, "test/4")}),
        "the id test/4 is there 2 times",
    ),
    "an id is another": (
        *(PROBE + SIDES, {"id": at(5, "test/99")}),
        "the SHA-256 of ids and labels is",
    ),
    "images are missing": (
        *(PROBE + SIDES, {"group": lambda old: old[1:]}),
        "group is <U1 (23,), not 24 of kind U",
    ),
    "a confidence is none": (
        *(PROBE + SIDES, {"confidence": at(0, np.nan)}),
        "image test/0: confidence and log_probability do not fit each other",
    ),
    "an example shows something else": (
        *(PROMPT + ".examples.npz", {"prompted": at((0, 0, 0, 0), lambda old: old ^ 128)}),
        "prompted is not images with the canvas added",
    ),
}


@pytest.mark.parametrize("damage", DAMAGED_ARRAYS)
def test_a_side_file_is_wrong_where(results, damage):
    file, changes, words = DAMAGED_ARRAYS[damage]
    edit_arrays(results / "runs/smoke" / file, **changes)
    line = alone(results)
    assert line.startswith("runs/smoke/" + file.split(".")[0]) and words in line


def test_a_prompt_that_its_card_was_not_written_for_is_found(results):
    path = run_file(results, PROMPT, ".prompt.safetensors")
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert "seed0.prompt.safetensors is not the file its card" in alone(results)


def test_a_card_that_says_something_else_than_the_record_is_found(results):
    edit(run_file(results, PROMPT, ".prompt.json"), put("accuracy", "test", 99.0))
    line = alone(results)
    assert line.startswith(f"runs/smoke/{PROMPT}.prompt.json: accuracy.test is 99.0, its record")


def test_a_row_of_a_measurement_that_its_images_do_not_give_is_found(results):
    edit(results / f"{JPEG}.json", put("rows", 2, "accuracy", 99.0))
    assert alone(results).startswith(f"{JPEG}.json: rows.2.accuracy is 99.0, but {JPEG}.arrays.npz")


def test_another_setting_of_a_measurement_is_found(results):
    edit(results / f"{JPEG}.json", put("spec", "settings", "images", 99))
    line = "settings.images is 99, but 12 in given.yaml"
    assert alone(results) == f"{JPEG}.json: {line}"


@pytest.mark.parametrize(
    "name",
    [
        *(PROMPT + suffix for suffix in (SIDES, ".prompt.safetensors", ".prompt.json")),
        *(PROMPT + ".examples.npz", TEXT + SIDES),
    ],
)
def test_a_side_file_that_is_missing_is_found(results, name):
    (results / "runs/smoke" / name).unlink()
    line = alone(results)
    assert line.startswith(f"runs/smoke/{name} is missing")


def test_a_record_that_is_missing_is_listed_once(results):
    run_file(results, TEXT).unlink()
    assert (
        alone(results) == f"runs/smoke/{TEXT}.json: is missing, though runs/smoke/{UNIT} lists it"
    )
    (results / "runs/smoke" / UNIT).unlink()
    assert alone(results) == f"runs/smoke/{UNIT}: is missing, and 1 of its 4 records are"


def test_a_record_in_another_place_is_told_where_it_belongs(results):
    path = run_file(results, TEXT)
    path.rename(path.with_name("seed7.json"))
    moved = path.with_name("seed7.json").relative_to(results)
    expected = f"{moved}: holds the record of runs/smoke/{TEXT}.json; move it there, or delete it"
    assert alone(results) == expected


def test_a_record_that_nothing_asks_for_is_no_problem_but_checked(results):
    less = expand(configuration(grid={"main": {"methods": ["visual_prompt"], "seeds": [0]}}),
                       "less.yaml")  # fmt: skip
    report = verification.verify(results, less, "less.yaml")
    (problem,) = report.problems  # the job has another list now
    assert problem.line.endswith(f"{UNIT}: lists 4 records, less.yaml asks for 1")
    (note,) = report.notes
    assert note.endswith("runs/smoke/eurosat_twin: 3 records that less.yaml does not ask for")
    edit(run_file(results, TEXT), put("trained_parameters", 1))
    assert len(verification.verify(results, less, "less.yaml").problems) == 2


def test_an_edited_manifest_is_found(results):
    edit(results / "runs/smoke" / UNIT, put("records", 0, "spec", "seed", 1))
    assert alone(results).startswith(f"runs/smoke/{UNIT}: digest is")


def test_what_was_half_written_is_found(results):
    part = results / "runs/smoke/eurosat_twin/.seed0.json.77.part"
    part.write_text("{")
    assert alone(results).startswith("runs/smoke/eurosat_twin/.seed0.json.77.part: was never")


def test_any_file_that_is_cut_off_is_found_alone(results):
    files = sorted(path for path in results.rglob("*.*") if path.is_file())
    assert len(files) == 15
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        stem = path.relative_to(results).as_posix().split(".")[0]
        assert alone(results).startswith(f"{stem}.")
        path.write_bytes(whole)


@pytest.mark.parametrize("value", [None, 5, "text", [], {}, [[]], {"test": []}])
def test_no_value_of_a_wrong_kind_ends_the_verification(results, value):
    path = run_file(results, PROMPT)
    whole = path.read_text()
    for key in ("schema", "spec", "task", "backbone", "rule", "selection", "history", "hashes"):
        if (key, value) == ("schema", 1):
            continue
        edit(path, put(key, value))
        assert alone(results).startswith(f"runs/smoke/{PROMPT}.json")
    path.write_text(json.dumps(value))
    assert alone(results).startswith(f"runs/smoke/{PROMPT}.json")
    path.write_text(whole)


def forge(results, cell):
    """Returns None once all files of a run agree that every image was classified correctly."""
    path = run_file(results, cell, SIDES)
    edit_arrays(
        path,
        prediction=lambda old: np.arange(24) % 10,
        confidence=lambda old: old * 0 + 0.9,
        log_probability=lambda old: old * 0 + np.log(0.9).astype(old.dtype),
    )
    with np.load(path) as file:
        arrays = {name: torch.from_numpy(file[name]) for name in ("prediction", "confidence")}
        nll = -float(file["log_probability"].mean())
    test = metrics.prediction_metrics(**arrays, nll=nll, labels=arrays["prediction"], classes=10)

    def change(record):
        for picked in record["selection"].values():
            picked["test"] = test

    edit(run_file(results, cell), change)


def test_only_another_evaluation_finds_what_was_forged_as_a_whole(results):
    forge(results, TEXT)
    assert found(results) == []
    where = "selection.last.test.accuracy is 100.0, but evaluation on this machine gives"
    assert alone(results, deep=True).startswith(f"runs/smoke/{TEXT}.json: {where}")


def test_only_another_evaluation_finds_a_prompt_that_was_exchanged(results):
    path = run_file(results, PROMPT, ".prompt.safetensors")
    tensors = load(path.read_bytes())
    forged = save({name: torch.full_like(value, 1e4) for name, value in tensors.items()})
    path.write_bytes(forged)
    card = path.with_suffix(".json")
    edit(card, put("sha256", sha256(forged).hexdigest()))
    assert found(results) == []
    assert alone(results, deep=True).startswith(f"runs/smoke/{PROMPT}.")


def test_only_the_images_tell_that_all_data_hashes_are_wrong(results):
    for path in results.glob("runs/smoke/*/*/*/*/seed0.json"):
        edit(path, put("hashes", "data", "0" * 64))
    assert found(results) == []
    assert all("the images have" in line for line in found(results, deep=True))


def test_all_that_can_be_evaluated_again_gives_the_same(results):
    report = verification.verify(results, WANTED, "given.yaml", deep=True)
    assert report.problems == [] and report.counts["evaluated again"] == 2


def test_the_scale_of_another_configuration_is_refused_in_one_line(results):
    other = expand(configuration(scale="lab"), "lab.yaml")
    with pytest.raises(ValueError, match=r"has no runs of the scale lab of lab.yaml \(but of: smo"):
        verification.verify(results, other, "lab.yaml")


def make_tables(results, wanted):
    """Returns None once the tables of a configuration and what is made of them are there."""
    for name in wanted.config["analyses"]:
        arguments = analysis_arguments(wanted, name, results, results)
        assert tables.call(name, arguments) is None
    assert tables.call("claims", claims_arguments(wanted, results)) is None
    assert tables.call("latex_document", document_arguments(wanted, results)) is None


def test_tables_are_made_again_by_the_scripts_that_made_them(results, tmp_path, capsys):
    config = configuration(analyses=TABLE)
    wanted = expand(config, "given.yaml")
    make_tables(results, wanted)
    given, report = write_config(tmp_path, config), tmp_path / "report.json"
    command = ["verify", str(results), "--configfile", str(given), "--json", str(report)]
    assert main(command) == 0
    checked = "4 runs, 1 measurements, 2 manifests, 3 tables: nothing is wrong"
    assert capsys.readouterr().out == f"{results} against {given}: {checked}\n"
    assert json.loads(report.read_text())["problems"] == []

    table = results / "table1.csv"
    lines = table.read_text().splitlines()
    number = next(i for i, line in enumerate(lines) if "eurosat" in line)
    cells = lines[number].split(",")
    measured = lines[0].split(",").index("measured")
    cells[measured] = "99.5"
    table.write_text("\n".join([*lines[:number], ",".join(cells), *lines[number + 1 :]]) + "\n")
    assert main(command) == 1
    (problem,) = json.loads(report.read_text())["problems"]
    where = f"{table}: line {number + 1}, measured: is '99.5', the records give"
    assert problem["line"].startswith(where) and problem["path"] == str(table)
    assert capsys.readouterr().out.startswith(where)

    # A record that is wrong: what the table says then is no news
    edit(run_file(results, TEXT), put("trained_parameters", 1))
    report = verification.verify(results, wanted, "given.yaml")
    assert [problem.path for problem in report.problems] == [str(run_file(results, TEXT))]
    assert report.notes[0].startswith("1 tables and figures, and what is made of them")


def test_a_cell_is_the_same_up_to_its_last_decimal():
    assert tables.alike("61.201", "61.202") and tables.alike("", "")
    assert not tables.alike("61.2", "61.203")
    assert not tables.alike("", "61.2") and not tables.alike("VP", "TP")


def test_texts_are_compared_line_by_line(tmp_path):
    stored, made = tmp_path / "table1.md", tmp_path / "again.md"
    made.write_text("a\nb\n")
    stored.write_text("a\nc\n")
    assert tables.compare(stored, made) == "line 2: is 'c', the records give 'b'"
    stored.write_text("a\n")
    assert tables.compare(stored, made) == "has 1 lines, the records give 2"
    stored.write_bytes(b"\xff\n")
    assert tables.compare(stored, made).startswith("not read, 'utf-8'")
