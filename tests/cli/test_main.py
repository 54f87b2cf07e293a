import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.helpers.command_line import CONFIG, FIT, fit, mistake
from tests.helpers.messages import holds
from tests.helpers.tiny import SIZES, spec
from vpbench.cli.main import main
from vpbench.common.errors import UserError
from vpbench.experiment.provenance import processor
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS
from vpbench.spec.tasks import TASKS

ROOT = Path(__file__).parents[2]
PROMPT = ("visual_prompt", "clip_micro")  # whose settings a fit has


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Returns the path of a record that the command line wrote."""
    path = tmp_path_factory.mktemp("runs") / "seed0.json"
    assert main(["run", json.dumps(spec("linear_probe")), "--out", str(path)]) == 0
    return str(path)


def test_fit_writes_the_prompt_in_all_its_forms_and_prints_its_accuracy(pets, tmp_path, capsys):
    assert main([*fit(pets, str(tmp_path / "a"), *FIT)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.json", "a.npy", "a.png", "a.safetensors"]
    card = json.loads((tmp_path / "a.json").read_text())
    numbers = ", ".join(f"{name} {value:.1f} %" for name, value in card["accuracy"].items())
    assert capsys.readouterr().out.splitlines()[0] == f"{tmp_path}/a.safetensors: {numbers}"
    assert card["settings"]["epochs"] == 1 and card["settings"]["lr"] == 5


def test_a_seed_can_be_given(pets, fitted, tmp_path):
    out = str(tmp_path / "a")
    assert main([*fit(pets, out, *FIT), "--seed", "7"]) == 0
    assert not np.array_equal(np.load(f"{out}.npy"), np.load(f"{fitted}.npy"))


def test_evaluate_prints_the_metrics_that_fit_promised(pets, fitted, capsys):
    for split in ("validation", "test"):
        assert main(["evaluate", fitted, "--split", split]) == 0  # of the task of the card
        metrics = json.loads(capsys.readouterr().out)
        card = json.loads(Path(f"{fitted}.json").read_text())
        assert metrics["accuracy"] == card["accuracy"][split]
        assert set(metrics) >= {"macro_f1", "nll", "ece", "per_class"}
        assert (metrics["split"], metrics["images"]) == (split, 3)  # of 18, cut 60/20/20


def test_evaluate_matches_classes_by_name_whatever_their_order(pets, fitted, tmp_path, capsys):
    for number, name in ((1, "horse"), (2, "dog"), (10, "cat")):
        for file in sorted(Path(pets, name).iterdir()):
            split = "train" if file.name < "3" else "test"
            for place in (tmp_path / "zoo" / split / str(number), tmp_path / "same" / split / name):
                place.mkdir(parents=True, exist_ok=True)
                Image.open(file).rotate(180).save(place / file.name)  # not what was trained on
    (tmp_path / "names").write_text("1\thorse\n2\tdog\n10\tcat\n")
    options = ("evaluate", fitted)
    assert main([*options, str(tmp_path / "same")]) == 0
    same = json.loads(capsys.readouterr().out)
    names = ("--class-names", str(tmp_path / "names"))
    assert main([*options, str(tmp_path / "zoo"), *names]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["accuracy"] == same["accuracy"]
    assert json.loads(printed.out)["per_class"] == same["per_class"]
    assert list(same["per_class"]) == ["cat", "dog", "horse"]
    assert f"{tmp_path}/zoo: classes: 1 = horse, 10 = cat, 2 = dog" in printed.err.splitlines()
    line = mistake(capsys, *options, tmp_path / "zoo")
    holds(line, "does not know 1, 10, 2", f"{tmp_path}/zoo", "cat, dog, horse")


def test_export_writes_the_same_npy_as_fit(fitted, tmp_path, capsys):
    out = tmp_path / "b"
    assert main(["export", fitted, "--out", str(out)]) == 0
    written = capsys.readouterr().out.split()
    assert written == [
        f"{out}{end}" for end in (".npy", ".png", ".plain.safetensors", ".README.md")
    ]
    assert np.array_equal(np.load(f"{out}.npy"), np.load(f"{fitted}.npy"))


def test_run_writes_a_record_and_show_prints_it(record, capsys):
    assert reading.read(record)["spec"] == spec("linear_probe")
    assert main(["show", record]) == 0
    out = capsys.readouterr().out
    accuracy = reading.read(record)["selection"]["last"]["test"]["accuracy"]
    assert f"test {accuracy:.1f} % (macro-F1 " in out
    assert "  display: EuroSAT twin" in out and "  C: 1.0" in out
    (line,) = (line for line in out.splitlines() if "trained parameters" in line)
    holds(line, 650, "device: cpu")  # (64 features + 1) * 10 classes


def test_run_task_writes_a_manifest_of_its_records(tmp_path, capsys):
    specs, out = [spec("text_prompt"), spec("linear_probe")], tmp_path / "manifest.json"
    arguments = ["run-task", json.dumps(specs), "--runs", str(tmp_path / "runs"), "--threads", "1"]
    assert main([*arguments, "--out", str(out)]) == 0
    manifest = reading.read_manifest(out)
    assert [entry["spec"] for entry in manifest["records"]] == specs
    assert all(Path(entry["path"]).is_file() for entry in manifest["records"])
    (line,) = (line for line in capsys.readouterr().out.splitlines() if "2/2" in line)
    holds(line, "eurosat_twin", "clip_micro", "linear_probe", "seed 0")


def test_list_prints_every_legal_name(capsys):
    assert main(["list"]) == 0
    words = capsys.readouterr().out.replace(",", "").split()
    assert set(words) >= {*BACKBONES, *TASKS, *METHODS}


def test_the_folder_options_reach_the_task(pets, tmp_path):
    (tmp_path / "names.txt").write_text("cat\tdog\ndog\tcat\nhorse\tbird\n")
    classes = list(enumerate(("cat", "dog", "horse")))
    rows = [[[f"{name}/{n}.png", label, name] for label, name in classes] for n in range(2)]
    (tmp_path / "split.json").write_text(json.dumps({"train": rows[0], "test": rows[1]}))
    options = ("--split-file", tmp_path / "split.json", "--class-names", tmp_path / "names.txt")
    options += ("--template", "a picture of a {}")
    arguments = [*fit(pets, tmp_path / "a"), *options, *FIT]
    assert main([str(argument) for argument in arguments]) == 0
    card = json.loads((tmp_path / "a.json").read_text())
    assert card["class_names"] == ["dog", "cat", "bird"]
    assert card["text_prompt"] == "a picture of a {}"
    assert list(card["accuracy"]) == ["test"]


@pytest.mark.parametrize(
    ("name", "options", "facts"),
    [
        ("imagenet", (), ("'imagenet'", "folder of images", "`vpbench list`")),
        ("cifar", ("--template", "a {}"), ("'cifar'", "folder of images", "cifar100")),
        ("dtd_twin", ("--template", "a {}"), ("--template", "folders of images", "dtd_twin")),
        ("dtd_twin", ("--class-names", "a"), ("--class-names", "folders of images", "dtd_twin")),
        (None, ("--set", "epochs"), ("--set epochs", "NAME=VALUE", "size=3")),
        (None, ("--set", "colour=3"), (*PROMPT, "unknown", "'colour'", "docs/configuration.md")),
        (None, ("--set", "lr=-1"), (*PROMPT, "lr", "-1", "less than or equal", "0")),
        (None, ("--set", "template=ring"), (*PROMPT, "template", "'ring'", "choose", "padding")),
        (None, ("--config", "no.yaml"), ("no.yaml", "no such configuration", "whole path")),
        (None, ("--device", "abacus"), ("device", "'abacus'", "not usable", "choose", "cpu")),
        (None, ("--device", "cuda:99"), ("device", "'cuda:99'", "not usable", "choose", "cpu")),
        (None, ("--threads", "0"), ("--threads 0", "1 or more")),
        (None, ("--set", "szie=3"), (*PROMPT, "unknown", "'szie'", "did you mean size?")),
        (None, ("--backbone", "vit"), ("unknown backbone", "'vit'", "mean clip_vit_b32")),
        (None, ("--split-file", "no.json"), ("no.json", "split file", "FileNotFoundError")),
        (None, ("--template", "a photo"), ("text prompt", "'a photo'", "{}", "exactly once")),
        (None, ("--set", "label_map=hard_coded"), ("'hard_coded'", "clip_micro", "not fit")),
        (None, ("--set", "size=29"), ("padding", "size 29", "56 pixels", "choose")),
    ],
)
def test_a_mistake_in_fit_is_one_line_and_writes_nothing(
    name, options, facts, pets, tmp_path, capsys
):
    configuration = () if "--config" in options else ("--config", CONFIG)
    holds(mistake(capsys, *fit(name or pets, tmp_path / "a", *configuration, *options)), *facts)
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_the_micro_clip_cannot_read_is_named(pets, tmp_path, capsys):
    shutil.copytree(Path(pets), tmp_path / "zoo")
    (tmp_path / "zoo" / "cat").rename(tmp_path / "zoo" / "axolotl")
    line = mistake(capsys, *fit(tmp_path / "zoo", tmp_path / "a", *FIT))
    holds(line, "words", "axolotl", "vocabulary", "vpbench/lab/weights/clip_micro.words.txt")


def test_an_image_that_cannot_be_read_is_one_line_after_the_bar(pets, tmp_path, capsys):
    shutil.copytree(Path(pets), tmp_path / "zoo")
    for number in range(6):
        (tmp_path / "zoo" / "cat" / f"{number}.png").write_text(f"no image {number}")
    line = mistake(capsys, *fit(tmp_path / "zoo", tmp_path / "a", *FIT))
    holds(line, f"{tmp_path}/zoo/cat/", ".png", "cannot be read", "replace or remove")


def test_a_loss_that_is_not_a_number_ends_with_one_line_after_the_bar(pets, tmp_path, capsys):
    arguments = fit(pets, str(tmp_path / "a"), "--config", CONFIG)
    assert main([*arguments, "--set", "lr=1e30", "batch_size=4", "epochs=2"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("vpbench: ")
    holds(last, "loss", "nan", "choose", "smaller lr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("{", ("spec", "not JSON")),
        ("[]", ("spec", "[]", "mapping")),
        ("{}", ("spec", "lacks")),
        (json.dumps(spec() | {"task": "cifar"}), ("'cifar'", "folder of images", "cifar100")),
        (json.dumps(spec() | {"variant": "../a"}), ("spec", "variant", "'../a'", "a-z")),
    ],
)
def test_a_mistake_in_a_spec_is_one_line(text, facts, tmp_path, capsys):
    holds(mistake(capsys, "run", text, "--out", tmp_path / "a.json"), *facts)
    assert list(tmp_path.iterdir()) == []


def test_run_task_wants_a_list_of_legal_specs(tmp_path, capsys):
    out = ("--runs", tmp_path / "runs", "--out", tmp_path / "a.json")
    holds(mistake(capsys, "run-task", "{}", *out), "specs", "JSON list")
    wrong = json.dumps([spec(), spec() | {"a": 1}])
    holds(mistake(capsys, "run-task", wrong, *out), "spec", "unknown", "'a'")
    assert list(tmp_path.iterdir()) == []


def test_measure_wants_a_list_and_lpips_weights_the_published_file(tmp_path, capsys):
    holds(mistake(capsys, "measure", "{}"), "specs", "JSON list")
    out = tmp_path / "lpips_alex.safetensors"
    holds(mistake(capsys, "lpips-weights", tmp_path / "no.tar.gz", "--out", out), "no.tar.gz")
    other = tmp_path / "other.ckpt"
    other.write_bytes(b"something else")
    holds(mistake(capsys, "lpips-weights", other, "--out", out), other, "SHA-256")
    assert not out.exists()


def test_a_mistake_about_a_prompt_is_one_line(fitted, pets, tmp_path, capsys):
    line = mistake(capsys, "evaluate", tmp_path / "no", pets)
    holds(line, f"{tmp_path}/no.safetensors", "missing", ".safetensors file", ".json card")
    line = mistake(capsys, "evaluate", fitted, pets, "--backbone", "rn50_micro")
    holds(line, "made for clip_micro", "rn50_micro")
    line = mistake(capsys, "evaluate", fitted, "--split", "dev")
    holds(line, pets, "no dev split", "train, validation, test")


def test_a_mistake_about_a_record_is_one_line(record, tmp_path, capsys):
    line = mistake(capsys, "show", tmp_path / "no.json")
    holds(line, f"{tmp_path}/no.json", "not read", "No such file")
    broken = tmp_path / "broken.json"
    broken.write_text(Path(record).read_text()[:200])
    holds(mistake(capsys, "show", broken), broken, "broken JSON")


@pytest.mark.parametrize(
    ("number", "reason"), [(28, "disk is full"), (13, "no permission to write")]
)
def test_a_disk_that_refuses_is_one_line_and_leaves_nothing(
    fitted, tmp_path, capsys, monkeypatch, number, reason
):
    def refuse(*_):
        raise OSError(number, "in other words")

    monkeypatch.setattr("os.replace", refuse)
    line = mistake(capsys, "export", fitted, "--out", tmp_path / "a")
    holds(line, f"{tmp_path}/a.npy", "not written", reason)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_read_is_one_line(pets, tmp_path, capsys, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    line = mistake(capsys, *fit(pets, tmp_path / "a", "--config", CONFIG))
    holds(line, pets, "Permission denied")


UNPARSABLE = [
    *([], ["paint"], ["fit"], ["show"], ["fit", "--seed", "x"], ["fit", "--seed", str(2**63)]),
    ["data", "split", "dtd", "--seed", "-1"],
]


@pytest.mark.parametrize("arguments", UNPARSABLE)
def test_arguments_that_cannot_be_parsed_are_one_line_that_names_the_help(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"(vpbench\b[ \w]*): .+; see \1 --help", line)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_verb_that_a_signal_ends_says_so_in_one_line(number, monkeypatch, capsys):
    monkeypatch.setattr("vpbench.cli.parser.list_names", lambda _: signal.raise_signal(number))
    before = signal.getsignal(number)
    assert main(["list"]) == 128 + number
    assert capsys.readouterr().err == "vpbench: stopped; what is written already stays\n"
    assert signal.getsignal(number) == before


def test_a_log_begins_with_the_device(pets, tmp_path, capsys):
    assert main([*fit(pets, str(tmp_path / "a"), *FIT)]) == 0
    line = capsys.readouterr().err.splitlines()[0]
    assert line == f"device: cpu ({processor()}), torch {torch.__version__}, fp32"


def test_the_sizes_of_tiny_data_are_those_of_the_record(record):
    assert reading.read(record)["task"]["sizes"] == SIZES


def raising(error):
    """Returns a verb that raises `error`."""

    def verb(arguments):
        raise error

    return verb


FAULTS = [
    UserError("a mistake"), FileNotFoundError(2, "No such file or directory", "a.json"),
    MemoryError("out of memory"), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"),
]  # fmt: skip


@pytest.mark.parametrize("error", FAULTS)
def test_with_debug_every_error_keeps_its_traceback(error, monkeypatch, capsys):
    monkeypatch.setattr("vpbench.cli.parser.list_names", raising(error))
    assert mistake(capsys, "list")
    for arguments in (["--debug", "list"], ["list", "--debug"]):
        with pytest.raises(type(error)) as raised:
            main(arguments)
        assert raised.value is error
        assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error",
    [ValueError("operands could not be broadcast together"), KeyError("a"), RuntimeError("a bug")],
)
def test_a_fault_of_ours_is_not_printed_as_if_the_user_had_made_it(error, monkeypatch, capsys):
    monkeypatch.setattr("vpbench.cli.parser.list_names", raising(error))
    with pytest.raises(type(error)) as raised:
        main(["list"])
    assert raised.value is error and capsys.readouterr().err == ""


def test_a_reader_that_has_enough_ends_a_verb_without_a_word():
    line = [sys.executable, "-m", "vpbench", "list"]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 128 + signal.SIGPIPE


def test_a_bug_in_numpy_shows_where_it_is():
    code = (
        "import sys, numpy; from vpbench.cli import main, parser\n"
        "parser.list_names = lambda _: numpy.ones(2) + numpy.ones(3)\n"
        "sys.exit(main.main(['list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and done.stderr.startswith("Traceback")
    assert "broadcast" in done.stderr and "vpbench: " not in done.stderr


@pytest.mark.parametrize(("given", "printed"), [("nan", "--scale nan"), ("0", "--scale 0.0")])
def test_numbers_that_a_library_would_refuse_are_one_line(given, printed, capsys):
    holds(mistake(capsys, "lab-weights", "--scale", given), printed, "above 0", "at most 1")
