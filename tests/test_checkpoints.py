import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from processes import run_with_checkpoints, start
from test_training import SETTINGS, Learner
from tiny import numbered_task, spec

from vpbench import records, runs
from vpbench.checkpoints import Checkpoint, Stopped
from vpbench.training import optimise

SIZES = {"train": 10, "validation": 6, "test": 70}  # 3 steps an epoch, 2 batches of the test split
EACH = SETTINGS | {"epochs": 4, "evaluate_at": 1}


class Interruption(Exception):
    """A process that ends without a word."""


class Momentum:
    """What learns in these tests: a linear classifier whose steps can be counted, and ended."""

    def __init__(self, checkpoint, stop_at=None, end_at=None):
        self.learner, self.calls = Learner(), 0
        self.checkpoint, self.stop_at, self.end_at = checkpoint, stop_at, end_at
        self.optimiser = torch.optim.SGD(self.learner.module.parameters(), lr=1.0, momentum=0.9)

    def classifier(self, images):
        """Returns logits, unless this is the call at which the process is to end."""
        self.calls += 1
        if self.calls == self.end_at:
            raise Interruption
        if self.calls == self.stop_at:
            signal.raise_signal(signal.SIGTERM)
        return self.learner(images)

    def train(self):
        """Returns what `optimise` returns."""
        return optimise(
            self.learner.module, self.classifier, self.optimiser, numbered_task(SIZES), EACH,
            torch.Generator().manual_seed(5), "toy", checkpoint=self.checkpoint,
        )  # fmt: skip


def equal(found, expected):
    """Returns whether two trainings went the same way, bit by bit."""
    (history, selection, _), (other_history, other_selection, _) = found, expected
    same = history == other_history and list(selection) == list(other_selection)
    for name, (epoch, state, evaluations) in selection.items():
        other_epoch, other_state, other_evaluations = other_selection[name]
        same &= epoch == other_epoch
        same &= all(torch.equal(value, other_state[key]) for key, value in state.items())
        for split, (logits, metrics) in evaluations.items():
            same &= torch.equal(logits, other_evaluations[split].logits)
            same &= metrics == other_evaluations[split].metrics
    return same


@pytest.fixture(scope="module")
def undisturbed():
    """Returns what a training that nothing disturbs returns, and its number of batches."""
    whole = Momentum(None)
    return whole.train(), whole.calls


def test_a_training_may_end_anywhere_and_goes_on_as_if_it_had_not(undisturbed, tmp_path):
    expected, calls = undisturbed
    assert calls == 4 * (3 + 1 + 2)
    for end_at in range(1, calls + 1):
        path = tmp_path / f"{end_at}.pt"
        with pytest.raises(Interruption):
            Momentum(Checkpoint(path, 0), end_at=end_at).train()
        rest = Momentum(Checkpoint(path, 0))
        assert equal(rest.train(), expected), end_at
        assert rest.calls <= calls - (end_at - 1) + 3  # at most an evaluation is done again


def test_a_training_may_be_stopped_anywhere_and_keeps_every_step(undisturbed, tmp_path, capsys):
    expected, calls = undisturbed
    for stop_at in range(1, calls):
        path = tmp_path / f"{stop_at}.pt"
        with pytest.raises(Stopped) as end:
            Momentum(Checkpoint(path), stop_at=stop_at).train()
        assert end.value.code == 143
        line = f"vpbench: stopped by SIGTERM; started again, the run goes on from {path}"
        assert line in capsys.readouterr().err.splitlines()
        assert equal(Momentum(Checkpoint(path)).train(), expected), stop_at
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_training_may_be_stopped_again_and_again(undisturbed, tmp_path):
    path = tmp_path / "a.pt"
    for _ in range(12):
        with pytest.raises(Stopped):
            Momentum(Checkpoint(path), stop_at=1).train()
    assert equal(Momentum(Checkpoint(path)).train(), undisturbed[0])


def test_without_a_path_a_sigterm_ends_the_process_as_ever():
    with Checkpoint().watching():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_checkpoint_is_written_when_it_is_due(tmp_path, undisturbed):
    rare = Momentum(Checkpoint(tmp_path / "rare.pt", 3600))
    assert equal(rare.train(), undisturbed[0]) and list(tmp_path.iterdir()) == []
    often = Checkpoint(tmp_path / "often.pt", 0)
    Momentum(often).train()
    assert torch.load(often.path, weights_only=True)["state"]["progress"]["epoch"] == 4
    often.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_of_a_file_goes_with_the_checkpoint(tmp_path):
    (tmp_path / ".a.pt.123.part").write_bytes(b"half")
    (tmp_path / ".b.pt.123.part").write_bytes(b"of another run")
    Checkpoint(tmp_path / "a.pt").remove()
    assert [path.name for path in tmp_path.iterdir()] == [".b.pt.123.part"]


def test_the_seconds_of_all_parts_are_added(tmp_path):
    first = Checkpoint(tmp_path / "a.pt")
    first.started -= 100
    first.write({})
    second = Checkpoint(tmp_path / "a.pt")
    assert second.seconds < 50
    second.read()
    second.started -= 10
    assert 110 < second.seconds < 160


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"not a checkpoint", "it is broken"),
        ("truncated", "it is broken"),
        ("unsafe", "it is broken"),
        ("other", "its spec.seed is 1, the run's is 0"),
    ],
)
def test_a_checkpoint_that_is_not_of_this_run_is_put_aside(content, words, tmp_path, capsys):
    path, about = tmp_path / "a.pt", {"spec": {"seed": 0}}
    if content == "other":
        Checkpoint(path, about={"spec": {"seed": 1}}).write({"x": 1})
    elif content == "unsafe":
        torch.save({"about": Path("/")}, path)  # an object that is not plain data
    elif content == "truncated":
        Checkpoint(path, about=about).write({"x": torch.zeros(1000)})
        path.write_bytes(path.read_bytes()[:2000])
    else:
        path.write_bytes(content)
    there = path.read_bytes()
    assert Checkpoint(path, about=about).read() is None
    aside = tmp_path / "a.pt.aside"
    assert capsys.readouterr().err == f"{path}: not used, {words}; it is now {aside}\n"
    assert aside.read_bytes() == there and not path.exists()
    assert Checkpoint(path, about=about).read() is None


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch, capsys, undisturbed):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(records.os, "replace", full)
    found = Momentum(Checkpoint(tmp_path / "a.pt", 0)).train()
    assert equal(found, undisturbed[0])
    warning = f"warning: no checkpoint, {tmp_path}/a.pt: not written, the disk is full"
    assert capsys.readouterr().err.splitlines().count(warning) == 12


# Whole runs, in processes that are killed

LONG = {"epochs": 4, "evaluate_at": 1}
KILLED = {
    "padding": spec(**LONG),
    "fixed_patch": spec(template="fixed_patch", size=9, **LONG),
    "random_patch": spec(template="random_patch", size=9, test_position="random", **LONG),
    "fine_tune": spec("fine_tune", **LONG),
    "batch_norm": spec("fine_tune", "rn50_micro", head="new", **LONG),
}


def disturb(one, folder, number, log=None):
    """Returns the exit code of a run that got the signal `number` after a step of its own."""
    path = runs.checkpoint_path(one, folder / "checkpoints")
    before = path.stat().st_mtime_ns if path.exists() else 0
    process = start(run_with_checkpoints, [one], folder, log=folder / "log")
    while process.is_alive() and not (path.exists() and path.stat().st_mtime_ns > before):
        time.sleep(0.002)
    (process.kill if number == signal.SIGKILL else process.terminate)()
    process.join()
    return process.exitcode


@pytest.mark.parametrize("name", KILLED)
def test_a_run_that_is_stopped_and_killed_gives_the_record_of_an_undisturbed_one(name, tmp_path):
    one = KILLED[name]
    kept = runs.checkpoint_path(one, tmp_path / "checkpoints")
    assert kept.relative_to(tmp_path / "checkpoints").with_suffix(".json") == (
        records.record_path(one, tmp_path).relative_to(tmp_path)
    )
    assert disturb(one, tmp_path, signal.SIGTERM) == 143
    assert f"stopped by SIGTERM; started again, the run goes on from {kept}\n" in (
        (tmp_path / "log").read_text()
    )
    assert disturb(one, tmp_path, signal.SIGKILL) == -signal.SIGKILL
    seconds = torch.load(kept, weights_only=True)["seconds"]
    (path,) = runs.run_all([one], tmp_path / "runs", "cpu", tmp_path / "checkpoints")
    (other,) = runs.run_all([one], tmp_path / "whole")
    found, expected = (json.loads(Path(each).read_text()) for each in (path, other))
    assert found.pop("measured")["seconds"] > seconds
    del expected["measured"]
    assert found == expected
    for ending in (".predictions.npz", ".prompt.safetensors"):
        sides = [Path(each).with_suffix(ending) for each in (path, other)]
        assert sides[0].exists() == sides[1].exists()
        if ending == ".predictions.npz":
            arrays = [np.load(side) for side in sides]
            assert all(np.array_equal(arrays[0][key], arrays[1][key]) for key in arrays[0])
        elif sides[0].exists():
            assert sides[0].read_bytes() == sides[1].read_bytes()
    assert [each for each in kept.parent.iterdir()] == []


def test_a_checkpoint_that_outlived_its_run_is_removed(tmp_path):
    one = KILLED["padding"]
    kept = runs.checkpoint_path(one, tmp_path / "checkpoints")
    (path,) = runs.run_all([one], tmp_path / "runs", "cpu", tmp_path / "checkpoints")
    Checkpoint(kept).write({})
    assert list(runs.run_all([one], tmp_path / "runs", "cpu", tmp_path / "checkpoints")) == [path]
    assert not kept.exists()
