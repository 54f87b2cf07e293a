"""A run that is started again and again and makes no step is refused, in one line."""

import multiprocessing
import os
import platform
import signal

import pytest
import torch

from tests.helpers.toy_training import FirstPixel, toy_trainer
from tests.training.test_checkpoint import Training, equal
from vpbench.common.errors import UserError
from vpbench.training import checkpoint
from vpbench.training.checkpoint import Checkpoint, Stopped

ABOUT = {"spec": {"seed": 0}}


def killed(path, step, about=ABOUT):
    """Returns None; a start at `step` was ended by kill -9."""
    starts = path.with_suffix(".starts")
    with Checkpoint(path, about=about).trying(step, 12):
        left = starts.read_bytes()
    starts.write_bytes(left)


def ended(path, step, error, by=None):
    """Returns None; a start at `step` has ended with `error`, after the signal `by`."""
    checkpoint = Checkpoint(path, about=ABOUT)
    with pytest.raises(type(error)), checkpoint.trying(step, 12):
        checkpoint.stopped_by = by
        raise error


def refused(path, step, about=ABOUT):
    """Returns the line with which a start at `step` is refused, or None if it is not."""
    checkpoint = Checkpoint(path, about=about)
    try:
        with checkpoint.trying(step, 12):
            return None
    except UserError as error:
        return str(error)


def test_the_third_start_at_a_step_is_refused_until_the_count_is_deleted(tmp_path):
    path = tmp_path / "a.pt"
    killed(path, 5)
    killed(path, 5)
    for _ in range(2):  # whoever starts it again and again
        assert refused(path, 5) == (
            f"{path}: 2 starts at step 5 of 12 were ended before one more was kept, by a time "
            "limit or for lack of memory; choose a larger max_runtime or a smaller batch_size, and "
            f"delete {tmp_path}/a.starts: then the run is tried again"
        )
    (tmp_path / "a.starts").unlink()
    assert refused(path, 5) is None


def test_starts_before_the_first_checkpoint_count(tmp_path):
    killed(tmp_path / "a.pt", 0)
    killed(tmp_path / "a.pt", 0)
    assert refused(tmp_path / "a.pt", 0)


def test_any_step_that_is_kept_and_any_other_run_begins_a_new_count(tmp_path):
    path = tmp_path / "a.pt"
    for step in (0, 0, 1, 1, 2, 2, 3):
        killed(path, step)
    killed(path, 0)  # from the older checkpoint
    killed(path, 3)
    other = {"spec": {"seed": 1}}
    killed(path, 3, other)
    killed(path, 3, other)
    assert refused(path, 3, other) and refused(path, 3) is None


def test_a_scheduler_s_signal_counts_but_no_error_and_no_ctrl_c(tmp_path):
    path = tmp_path / "a.pt"
    for _ in range(3):
        ended(path, 5, UserError("the loss is nan"))
        ended(path, 5, KeyboardInterrupt())
        ended(path, 5, Stopped(130), signal.SIGINT)
    assert list(tmp_path.iterdir()) == []
    ended(path, 5, Stopped(143), signal.SIGTERM)
    ended(path, 5, Stopped(138), signal.SIGUSR1)
    assert refused(path, 5)


def test_a_count_that_cannot_be_read_is_none(tmp_path):
    for text in ("", "[]", "{}", '{"run": 1, "step": 5, "starts": 9}', '{"starts": [1]}'):
        (tmp_path / "a.starts").write_text(text)
        assert refused(tmp_path / "a.pt", 5) is None


def test_an_evaluation_longer_than_the_time_limit_is_not_begun_for_ever(tmp_path):
    path = tmp_path / "a.pt"

    def stopped(stop_at, number=signal.SIGTERM):
        with pytest.raises(Stopped):
            Training(Checkpoint(path), stop_at=stop_at, number=number).train()

    stopped(3 + 1)  # three steps and the first batch of the evaluation
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGTERM):
        stopped(1, number)
    with pytest.raises(UserError, match="2 starts at step 3 of 12 were ended before one more"):
        Training(Checkpoint(path), stop_at=1).train()
    path.with_suffix(".starts").unlink()
    assert equal(Training(Checkpoint(path)).train(), Training(Checkpoint()).train())


class Counting(FirstPixel):
    """A classifier that counts something in three batches before each epoch."""

    def __init__(self, stop_at=None):
        super().__init__()
        self.stop_at, self.counted = stop_at, []

    def begin_epoch(self, epoch, images, labels, around):
        """Counts; another process of the machine sends SIGTERM in one of the batches."""
        for batch in range(3):
            with around():
                self.counted.append((epoch, batch))
                if (epoch, batch) == self.stop_at:
                    signal.raise_signal(signal.SIGTERM)


def test_a_signal_while_a_map_is_counted_keeps_the_state_before_it(tmp_path):
    whole = toy_trainer(Counting())
    whole.run()
    first = toy_trainer(Counting((2, 0)), checkpoint=Checkpoint(tmp_path / "a.pt"))
    with pytest.raises(Stopped):
        first.run()
    assert first.learner.counted[-1] == (2, 0)  # it does not count to its end
    second = toy_trainer(Counting(), checkpoint=Checkpoint(tmp_path / "a.pt"))
    assert second.run().history == whole.progress.history
    assert second.learner.counted == [(epoch, batch) for epoch in (2, 3) for batch in range(3)]
    assert torch.equal(second.learner.layer.weight, whole.learner.layer.weight)


def test_a_start_of_another_process_that_goes_on_is_no_try(tmp_path):
    here = {"host": platform.node()}
    assert checkpoint.goes_on(here | {"pid": os.getppid()})  # what started these tests
    assert not checkpoint.goes_on(here | {"pid": os.getpid()})  # one's own number, of a former life
    assert not checkpoint.goes_on({"host": "another", "pid": os.getppid()})
    child = multiprocessing.get_context("spawn").Process(target=int)
    child.start()
    child.join()
    assert not checkpoint.goes_on(here | {"pid": child.pid})
