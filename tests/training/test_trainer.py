import gc
from functools import reduce

import pytest
import torch
from torch import nn

from tests.helpers.tiny import numbered_task
from vpbench.spec.schedules import learning_rate
from vpbench.training.evaluate import Evaluation
from vpbench.training.selection import select
from vpbench.training.trainer import evaluate_splits, optimise

SIZES = {"train": 10, "validation": 6, "test": 6}
SETTINGS = {
    "epochs": 3,
    "batch_size": 4,
    "lr": 0.5,
    "schedule": "linear",
    "warm_up": 0.0,
    "warm_up_steps": 2,
    "eval_epochs": [1],
}


class Recorder(torch.optim.SGD):
    """Gradient descent that remembers the learning rate of each step."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=1.0)
        self.rates = []

    def step(self):
        """Takes a step."""
        self.rates.append(self.param_groups[0]["lr"])
        super().step()


class Learner:
    """A linear classifier of the first pixel that remembers which images it saw."""

    def __init__(self):
        self.module = nn.Linear(1, 3)
        nn.init.zeros_(self.module.weight)
        nn.init.zeros_(self.module.bias)
        self.seen = []  # (in training?, numbers of the images)

    def __call__(self, images):
        """Returns logits."""
        numbers = images[:, 0, 0, 0]
        self.seen.append((self.module.training, numbers.tolist()))
        return self.module(numbers[:, None] / 10)


def learn(settings=SETTINGS, sizes=SIZES, seed=0):
    """Returns (learner, optimiser, history, selection) of a short training."""
    learner = Learner()
    optimiser = Recorder(learner.module.parameters())
    generator = torch.Generator().manual_seed(seed)
    history, selection, _ = optimise(
        learner.module, learner, optimiser, numbered_task(sizes), settings, generator, "toy"
    )
    return learner, optimiser, history, selection


def kept(*accuracies):
    """Returns (epoch, state, evaluations) after each epoch, for (validation, test) accuracies."""
    return [
        (
            epoch,
            f"state {epoch}",
            {
                name: Evaluation(None, {"accuracy": value})
                for name, value in zip(("validation", "test"), pair, strict=True)
                if value is not None
            },
        )
        for epoch, pair in enumerate(accuracies, start=1)
    ]


def selected(entries):
    """Returns the selection after all `entries`."""
    return reduce(select, entries, {})


def epochs(entries):
    """Returns selection -> epoch."""
    return {name: entry[0] for name, entry in selected(entries).items()}


def test_the_selection_finds_the_last_the_best_validation_and_the_best_test_epoch():
    entries = kept((10, 70), (90, 20), (50, 30))
    assert epochs(entries) == {"last": 3, "best_validation": 2, "best_test": 1}
    assert selected(entries)["best_validation"] is entries[1]


def test_ties_go_to_the_earlier_epoch():
    found = epochs(kept((10, 10), (50, 30), (50, 30), (20, 30)))
    assert found == {"last": 4, "best_validation": 2, "best_test": 2}


def test_without_a_validation_split_the_last_epoch_stands_for_the_best_validation():
    found = epochs(kept((None, 70), (None, 60)))
    assert found == {"last": 2, "best_validation": 2, "best_test": 1}


def test_every_epoch_trains_on_every_image_once_in_another_order():
    learner = learn()[0]
    batches = [numbers for training, numbers in learner.seen if training]
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    orders = [sum(batches[start : start + 3], []) for start in (0, 3, 6)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_the_optimiser_follows_the_schedule_step_by_step():
    rates = learn()[1].rates
    assert rates == [learning_rate(step, 9, 0.5, 2, "linear") for step in range(9)]
    assert rates[:3] == [0.25, 0.5, 0.5]


def test_splits_are_looked_at_after_the_stated_epochs_and_always_after_the_last():
    learner, _, history, _ = learn(SETTINGS | {"eval_epochs": [1, 99]})
    assert [line["epoch"] for line in history] == [1, 2, 3]
    for split in ("validation", "test"):
        looked_at = [line[f"{split}_accuracy"] is not None for line in history]
        assert looked_at == [True, False, True]
    assert [len(numbers) for training, numbers in learner.seen if not training] == [6] * 4


def test_splits_may_be_looked_at_after_each_nth_epoch_and_are_after_the_last():
    history = learn(SETTINGS | {"eval_epochs": 2, "epochs": 5})[2]
    looked_at = [line["epoch"] for line in history if line["test_accuracy"] is not None]
    assert looked_at == [2, 4, 5]


def test_a_thousand_epochs_keep_three_evaluations():
    gc.collect()
    before = sum(type(each) is Evaluation for each in gc.get_objects())
    _, _, history, selection = learn(SETTINGS | {"eval_epochs": 1, "epochs": 50})
    assert len(history) == 50
    gc.collect()
    there = sum(type(each) is Evaluation for each in gc.get_objects())
    assert 2 <= there - before <= 6  # of two splits and at most three epochs


def test_the_history_has_the_mean_loss_and_the_accuracy_while_training():
    history = learn(SETTINGS | {"lr": 1e-9})[2]
    # Zero logits: the loss is ln 3, class 0 is said for all ten images, and four have it.
    assert history[0]["loss"] == pytest.approx(1.0986123, rel=1e-5)
    assert history[0]["train_accuracy"] <= 40


def test_a_selected_state_is_that_of_its_epoch():
    _, _, _, selection = learn(SETTINGS | {"eval_epochs": [1, 2, 3]})
    for epoch, state, evaluations in selection.values():
        again = Learner()
        again.module.load_state_dict(state)
        found = evaluate_splits(again, numbered_task(SIZES), 3)
        for name, evaluation in evaluations.items():
            assert torch.equal(found[name].logits, evaluation.logits), epoch


def test_an_earlier_state_is_not_overwritten_by_later_steps():
    learner, _, _, selection = learn(SETTINGS | {"lr": 3.0})
    states = {entry[0]: entry[1]["weight"] for entry in selection.values()}
    assert torch.equal(states[3], learner.module.weight)
    first = learn(SETTINGS | {"epochs": 1, "warm_up_steps": 2})[3]["last"]
    assert first[0] == 1


def test_equal_seeds_learn_the_same_and_other_seeds_do_not():
    one, same, other = (learn(seed=seed)[3]["last"][1]["weight"] for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_task_without_validation_has_no_validation_anywhere():
    _, _, history, selection = learn(sizes={"train": 10, "test": 6})
    assert {line["validation_accuracy"] for line in history} == {None}
    assert set(selection["best_validation"][2]) == {"test"}


def broken_at(call):
    """Returns (module, classifier) whose logits are not numbers from the `call`th batch on."""
    module, calls = nn.Linear(1, 3), []

    def classifier(images):
        calls.append(1)
        return module(images[:, 0, 0, :1].float()) / (len(calls) < call)

    return module, classifier


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (1, "toy: the training loss is nan after 0 of 9 steps; choose a smaller lr"),
        (4, "toy: the training loss is nan after 3 of 9 steps; choose a smaller lr"),
        (10, "toy: the validation loss is nan after 9 of 9 steps; choose a smaller lr"),
    ],
)
def test_a_loss_that_is_not_a_number_ends_the_training_with_one_line(call, words):
    module, classifier = broken_at(call)
    settings = SETTINGS | {"eval_epochs": []}
    with pytest.raises(ValueError) as error:
        optimise(
            module, classifier, Recorder(module.parameters()), numbered_task(SIZES), settings,
            torch.Generator(), "toy",
        )  # fmt: skip
    assert str(error.value) == words
