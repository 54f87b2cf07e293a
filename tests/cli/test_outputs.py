"""What --out names is continued, refused or replaced, and never lost."""

import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest
from PIL import Image

from tests.helpers.command_line import CONFIG, fit, mistake
from tests.helpers.messages import holds
from vpbench.cli.main import main
from vpbench.common.locks import hold

SHORT = ("--config", CONFIG, "--set", "epochs=3", "eval_epochs=1", "batch_size=4")


@pytest.fixture(scope="module")
def pets(tmp_path_factory, task):
    """Returns a folder of images of two classes that the micro-CLIP can read: 3 steps an epoch."""
    folder, images = tmp_path_factory.mktemp("images") / "pets", iter(task.splits["train"].images)
    for split, count in (("train", 6), ("val", 1), ("test", 1)):
        for name in ("cat", "dog"):
            (folder / split / name).mkdir(parents=True)
            for number in range(count):
                picture = Image.fromarray(next(images).numpy())
                picture.save(folder / split / name / f"{number}.png")
    return str(folder)


@pytest.fixture(scope="module")
def whole(tmp_path_factory, pets):
    """Returns the name -> bytes of the files of a fit that nothing has disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    assert main([*fit(pets, f"{folder}/a", *SHORT)]) == 0
    return files(folder)


def files(folder):
    """Returns name -> bytes of the files in a folder."""
    return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def test_a_fit_that_is_stopped_goes_on_by_the_same_command_and_ends_with_the_same_bits(
    whole, pets, stop_after, tmp_path, capsys
):
    command = [*fit(pets, f"{tmp_path}/a", *SHORT)]
    for step, number in ((2, signal.SIGINT), (3, signal.SIGTERM)):
        stop_after(step, number)
        with pytest.raises(SystemExit) as end:
            main(command)
        assert end.value.code == 128 + number
        line = f"vpbench: stopped by {number.name}; started again, the run goes on from {tmp_path}"
        assert f"{line}/a.checkpoint.pt" in capsys.readouterr().err.splitlines()
        assert "a.safetensors" not in files(tmp_path)
    assert main(command) == 0
    assert "| 3/9 [" in capsys.readouterr().err  # from there
    assert files(tmp_path) == whole


def test_a_fit_whose_outputs_are_there_is_refused_before_anything_is_loaded(
    whole, pets, tmp_path, capsys, monkeypatch
):
    import vpbench

    for name, content in whole.items():
        (tmp_path / name).write_bytes(content)
    with monkeypatch.context() as context:
        context.setattr(vpbench, "load_backbone", None, raising=False)
        line = mistake(capsys, *fit(pets, f"{tmp_path}/a", *SHORT))
    assert line == (
        f"{tmp_path}/a.safetensors is there already; choose another --out, or add --force"
    )
    other = ("--config", CONFIG, "--set", "epochs=1", "eval_epochs=1", "batch_size=4")
    assert main([*fit(pets, f"{tmp_path}/a", *other), "--force"]) == 0
    assert files(tmp_path).keys() == whole.keys()
    assert files(tmp_path)["a.safetensors"] != whole["a.safetensors"]


def test_a_fit_waits_for_another_one_of_its_name_and_replaces_nothing_of_it(
    whole, pets, tmp_path, capsys
):
    with ThreadPoolExecutor() as pool, ExitStack() as first:
        first.enter_context(hold(tmp_path / "a.lock"))
        second = pool.submit(main, [*fit(pets, f"{tmp_path}/a", *SHORT)])
        with pytest.raises(TimeoutError):
            second.result(timeout=0.2)
        for name, content in whole.items():
            (tmp_path / name).write_bytes(content)
        first.close()
        assert second.result() == 2
    waiting, refused = capsys.readouterr().err.splitlines()
    holds(waiting, f"{tmp_path}/a.lock: waiting for process")
    holds(refused, f"{tmp_path}/a.safetensors is there already")
    assert files(tmp_path) == whole


@pytest.mark.parametrize("ending", ["json", "safetensors"])
def test_a_folder_where_a_fit_would_write_is_refused_even_by_force(pets, ending, tmp_path, capsys):
    (tmp_path / f"a.{ending}").mkdir()
    line = mistake(capsys, *fit(pets, f"{tmp_path}/a", *SHORT), "--force")
    holds(line, f"{tmp_path}/a.{ending} is a folder", "choose another --out")


@pytest.mark.parametrize("out", ["", ".", "..", "/", "a/.."])
def test_an_out_without_a_name_is_refused_before_anything_is_loaded(pets, out, capsys):
    holds(mistake(capsys, *fit(pets, out, *SHORT)), "is no name of a file")


def test_a_fit_whose_outputs_cannot_be_written_ends_before_it_learns(pets, tmp_path, capsys):
    (tmp_path / "file").write_text("not a folder")
    holds(mistake(capsys, *fit(pets, f"{tmp_path}/file/a", *SHORT)), tmp_path / "file")


def test_the_checkpoint_of_another_fit_is_refused_with_the_difference_and_put_aside_by_force(
    whole, pets, stop_after, tmp_path, capsys
):
    command = [*fit(pets, f"{tmp_path}/a", *SHORT)]
    stop_after(2, signal.SIGINT)
    with pytest.raises(SystemExit):
        main([*command, "--seed", "7"])
    before = files(tmp_path)
    assert mistake(capsys, *command) == (
        f"{tmp_path}/a.checkpoint.pt: its seed is 7, the run's is 0; choose another --out, or add "
        "--force to start anew"
    )
    assert files(tmp_path) == before
    assert main([*command, "--force"]) == 0
    aside = {"a.checkpoint.pt.aside": before["a.checkpoint.pt"]}
    assert files(tmp_path) == whole | aside


def test_a_forced_fit_that_is_stopped_goes_on_as_well(whole, pets, stop_after, tmp_path):
    (tmp_path / "a.png").write_text("an earlier one")
    command = [*fit(pets, f"{tmp_path}/a", *SHORT), "--force"]
    stop_after(4, signal.SIGINT)
    with pytest.raises(SystemExit):
        main(command)
    assert (tmp_path / "a.png").read_text() == "an earlier one"
    assert main(command[:-1]) == 0
    assert files(tmp_path) == whole


@pytest.mark.parametrize(
    ("taken", "command"),
    [
        ("b.npy", ("export", "{a}", "--out", "{out}/b")),
        ("b.png", ("export", "{a}", "--out", "{out}/b")),
        ("b.json", ("import", "x", "--backbone", "clip_micro", "--task", "dtd", "--out", "{out}/b")),  # noqa: E501
        ("b.png", ("sheet", "cats_dogs_twin", "--out", "{out}/b.png")),
        ("b", ("lpips-weights", "x.tar.gz", "--out", "{out}/b")),
    ],
)  # fmt: skip
def test_no_other_verb_replaces_a_file_unasked(taken, command, whole, tmp_path, capsys):
    (tmp_path / "a").mkdir()
    for name, content in whole.items():
        (tmp_path / "a" / name).write_bytes(content)
    (tmp_path / taken).write_text("mine")
    arguments = [each.format(a=tmp_path / "a" / "a", out=tmp_path) for each in command]
    assert mistake(capsys, *arguments) == (
        f"{tmp_path}/{taken} is there already; choose another --out, or add --force"
    )
    assert (tmp_path / taken).read_text() == "mine"
    if command[0] in ("export", "sheet"):
        assert main([*arguments, "--force"]) == 0
        assert (tmp_path / taken).read_bytes() != b"mine"
