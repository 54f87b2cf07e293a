"""What the checkpoint of a fine-tune takes: on the disk, and in memory while it is written."""

import os
import tracemalloc

import pytest
import torch
from torch import nn

from tests.helpers.tiny import DATA, numbered_task, spec
from tests.helpers.toy_training import SETTINGS
from vpbench.data.load import load_task
from vpbench.experiment import run
from vpbench.training.checkpoint import Checkpoint
from vpbench.training.learner import Learner
from vpbench.training.trainer import Trainer

LIMIT = 3.2  # times the weights: they, two moments of AdamW, and what is small
SIDE = 1024  # of a layer of 4 MiB
EACH_EPOCH = {"epochs": 4, "eval_epochs": 1}


class Large(Learner):
    """A classifier whose weights outweigh everything else."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(SIDE, SIDE), nn.Linear(SIDE, 3))

    def forward(self, images):
        """Returns logits."""
        return self.layers(images[:, :1, 0, 0].expand(-1, SIDE) / 1e5)


def large(checkpoint, keep):
    """Returns a trainer of `Large` with AdamW, of the epochs that `keep` selects in full."""
    learner, sizes = Large(), {"train": 8, "validation": 4, "test": 4}
    return Trainer(
        learner, torch.optim.AdamW(learner.parameters()), numbered_task(sizes),
        SETTINGS | EACH_EPOCH | {"lr": 1e-4}, torch.Generator().manual_seed(0), "toy",
        checkpoint=checkpoint, keep=keep,
    )  # fmt: skip


def bytes_of(module):
    """Returns the bytes of the parameters of `module`."""
    return sum(each.numel() * each.element_size() for each in module.parameters())


@pytest.mark.parametrize(("keep", "states"), [((), 0), (("best_validation",), 1)])
def test_a_checkpoint_has_no_more_states_than_may_still_be_selected(keep, states, tmp_path):
    trainer = large(Checkpoint(tmp_path / "a.pt", steps=1), keep)
    progress = trainer.run()
    weights = bytes_of(trainer.learner)
    size = (tmp_path / "a.pt").stat().st_size
    assert (3 + states) * weights < size < (LIMIT + states) * weights
    for rule in ("last", "best_validation", "best_test"):
        selected = progress.selection[rule]
        assert (selected.state is not None) == (rule in keep)
        assert selected.evaluations["test"].answers["prediction"].shape == (4,)
    if not keep:
        assert all(each.logits is None for each in progress.selection["last"].evaluations.values())


def test_not_more_than_two_checkpoints_are_on_the_disk_at_any_time(tmp_path, monkeypatch):
    checkpoint, seen = Checkpoint(tmp_path / "a.pt"), []
    state = {"x": torch.zeros(100_000)}
    fsync = os.fsync

    def noted(descriptor):
        seen.append(sum(each.stat().st_size > 1000 for each in tmp_path.iterdir()))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    for _ in range(4):
        checkpoint.write(state)
    assert seen == [1, 1, 2, 2, 2, 2, 2, 2]  # each time before it has its name, and after


def test_writing_a_checkpoint_makes_no_copy_of_it_in_memory(tmp_path):
    state = {"weights": torch.ones(2**22)}
    tracemalloc.start()
    Checkpoint(tmp_path / "a.pt").write(state)
    _, peak = tracemalloc.get_traced_memory()  # of Python: of a buffer of the file, too
    tracemalloc.stop()
    assert (tmp_path / "a.pt").stat().st_size > 2**24 and peak < 2**20


def test_a_fine_tune_of_a_run_keeps_what_its_record_says_and_the_weights_at_its_end(resnet):
    one = spec("fine_tune", "rn50_micro", head="new", **EACH_EPOCH)
    task = load_task("eurosat_twin", DATA)
    record, predictions, fit = run.run(one, task, resnet)
    assert fit.selected("best_validation").state is fit.selected("best_test").state is None
    assert fit.selected("last").state and fit.selected("last").epoch == 4
    shown = record["selection"][record["rule"]]
    right = predictions["prediction"] == predictions["label"]
    assert 100 * right.mean() == pytest.approx(shown["test"]["accuracy"])
