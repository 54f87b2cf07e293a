"""`vpbench predict`, `evaluate` and `export`: what was saved, on the backbone of its card."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pandas
import pytest
import torch
from PIL import Image

import vpbench as vp
from tests.helpers.command_line import mistake
from tests.helpers.messages import complains, holds
from vpbench.cli import confusion
from vpbench.cli.main import main
from vpbench.common.errors import UserError
from vpbench.common.intervals import wilson
from vpbench.data.task import Split
from vpbench.methods.model import Examined
from vpbench.methods.without_prompt import model_without
from vpbench.training.evaluate import evaluation_of

ALONE = ("npy", "png", "plain.safetensors", "README.md")  # what is exported of a prompt alone


@pytest.fixture(scope="module")
def model(fitted):
    return vp.load(fitted)


@pytest.fixture
def tests_only(pets, tmp_path):
    """Returns a folder with two classes of a test split alone, in images that nobody has seen."""
    for name, numbers in (("cat", "01"), ("horse", "012")):
        folder = tmp_path / "new" / "test" / name
        folder.mkdir(parents=True)
        for number in numbers:
            Image.open(Path(pets, name, f"{number}.png")).rotate(90).save(folder / f"{number}.png")
    return str(tmp_path / "new")


def printed(capsys, *arguments):
    """Returns what a command prints, as JSON."""
    capsys.readouterr()
    assert main(list(arguments)) == 0
    return json.loads(capsys.readouterr().out)


def test_predict_prints_the_likeliest_classes_of_files_and_folders(pets, fitted, model, capsys):
    images = [f"{pets}/cat", f"{pets}/dog/3.png"]
    capsys.readouterr()
    assert main(["predict", fitted, *images, "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    table = model.predict(images, top=2)
    assert len(lines) == len(table) == 7
    for line, row in zip(lines, table.itertuples(index=False), strict=True):
        file, first, share, second, other = row
        assert line == f"{file}: {first} {100 * share:.1f} %, {second} {100 * other:.1f} %"
    assert lines[6].startswith(f"{pets}/dog/3.png: ")


def test_a_path_without_images_is_told_before_any_model_is_loaded(fitted, monkeypatch, capsys):
    monkeypatch.setattr(vp, "load_backbone", lambda *_: pytest.fail("a model is loaded"))
    assert mistake(capsys, "predict", fitted, "nowhere.png").startswith("nowhere.png: there is no")


def test_predict_writes_a_table_and_replaces_none_unasked(pets, fitted, model, tmp_path, capsys):
    command = ["predict", fitted, f"{pets}/cat", "--csv", f"{tmp_path}/a.csv"]
    assert main(command) == 0
    assert capsys.readouterr().out == f"{tmp_path}/a.csv\n"
    pandas.testing.assert_frame_equal(
        pandas.read_csv(tmp_path / "a.csv"), model.predict(f"{pets}/cat")
    )
    line = mistake(capsys, *command)
    holds(line, f"{tmp_path}/a.csv is there already; choose another --csv, or add --force")
    assert main([*command, "--force", "--top", "1"]) == 0
    assert list(pandas.read_csv(tmp_path / "a.csv")) == ["file", "class", "probability"]
    holds(mistake(capsys, "predict", fitted, tmp_path / "no.jpg"), "no.jpg", "no such file")
    holds(mistake(capsys, "predict", fitted, pets, "--top", "0"), "top 0", "1 or more")


@pytest.mark.parametrize(("wrapped", "facts"), [(True, ("wrapped", "--backbone")), (False, ())])
def test_the_backbone_is_that_of_the_card(wrapped, facts, pets, fitted, tmp_path, capsys):
    for ending in ("json", "safetensors"):
        shutil.copy(f"{fitted}.{ending}", tmp_path / f"a.{ending}")
    card = json.loads((tmp_path / "a.json").read_text())
    del card["address"]  # as beside a record, which says the name alone
    card |= {"backbone": "my_model"} if wrapped else {}
    (tmp_path / "a.json").write_text(json.dumps(card))
    command = ("predict", f"{tmp_path}/a", f"{pets}/cat/0.png")
    if not wrapped:
        assert main(list(command)) == 0
    else:
        holds(mistake(capsys, *command), f"{tmp_path}/a", "my_model", *facts)
        with complains(UserError, f"{tmp_path}/a", "wrapped", "backbone="):
            vp.load(tmp_path / "a")


def test_parts_of_ones_own_are_given_in_python(pets, fitted, tmp_path, capsys):
    for ending in ("json", "safetensors"):
        shutil.copy(f"{fitted}.{ending}", tmp_path / f"a.{ending}")
    card = json.loads((tmp_path / "a.json").read_text()) | {"own": {"prompt": {"name": "Mine"}}}
    (tmp_path / "a.json").write_text(json.dumps(card))
    holds(mistake(capsys, "predict", tmp_path / "a", pets), "prompt of one's own", "vpbench.load")


def test_evaluate_says_the_mean_of_the_classes_and_the_interval(fitted, tests_only, capsys):
    found = printed(capsys, "evaluate", fitted, tests_only)
    assert (found["task"], found["split"], found["images"]) == (tests_only, "test", 5)
    assert list(found["per_class"]) == ["cat", "horse"]
    cat, horse = found["per_class"].values()
    assert found["mean_per_class"] == pytest.approx((cat + horse) / 2)
    assert found["accuracy"] == pytest.approx((2 * cat + 3 * horse) / 5)
    assert found["interval"] == pytest.approx(wilson(found["accuracy"], 5))


def test_evaluate_writes_confusions_and_predictions(fitted, model, tests_only, tmp_path, capsys):
    options = ("--confusion", f"{tmp_path}/c", "--predictions", f"{tmp_path}/p.csv")
    found = printed(capsys, "evaluate", fitted, tests_only, *options)
    rows = list(csv.DictReader((tmp_path / "p.csv").read_text().splitlines()))
    said = model.predict(
        [f"{tests_only}/test/{row['image'].removeprefix('test/')}" for row in rows]
    )
    assert [row["predicted"] for row in rows] == list(said["class"])
    assert [float(row["probability"]) for row in rows] == pytest.approx(list(said["probability"]))
    assert [row["class"] for row in rows] == 2 * ["cat"] + 3 * ["horse"]
    right = [row["class"] == row["predicted"] for row in rows]
    assert [row["right"] == "1" for row in rows] == right
    assert found["accuracy"] == pytest.approx(100 * np.mean(right))
    matrix = pandas.read_csv(tmp_path / "c.csv", index_col="class")
    assert list(matrix) == list(matrix.index) == ["cat", "dog", "horse"]
    for own, other in ((a, b) for a in matrix for b in matrix):
        count = sum((row["class"], row["predicted"]) == (own, other) for row in rows)
        assert matrix.loc[own, other] == count
    with Image.open(tmp_path / "c.png") as picture:
        assert picture.size == (532, 532)  # 3.55 inches
    for option, given in (("--confusion", "c"), ("--predictions", "p.csv")):
        line = mistake(capsys, "evaluate", fitted, option, f"{tmp_path}/{given}")
        holds(line, f"{tmp_path}/{given[0]}.csv is there already; choose another {option}")


def test_a_confusion_matrix_counts_by_class_and_by_what_it_is_taken_for(tmp_path):
    labels, predicted = torch.tensor([0, 0, 0, 2]), torch.tensor([0, 1, 1, 2])
    images = Split(torch.zeros(4, 1, 1, 3, dtype=torch.uint8), labels, tuple("abcd"))
    logits = torch.nn.functional.one_hot(predicted, 3).float()
    examined = Examined(images, evaluation_of(logits, images, 3), ("$a", "b_$", "b_$"))
    assert confusion.confusion(examined).tolist() == [[1, 2, 0], [0, 0, 0], [0, 0, 1]]
    confusion.write_confusion(f"{tmp_path}/c", examined)
    assert (tmp_path / "c.csv").read_text().splitlines() == [
        "class,$a,b_$ (1),b_$ (2)", "$a,1,2,0", "b_$ (1),0,0,0", "b_$ (2),0,0,1",
    ]  # fmt: skip
    picture = (tmp_path / "c.png").read_bytes()
    confusion.write_confusion(f"{tmp_path}/c", examined)
    assert (tmp_path / "c.png").read_bytes() == picture  # the same each time
    assert examined.right.tolist() == [True, False, False, True]
    assert examined.metrics["per_class"] == {"$a": pytest.approx(100 / 3), "b_$ (2)": 100}
    assert examined.metrics["mean_per_class"] == pytest.approx(200 / 3)


def test_evaluate_says_what_the_prompt_gains_over_the_text_prompt(pets, fitted, clip, capsys):
    found = printed(capsys, "evaluate", fitted, "--without-prompt")  # on the task of its card
    assert found["task"] == pets
    text = vp.fit("text_prompt", clip, vp.from_folder(pets))
    without = found["without_prompt"]
    assert (without["method"], without["accuracy"]) == (
        "text_prompt",
        pytest.approx(text.accuracy["test"]),
    )
    assert without["interval"] == pytest.approx(wilson(without["accuracy"], 3))
    pair = vp.compare(vp.load(fitted), text, vp.from_folder(pets))
    assert found["gain"] == pytest.approx(
        {key: getattr(pair, key) for key in ("difference", "low", "high", "p_value")}
    )


@pytest.mark.parametrize("label_map", ["hard_coded", "random", "frequency"])
def test_without_its_prompt_a_vision_model_keeps_its_label_map_or_counts_it_anew(
    label_map, resnet, task
):
    changes = {"label_map": label_map, "epochs": 1, "eval_epochs": []}
    settings = vp.load_recipe("config/lab.yaml", "visual_prompt", "rn50_micro", **changes)
    model = vp.fit("visual_prompt", resnet, task, seed=5, settings=settings)
    nothing = settings | {"template": "none"}
    alone = vp.fit("visual_prompt", resnet, task, seed=5, settings=nothing)
    without = model_without(model, task)
    images = task.splits["test"].images
    if label_map == "frequency":  # counted from the images without a prompt
        assert torch.equal(without.label_map.numbers, alone.label_map.numbers)
        only_test = vp.load_task("eurosat_twin", {"train": 10, "validation": 10, "test": 10})
        only_test.splits = ("test",)
        with complains(UserError, "label map frequency", "training images", "eurosat_twin"):
            model_without(model, only_test)
    assert torch.equal(without.logits(images), alone.logits(images))
    assert without.class_names == model.class_names


def test_a_method_without_a_prompt_has_none_to_leave_out(resnet, task):
    probe = vp.fit("linear_probe", resnet, task, C=[0.1])
    with complains(UserError, "linear_probe on rn50_micro has no prompt"):
        model_without(probe, task)


def test_the_task_of_a_card_that_is_gone_is_one_line(fitted, tmp_path, capsys):
    for ending in ("json", "safetensors"):
        shutil.copy(f"{fitted}.{ending}", tmp_path / f"a.{ending}")
    card = json.loads((tmp_path / "a.json").read_text()) | {"task": "gone/pets"}
    (tmp_path / "a.json").write_text(json.dumps(card))
    line = mistake(capsys, "evaluate", tmp_path / "a")
    holds(line, "gone/pets, which is no task here", f"`vpbench evaluate {tmp_path}/a TASK`")


@pytest.mark.parametrize(
    ("out", "written"),
    [
        (None, [f"a_exported.{ending}" for ending in ALONE]),
        ("b", [f"b.{ending}" for ending in ALONE]),
        pytest.param("b.pt2", ["b.pt2", "b.README.md"], marks=pytest.mark.slow),  # 6 s
    ],
)
def test_export_writes_the_form_that_the_name_says(out, written, fitted, tmp_path, capsys):
    for ending in ("json", "safetensors", "npy", "png"):
        shutil.copy(f"{fitted}.{ending}", tmp_path / f"a.{ending}")
    command = ["export", f"{tmp_path}/a", *(() if out is None else ("--out", f"{tmp_path}/{out}"))]
    capsys.readouterr()
    assert main(command) == 0
    assert capsys.readouterr().out.split() == [f"{tmp_path}/{name}" for name in written]
    assert all((tmp_path / name).is_file() for name in written)
    before = {path.name for path in tmp_path.iterdir()}
    (tmp_path / written[-1]).write_text("mine")
    (tmp_path / written[0]).unlink()
    for name in written[1:-1]:
        (tmp_path / name).unlink()
    line = mistake(capsys, *command)
    holds(line, f"{tmp_path}/{written[-1]} is there already; choose another --out, or add --force")
    assert (tmp_path / written[-1]).read_text() == "mine"
    assert main([*command, "--force"]) == 0
    assert {path.name for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.onnx", "a prompt and its model for onnxruntime"),
        ("a.pt2", "a prompt and its model for torch.export.load"),
        ("a.plain.safetensors", "a prompt for plain PyTorch"),
        ("a.README.md", "a model card"),
    ],
)
def test_what_was_exported_is_told_its_kind_wherever_it_is_given(
    name, kind, pets, tmp_path, capsys
):
    path = tmp_path / name
    path.write_bytes(b"")
    facts = (f"{path} is {kind}", "exported", ".safetensors file with its .json card")
    with complains(UserError, *facts):
        vp.load(path)
    for command in (
        ("evaluate", path),
        ("predict", path, pets),
        ("export", path, "--out", tmp_path / "b"),
    ):
        holds(mistake(capsys, *command), *facts)
