"""Runs that are killed with -9, again and again, and end as one that nothing has disturbed."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import pytest

from tests.helpers.processes import run_with_checkpoints, start
from tests.helpers.tiny import spec
from vpbench.experiment import run as run_module
from vpbench.experiment.run import checkpoint_path, run_all
from vpbench.records.paths import record_path
from vpbench.training.checkpoint import Checkpoint, load

KILLED = ("padding", "random_patch", "batch_norm")
KILLS = 7  # of each of them, forked and once more as users start it, at other moments
LONG = {"epochs": 12, "eval_epochs": 3, "batch_size": 8}  # 36 steps
SHORT = {"epochs": 6, "eval_epochs": 1}
CASES = {
    "padding": spec(),
    "random_patch": spec(template="random_patch", size=9, test_position="random"),
    "batch_norm": spec("fine_tune", "rn50_micro", head="new"),
    "fixed_patch": spec(template="fixed_patch", size=9),
    "text_head": spec("fine_tune"),
    "counted_map": spec(
        backbone="rn50_micro", label_map="iterative", augmentation="resized_crop",
        gradient="unit", optimiser="nesterov",
    ),
    "trained_map": spec(
        backbone="rn50_micro", label_map="linear", map_lr=0.001, optimiser="adam", ensemble_size=2
    ),
    "conditional": spec(template="conditional", size=8),
    "context": spec("cocoop"),
    "tokens": spec("vpt", dropout=0.1),
}  # fmt: skip


def case(name, lengths):
    """Returns a spec of CASES that is as long as `lengths` says."""
    return CASES[name] | {"settings": CASES[name]["settings"] | lengths}


class Forked:
    """A run in a process that is forked from one that has imported everything already."""

    def __init__(self, one, folder):
        self.process = start(run_with_checkpoints, [one], folder, log=folder / "log")
        self.pid = self.process.pid

    def ended(self):
        """Returns whether the process has ended."""
        return not self.process.is_alive()

    def wait(self):
        """Returns the exit code of the process, minus the signal that has ended it."""
        self.process.join()
        return self.process.exitcode


class Started:
    """A run as a user starts it."""

    def __init__(self, one, folder):
        command = [sys.executable, "-m", "vpbench", "run", json.dumps(one), "--device", "cpu"]
        command += ["--threads", "1", "--checkpoint-steps", "1"]
        command += ["--checkpoints", f"{folder}/checkpoints"]
        command += ["--out", str(record_path(one, folder / "runs"))]
        with open(folder / "log", "a") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log)
        self.pid = self.process.pid

    def ended(self):
        """Returns whether the process has ended."""
        return self.process.poll() is not None

    def wait(self):
        """Returns the exit code of the process, minus the signal that has ended it."""
        return self.process.wait()


def last_written(one, folder):
    """Returns when the last checkpoint was written, or None if there is none at the moment."""
    try:
        return checkpoint_path(one, folder / "checkpoints").stat().st_mtime_ns
    except FileNotFoundError:
        return None


def until_a_step(run, one, folder):
    """Returns None once the process has written a checkpoint of its own, or has ended."""
    before = last_written(one, folder)
    while not run.ended() and last_written(one, folder) in (before, None):
        time.sleep(0.001)


def wait(run, seconds):
    """Returns None after these seconds, or when the process has ended."""
    until = time.perf_counter() + seconds
    while time.perf_counter() < until and not run.ended():
        time.sleep(min(0.001, seconds))


def send(run, number):
    """Returns None; the process has got the signal `number`, unless it has ended."""
    if not run.ended():
        with suppress(ProcessLookupError):  # it has ended since
            os.kill(run.pid, number)


def undisturbed(begin, one, folder):
    """Returns the seconds that a run takes up to its first step, and from there to its end."""
    folder.mkdir()
    started = time.perf_counter()
    run = begin(one, folder)
    until_a_step(run, one, folder)
    first = time.perf_counter()
    assert run.wait() == 0, (folder / "log").read_text()
    return first - started, time.perf_counter() - first


def kill_often(begin, one, folder, most, loading, training, draw):
    """Returns how often a run was killed with -9, `most` times at most, until it ended by itself.

    A fifth of the moments are before its first step, the others after it; `draw` draws them. There
    are not three in turn before a step: another such start would be refused.
    """
    folder.mkdir()
    early = False
    for kills in range(most + 1):
        run = begin(one, folder)
        if kills < most:
            early = draw.random() < 0.2 and not early
            if early:
                wait(run, draw.uniform(0, loading))
            else:
                until_a_step(run, one, folder)
                wait(run, draw.uniform(0, training / most))
            send(run, signal.SIGKILL)
        code = run.wait()
        if code == 0:
            return kills
        assert code == -signal.SIGKILL, (folder / "log").read_text()
    raise AssertionError("it never ended")


def assert_equal(one, folder, other):
    """Returns None if the run in `folder` has left, bit by bit, what the one in `other` has."""
    path, expected = (record_path(one, each / "runs") for each in (folder, other))
    found, wanted = (json.loads(each.read_text()) for each in (path, expected))
    assert found.pop("measured").keys() == wanted.pop("measured").keys()
    found.pop("commit"), wanted.pop("commit")  # somebody may commit while tests run
    assert found == wanted
    assert names_beside(path) == names_beside(expected)
    for name in names_beside(path):
        mine, its = path.with_name(name), expected.with_name(name)
        if name.endswith(".npz"):
            arrays, others = np.load(mine), np.load(its)
            assert arrays.files == others.files
            for key in arrays.files:
                assert np.array_equal(arrays[key], others[key]), (name, key)
        elif name != path.name:
            assert mine.read_bytes() == its.read_bytes(), name
    kept = checkpoint_path(one, folder / "checkpoints").parent
    assert not kept.exists() or list(kept.iterdir()) == []


def names_beside(path):
    """Returns the sorted names of the files in the folder of the record `path`."""
    return sorted(each.name for each in path.parent.iterdir())


def kill_at_random_moments(begin, one, folder, wanted, seed):
    """Returns (kills, ends): how often a run was killed, and how often one ended by itself.

    Each that did is compared with an undisturbed one. A run that ends before it was killed as often
    as `wanted` is followed by another, until all were killed so often together.
    """
    whole = folder / "whole"
    lengths = undisturbed(begin, one, whole)
    draw, kills, ends = random.Random(seed), 0, 0
    while kills < wanted:
        ends += 1
        kills += kill_often(begin, one, folder / f"{ends}", wanted - kills, *lengths, draw)
        assert_equal(one, folder / f"{ends}", whole)
        lengths = [seconds / 2 for seconds in lengths]  # it ended early: the machine was busy
    return kills, ends


@pytest.mark.parametrize("name", KILLED)
def test_a_run_that_is_killed_at_random_moments_ends_as_an_undisturbed_one(name, tmp_path):
    kills, ends = kill_at_random_moments(Forked, case(name, LONG), tmp_path, KILLS, name)
    print(f"{name}: {kills} kills, {ends} of {ends} runs equal to an undisturbed one")


@pytest.mark.slow
@pytest.mark.parametrize("name", KILLED)
def test_the_command_may_be_killed_at_random_moments(name, tmp_path):
    seed = f"{name} as users start it"
    kills, ends = kill_at_random_moments(Started, case(name, LONG), tmp_path, KILLS, seed)
    print(f"{name}: {kills} kills, {ends} of {ends} runs equal to an undisturbed one")


def disturb(one, folder, number):
    """Returns the exit code of a run that got the signal `number` after a step of its own."""
    run = Forked(one, folder)
    until_a_step(run, one, folder)
    send(run, number)
    return run.wait()


@pytest.mark.parametrize("name", sorted(CASES.keys() - set(KILLED)))
def test_a_run_that_is_stopped_and_killed_gives_the_record_of_an_undisturbed_one(name, tmp_path):
    one, whole = case(name, SHORT), tmp_path / "whole"
    kept = checkpoint_path(one, tmp_path / "checkpoints")
    assert kept.relative_to(tmp_path / "checkpoints").with_suffix(".json") == (
        record_path(one, tmp_path).relative_to(tmp_path)
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        assert disturb(one, tmp_path, number) == 128 + number
        line = f"stopped by {number.name}; started again, the run goes on from {kept}\n"
        assert line in (tmp_path / "log").read_text()
    assert disturb(one, tmp_path, signal.SIGKILL) == -signal.SIGKILL
    assert disturb(one, tmp_path, 0) == 0
    (path,) = run_all([one], whole / "runs")
    assert_equal(one, tmp_path, whole)


def test_a_run_that_is_killed_before_its_first_step_again_and_again_says_so(tmp_path):
    one, whole = case("padding", SHORT), tmp_path / "whole"
    starts = checkpoint_path(one, tmp_path / "checkpoints").with_suffix(".starts")
    for count in (1, 2):
        run = Forked(one, tmp_path)
        while not (starts.exists() and len(json.loads(starts.read_text())["starts"]) == count):
            assert not run.ended()
        send(run, signal.SIGKILL)
        assert run.wait() == -signal.SIGKILL
        for each in starts.parent.glob("*.pt"):  # was it faster by a step?
            each.unlink()
    assert Forked(one, tmp_path).wait() == 2
    line = "2 starts at step 0 of 18 were ended before one more was kept, by a time limit or for la"
    assert line in (tmp_path / "log").read_text()
    starts.unlink()
    assert Forked(one, tmp_path).wait() == 0
    list(run_all([one], whole / "runs"))
    assert_equal(one, tmp_path, whole)


def test_a_run_may_be_killed_while_it_writes_its_record(tmp_path):
    one, whole = case("padding", SHORT), tmp_path / "whole"
    path = record_path(one, tmp_path / "runs")
    run = Forked(one, tmp_path)
    while not run.ended() and not path.with_suffix(".predictions.npz").exists():
        time.sleep(0.0005)
    send(run, signal.SIGKILL)
    assert run.wait() == -signal.SIGKILL
    assert Forked(one, tmp_path).wait() == 0
    list(run_all([one], whole / "runs"))
    assert_equal(one, tmp_path, whole)


def test_a_run_goes_on_only_in_the_precision_that_it_was_begun_in(
    tmp_path, monkeypatch, clip, task, capsys
):
    one = case("padding", SHORT)
    one = one | {"engine": one["engine"] | {"precision": "auto"}}
    for precision, line in (("bf16", ""), ("fp32", "its precision is 'bf16', the run's is 'fp32'")):
        monkeypatch.setattr(run_module, "fastest_precision", lambda _, found=precision: (found, {}))
        checkpoint = Checkpoint(tmp_path / "a.pt", 0)
        run_module.run(one, task, clip, checkpoint)
        assert line in capsys.readouterr().err
        assert load(checkpoint.path, {"precision": precision})[1]["progress"]["epoch"] == 6


def test_checkpoints_that_outlived_their_run_are_removed(tmp_path):
    one = case("padding", SHORT)
    kept = checkpoint_path(one, tmp_path / "checkpoints")
    (path,) = run_all([one], tmp_path / "runs", "cpu", tmp_path / "checkpoints")
    for state in ({}, {}):
        Checkpoint(kept).write(state)
    assert list(run_all([one], tmp_path / "runs", "cpu", tmp_path / "checkpoints")) == [path]
    assert list(kept.parent.iterdir()) == []
