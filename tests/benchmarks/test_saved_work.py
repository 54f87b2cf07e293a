"""The benchmark of saved work: what is compared does the same, with more work or less."""

import pytest
import torch

from benchmarks import saved_work
from benchmarks.our_step import OurStep
from tests.helpers.known_task import known_task
from tests.helpers.tiny import PADDING
from vpbench.lab import micro_backbones

SETTINGS = PADDING | {"lr": 20.0, "warm_up": 0.0, "schedule": "constant"}


@pytest.fixture(scope="module")
def micro():
    return micro_backbones.load("clip_micro")


@pytest.fixture(scope="module")
def batch():
    """Returns a task whose classes the micro-CLIP has words for, and its images and labels."""
    task = known_task(12)
    return task, task.splits["train"].images, task.splits["train"].labels


def test_prompts_in_one_batch_move_as_each_does_alone(micro, batch):
    task, *those = batch
    together = saved_work.StepOfMany(micro, task, SETTINGS)
    alone = [OurStep(micro, task, SETTINGS) for _ in range(saved_work.PROMPTS)]
    for step, member in zip(alone, together.prompts.members, strict=True):
        step.prompt.load_state_dict(member.state_dict())
    before = [member.pad_up.detach().clone() for member in together.prompts.members]
    assert len({tuple(each.flatten().tolist()) for each in before}) == saved_work.PROMPTS
    for _ in range(2):
        losses = [step(*those) for step in alone]
        assert together(*those) == pytest.approx(losses, rel=1e-4)
    for step, member, start in zip(alone, together.prompts.members, before, strict=True):
        moved = step.prompt.pad_up - start
        assert moved.norm() > 1e-3
        assert (member.pad_up - step.prompt.pad_up).norm() < 1e-3 * moved.norm()


def test_gradients_of_the_weights_are_more_work_and_change_nothing(micro, batch):
    task, *those = batch
    unfrozen = micro_backbones.load("clip_micro")
    pair = saved_work.steps(micro, unfrozen, task, SETTINGS, 12)["clip_micro", saved_work.WEIGHTS]
    losses = {done: take_steps() for done, take_steps in pair.items()}
    assert losses[True] == pytest.approx(losses[False], rel=1e-4)
    assert len(losses[True]) == 10 and losses[True][9] != losses[True][0]
    weights = list(unfrozen.frozen.parameters())
    assert sum(each.grad is not None for each in weights) > 10
    assert all(each.grad is None for each in micro.frozen.parameters())


def test_a_quick_look_has_every_kind_of_work_and_says_what_the_suite_saves():
    result = saved_work.measure(quick=True, threads=torch.get_num_threads())
    assert [row["work"] for row in result["rows"]] == [
        saved_work.WEIGHTS, saved_work.TEXTS, saved_work.AT_ONCE, saved_work.LOOKS,
        saved_work.FEATURES,
    ]  # fmt: skip
    for row in result["rows"]:
        assert row["times"]["median"] == pytest.approx(
            row["seconds"][True]["median"] / row["seconds"][False]["median"]
        )
    lines = saved_work.render(result).splitlines()[4:]
    assert [line.rstrip(" |").rsplit(" ", 1)[1] for line in lines] == [
        "yes", "yes", "no", "yes", "no"
    ]  # fmt: skip
