from pathlib import Path

import pytest

from vpbench.cli.parser import parser
from vpbench.common import paths


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    """Forgets what the machine says, and what a test sets."""
    for name in ("VPBENCH_DATA", "VPBENCH_WEIGHTS", "VPBENCH_DEVICE"):
        monkeypatch.setenv(name, "")  # so that it is restored afterwards
        monkeypatch.delenv(name)


def test_the_folders_are_here_unless_somebody_says_otherwise(monkeypatch):
    assert (paths.data_dir(), paths.weights_dir()) == (Path("data"), Path("weights"))
    monkeypatch.setenv("VPBENCH_DATA", "/disk/data")
    assert (paths.data_dir(), paths.weights_dir()) == (Path("/disk/data"), Path("weights"))


def test_a_folder_that_is_given_wins_and_one_that_is_not_stays(monkeypatch):
    monkeypatch.setenv("VPBENCH_DATA", "/disk/data")
    paths.use(None, "w")
    assert (paths.data_dir(), paths.weights_dir()) == (Path("/disk/data"), Path("w"))
    paths.use("d")
    assert (paths.data_dir(), paths.weights_dir()) == (Path("d"), Path("w"))
    assert paths.device() == "auto"
    paths.use(device="cpu")
    assert (paths.data_dir(), paths.device()) == (Path("d"), "cpu")


@pytest.mark.parametrize(
    ("given", "where"),
    [
        ("weights", "/disk/weights"),
        ("data/imagenet/train", "/disk/data/imagenet/train"),
        ("/elsewhere/data/x", "/elsewhere/data/x"),
        ("photographs/data", "photographs/data"),
    ],
)
def test_a_path_of_a_configuration_in_data_or_weights_follows_the_machine(
    monkeypatch, given, where
):
    assert paths.placed(given) == Path(given)
    monkeypatch.setenv("VPBENCH_DATA", "/disk/data")
    monkeypatch.setenv("VPBENCH_WEIGHTS", "/disk/weights")
    assert paths.placed(given) == Path(where)


@pytest.mark.parametrize("verb", [["run", "{}"], ["run-task", "[]"], ["measure", "[]"]])
def test_every_verb_that_computes_takes_both(verb):
    options = ["--out", "a", "--data-dir", "d", "--weights-dir", "w"]
    given = parser().parse_args([*verb, *options])
    assert (given.data_dir, given.weights_dir) == ("d", "w")
