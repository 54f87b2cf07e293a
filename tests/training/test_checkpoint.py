import hashlib
import json
import os
import pickle
import platform
import random
import re
import signal
import subprocess
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.helpers.tiny import numbered_task
from tests.helpers.toy_training import SETTINGS
from vpbench.cli.main import main
from vpbench.common import atomic_files
from vpbench.common.errors import UserError
from vpbench.compute.engine import Engine
from vpbench.training import checkpoint as checkpoint_module
from vpbench.training.checkpoint import FORMAT, HEAD, Checkpoint, Stopped, load
from vpbench.training.learner import Learner
from vpbench.training.trainer import Trainer

SIZES = {"train": 10, "validation": 6, "test": 70}  # 3 steps an epoch, 2 batches of the test split
EACH = SETTINGS | {"epochs": 4, "eval_epochs": 1}
STEPS = 4 * 3


class Interruption(Exception):
    """A process that ends without a word."""


class Network(Learner):
    """A classifier of the first pixel with everything that can have a state."""

    def __init__(self, generator, called=lambda: None):
        super().__init__()
        self.generator, self.called = generator, called
        self.layers = nn.Sequential(
            nn.Linear(1, 8), nn.BatchNorm1d(8), nn.Dropout(0.3), nn.Linear(8, 3)
        )

    @contextmanager
    def one_draw(self):
        """Draws a shift for a batch, as a random patch draws its position."""
        self.shift = torch.rand(1, generator=self.generator)
        yield

    def forward(self, images):
        """Returns logits; their gradient overflows as float16 would, only lower."""
        self.called()
        logits = self.layers(images[:, :1, 0, 0] / 10 + self.shift)
        if logits.requires_grad:
            logits.register_hook(lambda g: g.where(g.abs() < 9000, torch.inf))
        return logits


class Training:
    """A training whose steps can be counted, and ended."""

    def __init__(self, checkpoint, stop_at=None, end_at=None, number=signal.SIGTERM):
        self.checkpoint, self.stop_at, self.end_at = checkpoint, stop_at, end_at
        self.number, self.calls = number, 0

    def called(self):
        """Counts a batch; raises Interruption if it is the one at which the process is to end."""
        self.calls += 1
        if self.calls == self.end_at:
            raise Interruption
        if self.calls == self.stop_at:
            signal.raise_signal(self.number)

    def train(self, spoil_at=None):
        """Returns the progress at its end; a weight becomes infinite in the step `spoil_at`."""
        with torch.random.fork_rng([]):
            torch.manual_seed(5)
            generator = torch.Generator().manual_seed(5)
            network = Network(generator, self.called)
            optimiser = torch.optim.SGD(network.parameters(), lr=1.0, momentum=0.9)
            steps = []

            def spoil(*_):
                steps.append(1)
                if len(steps) == spoil_at:
                    network.layers[0].bias.data[0] = torch.inf

            optimiser.register_step_post_hook(spoil)
            return Trainer(
                network, optimiser, numbered_task(SIZES), EACH, generator,
                "toy", Engine(precision="fp16"), self.checkpoint,
            ).run()  # fmt: skip


def equal(found, expected):
    """Returns whether two trainings went the same way, bit by bit."""
    same = found.history == expected.history and found.micro_batch == expected.micro_batch
    same &= list(found.selection) == list(expected.selection)
    for rule, (epoch, state, evaluations) in found.selection.items():
        other_epoch, other_state, other_evaluations = expected.selection[rule]
        same &= epoch == other_epoch
        same &= all(torch.equal(value, other_state[key]) for key, value in state.items())
        for split, (logits, metrics, answers) in evaluations.items():
            same &= torch.equal(logits, other_evaluations[split].logits)
            same &= metrics == other_evaluations[split].metrics
            others = other_evaluations[split].answers
            same &= all(torch.equal(answers[key], others[key]) for key in others)
    return same


def steps_in(path):
    """Returns how many steps the training had done that the file `path` is of."""
    progress = load(path, {})[1]["progress"]
    return 3 * (progress["epoch"] - 1) + progress["done"]


def names_in(folder):
    """Returns the sorted names of the files in `folder`."""
    return sorted(path.name for path in folder.iterdir())


def interrupted(path):
    """Returns the path of the state after 8 steps of a training; the older one is after 7."""
    with pytest.raises(Interruption):
        Training(Checkpoint(path, 0), end_at=2 * (3 + 1 + 2) + 3).train()
    assert [steps_in(path), steps_in(path.with_suffix(".older.pt"))] == [8, 7]
    return path


def flip(path, place=None):
    """Returns None; one bit of the file `path` is another one, in its middle or at `place`."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2 if place is None else place] ^= 4
    path.write_bytes(content)


@pytest.fixture(scope="module")
def undisturbed():
    """Returns what a training that nothing disturbs returns, and its number of batches."""
    whole = Training(None)
    return whole.train(), whole.calls


# Interruptions


def test_a_training_may_end_anywhere_and_goes_on_as_if_it_had_not(undisturbed, tmp_path):
    expected, calls = undisturbed
    assert calls == 4 * (3 + 1 + 2)
    for end_at in range(1, calls + 1):
        path = tmp_path / f"{end_at}.pt"
        with pytest.raises(Interruption):
            Training(Checkpoint(path, 0), end_at=end_at).train()
        rest = Training(Checkpoint(path, 0))
        assert equal(rest.train(), expected), end_at
        assert rest.calls <= calls - (end_at - 1) + 3  # at most an evaluation is done again


@pytest.mark.parametrize(
    ("number", "each"), [(signal.SIGTERM, 1), (signal.SIGUSR1, 5), (signal.SIGINT, 5)]
)
def test_a_training_may_be_stopped_anywhere_and_keeps_every_step(
    number, each, undisturbed, tmp_path, capsys
):
    expected, calls = undisturbed
    for stop_at in range(1, calls, each):
        path = tmp_path / f"{stop_at}.pt"
        with pytest.raises(Stopped) as end:
            Training(Checkpoint(path), stop_at=stop_at, number=number).train()
        assert end.value.code == 128 + number
        line = f"vpbench: stopped by {number.name}; started again, the run goes on from {path}"
        assert line in capsys.readouterr().err.splitlines()
        assert equal(Training(Checkpoint(path)).train(), expected), stop_at
    assert signal.getsignal(number) in (signal.SIG_DFL, signal.default_int_handler)


def test_a_training_may_be_stopped_again_and_again(undisturbed, tmp_path):
    path, parts, found = tmp_path / "a.pt", 0, None
    while found is None:
        with suppress(Stopped):  # each part is at least an evaluation and a step
            found = Training(Checkpoint(path), stop_at=1 + 2 + 1).train()
        parts += 1
    assert equal(found, undisturbed[0]) and parts > 4
    assert names_in(tmp_path) == ["a.older.pt", "a.pt"]


def test_a_second_ctrl_c_ends_at_once(tmp_path):
    training = Training(Checkpoint(tmp_path / "a.pt"))
    training.called = lambda: [signal.raise_signal(signal.SIGINT) for _ in range(2)]
    with pytest.raises(KeyboardInterrupt):
        training.train()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_signal_that_the_process_was_started_to_ignore_stays_ignored(tmp_path):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        Training(Checkpoint(tmp_path / "a.pt"), stop_at=1, number=signal.SIGHUP).train()
    finally:
        signal.signal(signal.SIGHUP, before)


def test_weights_that_are_no_numbers_are_not_written_over_those_that_are(tmp_path):
    training = Training(Checkpoint(tmp_path / "a.pt", 0))
    with pytest.raises(UserError) as error:
        training.train(spoil_at=3)
    after = re.fullmatch(
        r"toy: the next training loss is nan after (\d+) of 12 steps; choose a smaller lr",
        str(error.value),
    )
    assert steps_in(training.checkpoint.path) == int(after[1]) - 1
    _, state = load(training.checkpoint.path, {})
    assert all(value.isfinite().all() for value in state["learner"].values())


def test_without_a_path_a_signal_ends_the_process_as_ever():
    with Checkpoint().watching():
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGHUP):
            assert signal.getsignal(number) is signal.SIG_DFL


LOST = {
    "weights": lambda state: state["learner"].update(Network(None).state_dict()),
    "momentum": lambda state: state["optimiser"].update(state={}),
    "loss_scale": lambda state: state["scaler"].update(scale=2.0**16),
    "positions": lambda state: state["generators"].update(training=torch.Generator().get_state()),
    "dropout": lambda state: state["generators"].update(cpu=torch.Generator().get_state()),
    "micro_batch": lambda state: state["progress"].update(micro_batch=2),
    "epoch": lambda state: state["progress"].update(epoch=1),
    "order": lambda state: state["progress"].update(order=None),
    "done": lambda state: state["progress"].update(done=1),
    "loss": lambda state: state["progress"].update(loss=0.0),
    "correct": lambda state: state["progress"].update(correct=0),
    "history": lambda state: state["progress"].update(history=[]),
    "best_so_far": lambda state: state["progress"].update(selection={}),
}


@pytest.mark.parametrize("part", LOST)
def test_no_part_of_the_state_may_be_lost(part, undisturbed, tmp_path):
    path = interrupted(tmp_path / "a.pt")
    _, state = load(path, {})
    Checkpoint(path).write(state)
    assert equal(Training(Checkpoint(path)).train(), undisturbed[0])
    with torch.random.fork_rng([]):
        LOST[part](state)
    Checkpoint(path).write(state)
    assert not equal(Training(Checkpoint(path)).train(), undisturbed[0])


# When, and how it is written


def test_a_checkpoint_is_written_when_its_time_has_come_and_the_last_two_are_kept(
    tmp_path, undisturbed
):
    rare = Training(Checkpoint(tmp_path / "rare.pt", 3600))
    assert equal(rare.train(), undisturbed[0]) and list(tmp_path.iterdir()) == []
    often = Checkpoint(tmp_path / "often.pt", 0)
    Training(often).train()
    assert names_in(tmp_path) == ["often.older.pt", "often.pt"]
    assert [steps_in(often.path), steps_in(often.older)] == [STEPS, STEPS - 1]
    often.remove()
    assert list(tmp_path.iterdir()) == []


def test_a_checkpoint_is_written_every_so_many_steps_over_the_epochs(tmp_path):
    checkpoint = Checkpoint(tmp_path / "a.pt", steps=5)
    Training(checkpoint).train()
    assert [steps_in(checkpoint.path), steps_in(checkpoint.older)] == [10, 5]


def test_the_command_line_refuses_a_number_of_steps_that_never_comes(capsys):
    assert main(["run", "{}", "--out", "a.json", "--checkpoint-steps", "0"]) == 2
    assert capsys.readouterr().err == "vpbench: --checkpoint-steps 0: choose 1 or more\n"


def test_a_file_has_its_name_only_when_all_of_it_is_on_disk_and_then_the_name_is_too(
    tmp_path, monkeypatch
):
    checkpoint, done = Checkpoint(tmp_path / "a.pt"), []
    checkpoint.write({"x": 1})
    replace, fsync = os.replace, os.fsync

    def noted_fsync(descriptor):
        done.append(("sync", os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}"))))
        fsync(descriptor)

    def noted_replace(source, target):
        done.append((Path(source).name, Path(target).name))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(os, "replace", noted_replace)
    checkpoint.write({"x": 2})
    part = done[0][1]
    assert part.startswith(".a.pt.") and part.endswith(atomic_files.PART)
    assert done == [
        ("sync", part), ("a.pt", "a.older.pt"), (part, "a.pt"), ("sync", tmp_path.name)
    ]  # fmt: skip
    assert [load(tmp_path / name, {})[1]["x"] for name in ("a.pt", "a.older.pt")] == [2, 1]


def test_what_a_killed_process_left_of_a_file_goes_with_the_checkpoint(tmp_path):
    process = subprocess.Popen(["true"])
    process.wait()
    killed, other = (f".{name}.pt.{platform.node()}.{process.pid}.part" for name in "ab")
    (tmp_path / killed).write_bytes(b"half")
    (tmp_path / other).write_bytes(b"of another run")
    Checkpoint(tmp_path / "a.pt").remove()
    assert names_in(tmp_path) == [other]


def test_the_seconds_of_all_parts_are_added(tmp_path):
    first = Checkpoint(tmp_path / "a.pt")
    first.started -= 100
    first.write({})
    second = Checkpoint(tmp_path / "a.pt")
    assert second.seconds < 50
    second.read()
    second.started -= 10
    assert 110 < second.seconds < 160


def test_a_full_disk_does_not_end_the_run(tmp_path, monkeypatch, capsys, undisturbed):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    found = Training(Checkpoint(tmp_path / "a.pt", 0)).train()
    assert equal(found, undisturbed[0])
    warning = f"warning: no checkpoint, {tmp_path}/a.pt: not written, the disk is full"
    assert capsys.readouterr().err.splitlines().count(warning) == STEPS


# What is refused


class Executed:
    """What would make a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def sealed(content, form=FORMAT):
    """Returns the bytes of a file with the head that `content` needs."""
    return HEAD.format(form, hashlib.sha256(content).hexdigest()).encode() + content


def unsafe_state(folder):
    """Returns the bytes of what torch saves of an object that runs code when it is read."""
    path = folder / "unsafe"
    torch.save({"seconds": 0.0, "state": Executed(folder / "executed")}, path)
    return path.read_bytes()


NO_CHECKPOINT = "it is no checkpoint of this version of vpbench"
BROKEN = "it is broken: its checksum is not that of its content"
NO_STATE = "it is broken: it holds no state of a run"
ABOUT = {"spec": {"seed": 0}}
LINE = json.dumps(ABOUT).encode() + b"\n"
REFUSED = {
    "empty": (lambda good, folder: b"", NO_CHECKPOINT),
    "text": (lambda good, folder: b"not a checkpoint", NO_CHECKPOINT),
    "pickle": (lambda good, folder: pickle.dumps(Executed(folder / "executed")), NO_CHECKPOINT),
    "torch": (lambda good, folder: unsafe_state(folder), NO_CHECKPOINT),
    "truncated": (lambda good, folder: good[:-1], BROKEN),
    "longer": (lambda good, folder: good + b"\0", BROKEN),
    "format": (
        lambda good, folder: sealed(LINE, 1), f"its format is 1, this version reads {FORMAT}"
    ),
    "no_run": (lambda good, folder: sealed(b"{"), NO_STATE),
    "no_state": (lambda good, folder: sealed(LINE), NO_STATE),
    "unsafe": (lambda good, folder: sealed(LINE + unsafe_state(folder)), NO_STATE),
    "unsafe_pickle": (
        lambda good, folder: sealed(LINE + pickle.dumps(Executed(folder / "executed"))), NO_STATE
    ),
    "other_run": (
        lambda good, folder: sealed(b'{"spec": {"seed": 1}}\n' + unsafe_state(folder)),
        "its spec.seed is 1, the run's is 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_no_sound_checkpoint_of_this_run_is_put_aside_and_the_older_is_used(
    name, tmp_path, capsys
):
    checkpoint, (make, reason) = Checkpoint(tmp_path / "a.pt", about=ABOUT), REFUSED[name]
    checkpoint.write({"x": 1})
    checkpoint.write({"x": 2})
    bad = make(checkpoint.path.read_bytes(), tmp_path)
    checkpoint.path.write_bytes(bad)
    assert checkpoint.read() == {"x": 1}
    aside = tmp_path / "a.pt.aside"
    assert capsys.readouterr().err == (
        f"{checkpoint.path}: not used, {reason}; it is now {aside}\n"
        f"vpbench: the run goes on from the checkpoint before it, {checkpoint.older}\n"
    )
    assert aside.read_bytes() == bad and not (tmp_path / "executed").exists()
    assert checkpoint.read() == {"x": 1} and capsys.readouterr().err == ""
    checkpoint.write({"x": 3})  # not over the good one
    assert [load(path, ABOUT)[1]["x"] for path in (checkpoint.path, checkpoint.older)] == [3, 1]


def test_if_both_are_refused_the_run_starts_anew_and_says_so(tmp_path, undisturbed, capsys):
    path = interrupted(tmp_path / "a.pt")
    older = path.with_suffix(".older.pt")
    flip(path)
    older.write_bytes(older.read_bytes()[:300])
    capsys.readouterr()
    again = Training(Checkpoint(path))
    assert equal(again.train(), undisturbed[0]) and again.calls == undisturbed[1]
    assert capsys.readouterr().err.splitlines()[:3] == [
        f"{path}: not used, {BROKEN}; it is now {path}.aside",
        f"{older}: not used, {BROKEN}; it is now {older}.aside",
        "vpbench: there is no other checkpoint, the run starts anew",
    ]


@pytest.mark.parametrize("harm", [flip, Path.unlink])  # the latter: killed between two renames
def test_a_training_that_has_only_its_older_state_ends_as_if_nothing_had_happened(
    harm, tmp_path, undisturbed
):
    path = interrupted(tmp_path / "a.pt")
    harm(path)
    rest = Training(Checkpoint(path, 0))
    assert equal(rest.train(), undisturbed[0])
    assert rest.calls == (STEPS - 7) + 2 * (1 + 2)  # two evaluations are left


def test_no_flipped_bit_and_no_lost_end_goes_unnoticed_and_torch_sees_none_of_it(
    tmp_path, monkeypatch
):
    seen, path, draw = [], tmp_path / "a.pt", random.Random(0)
    Checkpoint(path, about=ABOUT).write({"x": torch.arange(10)})
    assert torch.equal(load(path, ABOUT)[1]["x"], torch.arange(10))
    monkeypatch.setattr(checkpoint_module.torch, "load", lambda *a, **b: seen.append(a))
    good = path.read_bytes()
    for place in [*range(100), *range(100, len(good), 7)]:  # the head, and some of the rest
        flipped = bytearray(good)
        flipped[place] ^= 1 << draw.randrange(8)
        for content in (flipped, good[:place]):
            path.write_bytes(content)
            with pytest.raises(ValueError, match="^it is broken|^it is no checkpoint|^its format"):
                load(path, ABOUT)
    assert not seen


def test_a_bad_file_that_cannot_be_put_aside_is_not_used_either(tmp_path, monkeypatch, capsys):
    def refuse(path, target):
        raise PermissionError(13, "Permission denied")

    checkpoint = Checkpoint(tmp_path / "a.pt")
    checkpoint.path.mkdir()
    monkeypatch.setattr(Path, "replace", refuse)
    assert checkpoint.read() is None
    assert capsys.readouterr().err.splitlines() == [
        f"{checkpoint.path}: not used, Is a directory; it stays there: Permission denied",
        "vpbench: there is no other checkpoint, the run starts anew",
    ]
