import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.helpers.tiny import SIZES, spec
from vpbench.cli.main import main
from vpbench.common.errors import UserError
from vpbench.records import reading
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS
from vpbench.spec.tasks import TASKS

ROOT = Path(__file__).parents[2]
CONFIG = str(ROOT / "config" / "smoke.yaml")
FIT = ("--config", CONFIG, "--set", "epochs=1", "eval_epochs=[]", "batch_size=32")


@pytest.fixture(scope="module")
def pets(tmp_path_factory, task):
    """Returns a folder of images of three classes that the micro-CLIP can read."""
    folder = tmp_path_factory.mktemp("images") / "pets"
    images = task.splits["train"].images.numpy()
    for label, name in enumerate(("cat", "dog", "horse")):
        (folder / name).mkdir(parents=True)
        for number in range(6):
            Image.fromarray(images[6 * label + number]).save(folder / name / f"{number}.png")
    return str(folder)


@pytest.fixture(scope="module")
def fitted(tmp_path_factory, pets):
    """Returns the path, without ending, of a prompt that the command line learned."""
    path = tmp_path_factory.mktemp("prompts") / "pets"
    assert main(["fit", "--backbone", "clip_micro", "--task", pets, *FIT, "--out", str(path)]) == 0
    return str(path)


@pytest.fixture(scope="module")
def record(tmp_path_factory):
    """Returns the path of a record that the command line wrote."""
    path = tmp_path_factory.mktemp("runs") / "seed0.json"
    assert main(["run", json.dumps(spec("linear_probe")), "--out", str(path)]) == 0
    return str(path)


def mistake(capsys, *arguments):
    """Returns the one line on stderr, progress bars aside, of a command that ends with 2."""
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == 2
    lines = capsys.readouterr().err.splitlines()
    lines = [line for line in lines if line and "it/s]" not in line]
    assert len(lines) == 1 and lines[0].startswith("vpbench: ")
    return lines[0].removeprefix("vpbench: ")


def fit(task, out, *options):
    """Returns the arguments of a fit on the micro-CLIP."""
    return ("fit", "--backbone", "clip_micro", "--task", task, "--out", out, *options)


def test_fit_writes_the_prompt_in_all_its_forms_and_prints_its_accuracy(pets, tmp_path, capsys):
    assert main([*fit(pets, str(tmp_path / "a"), *FIT)]) == 0
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["a.json", "a.npy", "a.png", "a.safetensors"]
    card = json.loads((tmp_path / "a.json").read_text())
    numbers = ", ".join(f"{name} {value:.1f} %" for name, value in card["accuracy"].items())
    assert capsys.readouterr().out == f"{tmp_path}/a.safetensors: {numbers}\n"
    assert card["settings"]["epochs"] == 1 and card["settings"]["lr"] == 5


def test_a_seed_can_be_given(pets, fitted, tmp_path):
    out = str(tmp_path / "a")
    assert main([*fit(pets, out, *FIT), "--seed", "7"]) == 0
    assert not np.array_equal(np.load(f"{out}.npy"), np.load(f"{fitted}.npy"))


def test_evaluate_prints_the_metrics_that_fit_promised(pets, fitted, capsys):
    for split in ("validation", "test"):
        options = ("--backbone", "clip_micro", "--task", pets, "--split", split)
        assert main(["evaluate", fitted, *options]) == 0
        metrics = json.loads(capsys.readouterr().out)
        card = json.loads(Path(f"{fitted}.json").read_text())
        assert metrics["accuracy"] == card["accuracy"][split]
        assert set(metrics) >= {"macro_f1", "nll", "ece", "per_class"}


def test_export_writes_the_same_npy_as_fit(fitted, tmp_path, capsys):
    out = tmp_path / "b"
    assert main(["export", fitted, "--backbone", "clip_micro", "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"{out}.npy {out}.png\n"
    assert np.array_equal(np.load(f"{out}.npy"), np.load(f"{fitted}.npy"))


def test_run_writes_a_record_and_show_prints_it(record, capsys):
    assert reading.read(record)["spec"] == spec("linear_probe")
    assert main(["show", record]) == 0
    out = capsys.readouterr().out
    accuracy = reading.read(record)["selection"]["last"]["test"]["accuracy"]
    assert f"test {accuracy:.1f} % (macro-F1 " in out
    assert "  display: EuroSAT twin" in out and "  C: 1.0" in out
    assert "trained parameters: 650, device: cpu" in out  # (64 features + 1) * 10 classes


def test_run_task_writes_a_manifest_of_its_records(tmp_path, capsys):
    specs, out = [spec("text_prompt"), spec("linear_probe")], tmp_path / "manifest.json"
    arguments = ["run-task", json.dumps(specs), "--runs", str(tmp_path / "runs"), "--threads", "1"]
    assert main([*arguments, "--out", str(out)]) == 0
    manifest = reading.read_manifest(out)
    assert [entry["spec"] for entry in manifest["records"]] == specs
    assert all(Path(entry["path"]).is_file() for entry in manifest["records"])
    assert "[2/2] eurosat_twin clip_micro linear_probe seed 0" in capsys.readouterr().out


def test_list_prints_every_legal_name(capsys):
    assert main(["list"]) == 0
    words = capsys.readouterr().out.replace(",", "").split()
    assert set(words) >= {*BACKBONES, *TASKS, *METHODS}


def test_the_folder_options_reach_the_task(pets, tmp_path):
    (tmp_path / "names.txt").write_text("dog\ncat\nbird\n")
    rows = [[f"{name}/0.png", label, name] for label, name in enumerate(("cat", "dog", "horse"))]
    (tmp_path / "split.json").write_text(json.dumps({"train": rows, "test": rows}))
    options = ("--split-file", tmp_path / "split.json", "--class-names", tmp_path / "names.txt")
    options += ("--template", "a picture of a {}")
    arguments = [*fit(pets, tmp_path / "a"), *options, *FIT]
    assert main([str(argument) for argument in arguments]) == 0
    card = json.loads((tmp_path / "a.json").read_text())
    assert card["class_names"] == ["dog", "cat", "bird"]
    assert card["text_prompt"] == "a picture of a {}"
    assert list(card["accuracy"]) == ["test"]


@pytest.mark.parametrize(
    ("name", "options", "words"),
    [
        ("imagenet", (), "'imagenet' is neither a folder of images nor one of the tasks: cifar100"),
        ("imagenet", ("--template", "a {}"), "'imagenet' is neither a folder of images nor one"),
        ("dtd_twin", ("--template", "a {}"), "--template is for folders of images, not for dtd"),
        ("dtd_twin", ("--class-names", "a"), "--class-names is for folders of images, not for"),
        (None, ("--set", "epochs"), "--set epochs: expected NAME=VALUE, for example size=3"),
        (None, ("--set", "colour=3"), "visual_prompt on clip_micro: unknown key 'colour'; the leg"),
        (None, ("--set", "lr=-1"), "visual_prompt on clip_micro at lr: -1 is less than or equal"),
        (None, ("--set", "template=ring"), "visual_prompt on clip_micro at template: 'ring' is no"),
        (None, ("--config", "no.yaml"), "no.yaml: configuration not read, No such file or direct"),
        (None, ("--device", "abacus"), "--device abacus: not usable here ("),
        (None, ("--device", "cuda:99"), "--device cuda:99: not usable here ("),
        (None, ("--threads", "0"), "--threads 0: choose 1 or more"),
        (None, ("--backbone", "vit"), "unknown backbone 'vit'; choose one of: clip_micro, "),
        (None, ("--split-file", "no.json"), "no.json is not a split file (FileNotFoundError"),
        (None, ("--template", "a photo"), "the text prompt 'a photo' must contain {} exactly once"),
        (None, ("--set", "label_map=hard_coded"), "the label map 'hard_coded' does not fit clip_m"),
        (None, ("--set", "size=29"), "padding of size 29 does not fit images of 56 pixels; choose"),
    ],
)
def test_a_mistake_in_fit_is_one_line_and_writes_nothing(
    name, options, words, pets, tmp_path, capsys
):
    configuration = () if "--config" in options else ("--config", CONFIG)
    line = mistake(capsys, *fit(name or pets, tmp_path / "a", *configuration, *options))
    assert line.startswith(words)
    assert list(tmp_path.iterdir()) == []


def test_a_class_that_the_micro_clip_cannot_read_is_named(pets, tmp_path, capsys):
    shutil.copytree(Path(pets), tmp_path / "zoo")
    (tmp_path / "zoo" / "cat").rename(tmp_path / "zoo" / "axolotl")
    line = mistake(capsys, *fit(tmp_path / "zoo", tmp_path / "a", *FIT))
    assert "does not know the words: axolotl; its vocabulary is vpbench/lab/weights/" in line


def test_an_image_that_cannot_be_read_is_one_line_after_the_bar(pets, tmp_path, capsys):
    shutil.copytree(Path(pets), tmp_path / "zoo")
    for number in range(6):
        (tmp_path / "zoo" / "cat" / f"{number}.png").write_text("no image")
    line = mistake(capsys, *fit(tmp_path / "zoo", tmp_path / "a", *FIT))
    assert line.startswith(f"{tmp_path}/zoo/cat/")
    assert line.endswith("); replace or remove it")


def test_a_loss_that_is_not_a_number_ends_with_one_line_after_the_bar(pets, tmp_path, capsys):
    arguments = fit(pets, str(tmp_path / "a"), "--config", CONFIG)
    assert main([*arguments, "--set", "lr=1e30", "batch_size=4", "epochs=2"]) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("vpbench: ") and last.endswith("; choose a smaller lr")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "the spec is not JSON: "),
        ("[]", "spec: [] is not of type 'object'"),
        ("{}", "spec: "),
        (json.dumps(spec() | {"task": "imagenet"}), "'imagenet' is neither a folder of images nor"),
        (json.dumps(spec() | {"variant": "../a"}), "spec at variant: '../a' does not match"),
    ],
)
def test_a_mistake_in_a_spec_is_one_line(text, words, tmp_path, capsys):
    assert mistake(capsys, "run", text, "--out", tmp_path / "a.json").startswith(words)
    assert list(tmp_path.iterdir()) == []


def test_run_task_wants_a_list_of_legal_specs(tmp_path, capsys):
    out = ("--runs", tmp_path / "runs", "--out", tmp_path / "a.json")
    assert mistake(capsys, "run-task", "{}", *out) == "the specs must be a JSON list"
    wrong = json.dumps([spec(), spec() | {"a": 1}])
    assert mistake(capsys, "run-task", wrong, *out).startswith("spec: unknown key 'a'")
    assert list(tmp_path.iterdir()) == []


def test_measure_wants_a_list_and_lpips_weights_the_published_file(tmp_path, capsys):
    assert mistake(capsys, "measure", "{}") == "the specs must be a JSON list"
    out = tmp_path / "lpips_alex.safetensors"
    assert "no.tar.gz" in mistake(capsys, "lpips-weights", tmp_path / "no.tar.gz", "--out", out)
    other = tmp_path / "other.ckpt"
    other.write_bytes(b"something else")
    assert "has the SHA-256" in mistake(capsys, "lpips-weights", other, "--out", out)
    assert not out.exists()


def test_a_mistake_about_a_prompt_is_one_line(fitted, pets, tmp_path, capsys):
    options = ("--task", pets, "--backbone")
    line = mistake(capsys, "evaluate", tmp_path / "no", *options, "clip_micro")
    assert line == (
        f"{tmp_path}/no.safetensors is missing: a prompt is a .safetensors file and its .json card"
    )
    line = mistake(capsys, "evaluate", fitted, *options, "rn50_micro")
    assert "was made for clip_micro" in line
    line = mistake(capsys, "evaluate", fitted, *options, "clip_micro", "--split", "dev")
    assert line == f"{pets} has no dev split; it has: train, validation, test"


def test_a_mistake_about_a_record_is_one_line(record, tmp_path, capsys):
    line = mistake(capsys, "show", tmp_path / "no.json")
    assert line == f"{tmp_path}/no.json: not read, No such file or directory"
    broken = tmp_path / "broken.json"
    broken.write_text(Path(record).read_text()[:200])
    assert mistake(capsys, "show", broken).startswith(f"{broken}: broken JSON")


@pytest.mark.parametrize(
    ("number", "words"),
    [(28, "not written, the disk is full"), (13, "not written, no permission to write here")],
)
def test_a_disk_that_refuses_is_one_line_and_leaves_nothing(
    fitted, tmp_path, capsys, monkeypatch, number, words
):
    def refuse(*_):
        raise OSError(number, "in other words")

    monkeypatch.setattr("os.replace", refuse)
    line = mistake(capsys, "export", fitted, "--backbone", "clip_micro", "--out", tmp_path / "a")
    assert line == f"{tmp_path}/a.npy: {words}"
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_read_is_one_line(pets, tmp_path, capsys, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "iterdir", refuse)
    line = mistake(capsys, *fit(pets, tmp_path / "a", "--config", CONFIG))
    assert line == f"{pets}: Permission denied"


UNPARSABLE = [
    *([], ["paint"], ["fit"], ["show"], ["fit", "--seed", "x"], ["fit", "--seed", str(2**63)]),
    ["data", "split", "dtd", "--seed", "-1"],
]


@pytest.mark.parametrize("arguments", UNPARSABLE)
def test_arguments_that_cannot_be_parsed_end_with_2_and_the_usage(arguments, capsys):
    with pytest.raises(SystemExit) as error:
        main(arguments)
    assert error.value.code == 2
    assert capsys.readouterr().err.startswith("usage: vpbench")


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


def test_a_bug_in_numpy_shows_where_it_is():
    code = (
        "import sys, numpy; from vpbench.cli import main, parser\n"
        "parser.list_names = lambda _: numpy.ones(2) + numpy.ones(3)\n"
        "sys.exit(main.main(['list']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 1 and done.stderr.startswith("Traceback")
    assert "could not be broadcast" in done.stderr and "vpbench: " not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("lab-weights", "--scale", "nan"), "--scale nan: choose a share above 0, at most 1"),
        (("lab-weights", "--scale", "0"), "--scale 0.0: choose a share above 0, at most 1"),
    ],
)
def test_numbers_that_a_library_would_refuse_are_one_line(arguments, words, capsys):
    assert mistake(capsys, *arguments).startswith(words)
