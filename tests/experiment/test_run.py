import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.helpers.tiny import DATA, PADDING, READING, SIZES, spec
from vpbench import api
from vpbench.data import load
from vpbench.experiment import provenance, run, side_files
from vpbench.models.backbone import load_backbone
from vpbench.records import reading
from vpbench.records.paths import record_path
from vpbench.spec.schema import SCHEMA

RESTLESS = {"template": "random_patch", "size": 9, "test_position": "random"}
VISION = {"label_map": "hard_coded"}


def repeatable(record):
    """Returns a record without what differs from time to time."""
    return {key: value for key, value in record.items() if key != "measured"}


def made(one, folder):
    """Returns the record of the spec `one`, run afresh and read from its file."""
    backbone = load_backbone(one["backbone"])
    task = load.load_task(one["task"], one["data"], backbone.preprocessing)
    path = record_path(one, folder)
    side_files.write_run(path, *run.run(one, task, backbone), task, backbone)
    return reading.read(path)


@pytest.fixture(scope="module")
def prompted(tmp_path_factory):
    """Returns the folder of runs and the record of a prompt on a shift."""
    folder = tmp_path_factory.mktemp("runs")
    return folder, made(spec(task="camelyon17_twin", lr=5.0, epochs=3), folder)


def side_file(folder, record, ending):
    """Returns the path of a side file of a record."""
    return record_path(record["spec"], folder).with_suffix(ending)


@pytest.mark.parametrize(
    "one",
    [
        spec("text_prompt"),
        spec("linear_probe", C=[0.1, 1.0]),
        spec("visual_prompt"),
        spec("visual_prompt", **RESTLESS),
        spec("visual_prompt", "rn50_micro", **VISION),
        spec("fine_tune"),
        spec("fine_tune", "rn50_micro", head="new"),
    ],
    ids=["tp", "lp", "vp", "vp_restless", "vp_vision", "ft", "ft_vision"],
)
def test_the_same_spec_gives_the_same_record_except_what_was_measured(one, tmp_path):
    first = made(one, tmp_path / "first")
    torch.rand(7)  # another state of the global generator
    second = made(one, tmp_path / "second")
    assert repeatable(first) == repeatable(second)
    names = sorted(path.name for path in (tmp_path / "first").rglob("seed0*"))
    assert names == sorted(path.name for path in (tmp_path / "second").rglob("seed0*"))


def test_another_seed_gives_another_record(tmp_path):
    first, second = (made(spec(seed=seed), tmp_path) for seed in (0, 1))
    assert first["history"] != second["history"]


def test_a_record_says_what_was_run_on_what(prompted):
    record = prompted[1]
    task, backbone = record["task"], record["backbone"]
    assert record["schema"] == SCHEMA and record["spec"]["task"] == "camelyon17_twin"
    assert (task["display"], task["published"]) == ("Camelyon17 twin", "camelyon17")
    assert (task["classes"], task["chance"], task["sizes"]) == (2, 50.0, SIZES)
    assert task["class_names"] == ["not containing", "containing"]
    assert task["shift"] and task["paper_validation"] and task["metric"] == "accuracy"
    assert (backbone["role"], backbone["modality"]) == ("clip", "vision_language")
    assert record["trained_parameters"] == 4116 and record["device"] == "cpu"
    assert [len(value) for value in record["hashes"].values()] == [64] * 3
    assert {"torch", "timm", "vpbench", "python"} <= set(record["versions"])
    measured = record["measured"]
    assert measured["images_per_second"] == pytest.approx(3 * 24 / measured["seconds"])
    assert measured["peak_memory_mb"] > 50


def test_the_selections_are_the_epochs_of_the_history(prompted):
    record = prompted[1]
    history = {line["epoch"]: line for line in record["history"]}
    assert list(history) == [1, 2, 3]
    for chosen in record["selection"].values():
        for split in ("validation", "test"):
            assert chosen[split]["accuracy"] == history[chosen["epoch"]][f"{split}_accuracy"]
    best = max(line["test_accuracy"] for line in record["history"])
    assert record["selection"]["best_test"]["test"]["accuracy"] == best


@pytest.mark.parametrize(
    ("task", "method", "rule"),
    [
        ("eurosat_twin", "visual_prompt", "best_validation"),
        ("cifar10_twin", "visual_prompt", "last"),  # Table 6 has no validation split
        ("iwildcam_twin", "visual_prompt", "best_validation"),
        ("eurosat_twin", "text_prompt", "last"),
    ],
)
def test_the_rule_follows_table_6(task, method, rule, tmp_path):
    changes = {"epochs": 1} if method == "visual_prompt" else {}
    assert made(spec(method, task=task, **changes), tmp_path)["rule"] == rule


def test_the_side_file_holds_every_test_image_of_the_shown_epoch(prompted):
    folder, record = prompted
    arrays = np.load(side_file(folder, record, ".predictions.npz"))
    shown = record["selection"][record["rule"]]["test"]
    assert arrays["id"].tolist() == [f"test/{number}" for number in range(24)]
    assert arrays["label"].tolist() == [0, 1] * 12
    assert set(arrays["group"].tolist()) == {"hospital 4"}
    right = arrays["prediction"] == arrays["label"]
    assert 100 * right.mean() == pytest.approx(shown["accuracy"])
    assert -arrays["log_probability"].mean() == pytest.approx(shown["nll"], rel=1e-5)
    # With two classes a confidence is the probability of the true class, or the rest to 1.
    true = np.exp(arrays["log_probability"])
    np.testing.assert_allclose(arrays["confidence"], np.where(right, true, 1 - true), atol=1e-6)


@pytest.mark.parametrize("method", ["visual_prompt", "text_prompt", "linear_probe", "fine_tune"])
def test_the_side_file_holds_what_the_shown_epoch_says_of_validation(method, tmp_path):
    record = made(spec(method), tmp_path)
    arrays = np.load(side_file(tmp_path, record, ".predictions.npz"))
    assert arrays["validation_label"].tolist() == [number % 10 for number in range(12)]
    right = arrays["validation_prediction"] == arrays["validation_label"]
    shown = record["selection"][record["rule"]]["validation"]["accuracy"]
    assert 100 * right.mean() == pytest.approx(shown)


def test_the_side_file_of_a_task_without_validation_holds_none_of_it(tmp_path, clip):
    task = load.load_task("eurosat_twin", DATA)
    splits = {name: task.splits[name] for name in ("train", "test")}
    _, arrays, _ = run.run(spec("text_prompt"), replace(task, splits=splits), clip)
    assert not [name for name in arrays if name.startswith("validation")]


def test_the_commit_of_a_record_says_where_the_code_had_changes(tmp_path, monkeypatch):
    def git(*arguments):
        done = subprocess.run(["git", *arguments], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    file = tmp_path / "vpbench" / "experiment" / "provenance.py"
    file.parent.mkdir(parents=True)
    monkeypatch.setattr(provenance, "__file__", str(file))
    commit = provenance.commit.__wrapped__  # which asks each time
    assert commit() is None  # an installed wheel
    git("init", "-q")
    file.write_text("first")
    git("add", ".")
    git("-c", "user.name=n", "-c", "user.email=e", "commit", "-q", "-m", "first")
    head = git("rev-parse", "HEAD")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "a.json").write_text("{}")  # of no commit, but not of the code either
    assert commit() == head and len(head) == 40
    file.write_text("second")
    assert commit() == head + "-dirty"


def test_the_side_file_of_a_task_without_groups_has_empty_ones(tmp_path):
    record = made(spec("text_prompt"), tmp_path)
    arrays = np.load(side_file(tmp_path, record, ".predictions.npz"))
    assert set(arrays["group"].tolist()) == {""}
    assert record["selection"]["last"]["test"]["worst_group"] is None


def test_the_saved_prompt_has_the_accuracy_of_the_record(prompted, clip):
    folder, record = prompted
    classifier = api.load(side_file(folder, record, ".prompt"), clip)
    task = load.load_task("camelyon17_twin", DATA)
    shown = record["selection"][record["rule"]]
    for split in ("validation", "test"):
        assert classifier.accuracy[split] == shown[split]["accuracy"]
        per_class = shown[split]["per_class"]
        by_name = dict(zip(task.class_names, per_class, strict=True))
        mean = sum(per_class) / len(per_class)
        expected = shown[split] | {"per_class": by_name, "mean_per_class": mean}
        assert classifier.evaluate(task, split) == expected


def test_only_prompts_are_saved(tmp_path):
    made(spec("fine_tune", epochs=1), tmp_path)
    assert sorted(path.name for path in tmp_path.rglob("seed0*")) == [
        "seed0.json", "seed0.predictions.npz"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seeds": 1}, "spec: unknown key 'seeds'; did you mean seed?"),
        ({"backbone": "vit"}, "spec at backbone: 'vit' is not legal; did you mean clip_vit_b32 or"),
        ({"kind": "moon"}, "spec at kind: 'moon' is not legal; choose one of: "),
        ({"seed": -1}, "spec at seed: -1 is less than the minimum of 0"),
        (
            {"settings": PADDING | {"colour": 3}},
            "spec at settings: unknown key 'colour'; docs/conf",
        ),
        ({"settings": PADDING | {"lr": 0}}, "spec at settings.lr: 0 is less than or equal to"),
        ({"settings": {}}, "spec at settings: it lacks 'epochs'"),
        ({"data": {"train": 3}}, "spec at data: it lacks 'validation', 'test'"),
        (
            {"method": "text_prompt", "backbone": "rn50_micro", "settings": READING},
            "text_prompt does not work on rn50_micro: it has no text",
        ),
    ],
)
def test_an_illegal_spec_is_refused_with_one_line(change, words):
    with pytest.raises(ValueError) as error:
        run.check_spec(spec() | change)
    assert str(error.value).startswith(words) and "\n" not in str(error.value)


def test_records_that_are_there_are_not_run_again(tmp_path, monkeypatch):
    specs = [spec("text_prompt"), spec("linear_probe")]
    first = list(run.run_all(specs, tmp_path))
    assert [Path(path).is_file() for path in first] == [True, True]
    monkeypatch.setattr(run, "run", None)  # whoever runs needs it
    assert list(run.run_all(specs, tmp_path)) == first


def test_a_record_of_other_settings_or_half_a_record_is_run_again(tmp_path, capsys):
    one, other = spec("linear_probe"), spec("linear_probe", C=[0.5])
    (path,) = run.run_all([one], tmp_path)
    assert list(run.run_all([other], tmp_path)) == [path]
    assert reading.read(path)["spec"] == other
    Path(path).write_text(Path(path).read_text()[:300])
    assert list(run.run_all([other], tmp_path)) == [path]
    assert reading.holds(path, other)
    assert "already there" not in capsys.readouterr().out


def test_an_interruption_loses_only_the_run_at_hand(tmp_path, monkeypatch):
    specs = [spec("text_prompt"), spec("linear_probe"), spec("text_prompt", seed=1)]
    original = run.run

    def interrupted(one, *rest):
        if one["method"] == "linear_probe":
            raise KeyboardInterrupt
        return original(one, *rest)

    monkeypatch.setattr(run, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(run.run_all(specs, tmp_path))
    held = [reading.holds(record_path(one, tmp_path), one) for one in specs]
    assert held == [True, False, False]


def test_an_illegal_spec_stops_all_before_the_first_run(tmp_path):
    with pytest.raises(ValueError, match="unknown key 'a'"):
        list(run.run_all([spec("text_prompt"), spec() | {"a": 1}], tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_backbone_and_task_are_loaded_once_but_each_size_of_the_data_on_its_own(
    tmp_path, monkeypatch
):
    loads = []
    monkeypatch.setattr(run, "load_task", lambda *a: loads.append(a) or load.load_task(*a))
    monkeypatch.setattr(run, "load_backbone", lambda *a: loads.append(a) or load_backbone(*a))
    small = DATA | {"test": 10}
    specs = [spec("text_prompt"), spec("linear_probe")]
    specs += [spec("text_prompt", seed=1) | {"data": small}]
    paths = list(run.run_all(specs, tmp_path))
    assert len(loads) == 3  # a backbone, and the task twice
    sizes = [json.loads(Path(path).read_text())["task"]["sizes"] for path in paths]
    assert sizes == [SIZES, SIZES, SIZES | {"test": 10}]


def test_the_images_of_one_task_at_a_time_are_held(tmp_path, monkeypatch):
    loads = []
    monkeypatch.setattr(run, "load_task", lambda *a: loads.append(a[0]) or load.load_task(*a))
    of = ["eurosat_twin", "eurosat_twin", "svhn_twin", "eurosat_twin"]
    specs = [spec("text_prompt", seed=seed, task=task) for seed, task in enumerate(of)]
    list(run.run_all(specs, tmp_path))
    assert loads == ["eurosat_twin", "svhn_twin", "eurosat_twin"]


@pytest.mark.parametrize("failing", ["seed0.predictions.npz", "seed0.prompt.json", "seed0.json"])
def test_a_full_disk_leaves_no_record_and_nothing_half_written(
    failing, tmp_path, monkeypatch, clip, task
):
    result = run.run(spec(epochs=1), task, clip)
    original = os.replace

    def replace(source, target):
        if Path(target).name == failing:
            raise OSError(28, "No space left on device")
        original(source, target)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(ValueError, match=f"{failing}: not written, the disk is full"):
        side_files.write_run(tmp_path / "seed0.json", *result, task, clip)
    names = [path.name for path in tmp_path.iterdir()]
    assert "seed0.json" not in names and failing not in names
    assert not [name for name in names if name.endswith(".part")]
