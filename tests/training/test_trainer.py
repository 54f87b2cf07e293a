import gc
from functools import reduce

import pytest
import torch
from torch import nn

from tests.helpers.tiny import numbered_task
from tests.helpers.toy_training import (
    SETTINGS,
    SIZES,
    FirstPixel,
    Through,
    learn,
    toy_trainer,
)
from vpbench.common.errors import UserError
from vpbench.spec.schedules import learning_rate
from vpbench.training.evaluate import Evaluation, evaluate_splits
from vpbench.training.selection import Selected, select


def kept(*accuracies):
    """Returns (epoch, state, evaluations) after each epoch, for (validation, test) accuracies."""
    return [
        Selected(
            epoch,
            {"state": torch.tensor(epoch)},
            {
                name: Evaluation(None, {"accuracy": value}, {})
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
    """Returns rule -> epoch."""
    return {rule: entry.epoch for rule, entry in selected(entries).items()}


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
    learner = learn().learner
    batches = [numbers for training, numbers in learner.seen if training]
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    orders = [sum(batches[start : start + 3], []) for start in (0, 3, 6)]
    assert all(sorted(order) == list(range(10)) for order in orders)
    assert orders[0] != orders[1] != orders[2]


def test_the_optimiser_follows_the_schedule_step_by_step():
    rates = learn().optimiser.rates
    assert rates == [learning_rate(step, 9, 0.5, 2, "linear") for step in range(9)]
    assert rates[:3] == [0.25, 0.5, 0.5]


def test_splits_are_looked_at_after_the_stated_epochs_and_always_after_the_last():
    trainer = learn(SETTINGS | {"eval_epochs": [1, 99]})
    learner, history = trainer.learner, trainer.progress.history
    assert [line["epoch"] for line in history] == [1, 2, 3]
    for split in ("validation", "test"):
        is_eval_epoch = [line[f"{split}_accuracy"] is not None for line in history]
        assert is_eval_epoch == [True, False, True]
    assert [len(numbers) for training, numbers in learner.seen if not training] == [6] * 4


def test_splits_may_be_looked_at_after_each_nth_epoch_and_are_after_the_last():
    history = learn(SETTINGS | {"eval_epochs": 2, "epochs": 5}).progress.history
    is_eval_epoch = [line["epoch"] for line in history if line["test_accuracy"] is not None]
    assert is_eval_epoch == [2, 4, 5]


def test_a_thousand_epochs_keep_three_evaluations():
    gc.collect()
    before = sum(type(each) is Evaluation for each in gc.get_objects())
    progress = learn(SETTINGS | {"eval_epochs": 1, "epochs": 50}).progress
    assert len(progress.history) == 50
    gc.collect()
    there = sum(type(each) is Evaluation for each in gc.get_objects())
    assert 2 <= there - before <= 6  # of two splits and at most three epochs


def test_the_history_has_the_mean_loss_and_the_accuracy_while_training():
    history = learn(SETTINGS | {"lr": 1e-9}).progress.history
    # Zero logits: the loss is ln 3, class 0 is said for all ten images, and four have it.
    assert history[0]["loss"] == pytest.approx(1.0986123, rel=1e-5)
    assert history[0]["train_accuracy"] <= 40


def test_a_selected_state_is_that_of_its_epoch():
    selection = learn(SETTINGS | {"eval_epochs": [1, 2, 3]}).progress.selection
    for epoch, state, evaluations in selection.values():
        again = FirstPixel()
        again.load_state_dict(state)
        found = evaluate_splits(again, numbered_task(SIZES))
        for name, evaluation in evaluations.items():
            assert torch.equal(found[name].logits, evaluation.logits), epoch


def test_an_earlier_state_is_not_overwritten_by_later_steps():
    trainer = learn(SETTINGS | {"lr": 3.0})
    states = {
        entry.epoch: entry.state["layer.weight"] for entry in trainer.progress.selection.values()
    }
    assert torch.equal(states[3], trainer.learner.layer.weight)
    first = learn(SETTINGS | {"epochs": 1, "warm_up_steps": 2}).progress.selection["last"]
    assert first.epoch == 1


def test_equal_seeds_learn_the_same_and_other_seeds_do_not():
    one, same, other = (learn(seed=seed).learner.layer.weight for seed in (0, 0, 1))
    assert torch.equal(one, same) and not torch.equal(one, other)


def test_a_task_without_validation_has_no_validation_anywhere():
    progress = learn(sizes={"train": 10, "test": 6}).progress
    assert {line["validation_accuracy"] for line in progress.history} == {None}
    assert set(progress.selection["best_validation"].evaluations) == {"test"}


def test_a_step_is_what_the_epochs_are_made_of():
    whole = learn(SETTINGS | {"epochs": 1})
    order = whole.learner.seen[:3]
    trainer = toy_trainer(FirstPixel(), SETTINGS | {"epochs": 1})
    train = numbered_task(SIZES).splits["train"]
    losses, correct = 0.0, 0
    for _, numbers in order:
        step = trainer.train_step(train.images[numbers], train.labels[numbers])
        losses += step.loss * len(numbers)
        correct += step.correct
        assert not step.stop and not step.due
    assert torch.equal(trainer.learner.layer.weight, whole.learner.layer.weight)
    assert trainer.optimiser.rates == whole.optimiser.rates
    line = whole.progress.history[0]
    assert (losses / 10, 10 * correct) == (line["loss"], line["train_accuracy"])


def test_a_trainer_goes_on_from_the_state_of_another():
    settings = SETTINGS | {"epochs": 2}
    whole = learn(settings)
    first, second = toy_trainer(FirstPixel(), settings), toy_trainer(FirstPixel(), settings, seed=9)
    first.train_epoch()
    second.load_state_dict(first.state_dict())
    progress = second.run()
    assert progress.history == whole.progress.history
    assert torch.equal(second.learner.layer.weight, whole.learner.layer.weight)


def broken_at(call):
    """Returns a learner whose logits are not numbers from the `call`th batch on."""
    module, calls = nn.Linear(1, 3), []

    def classifier(images):
        calls.append(1)
        return module(images[:, 0, 0, :1].float()) / (len(calls) < call)

    return Through(module, classifier)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (1, "toy: the training loss is nan after 0 of 9 steps; choose a smaller lr"),
        (4, "toy: the training loss is nan after 3 of 9 steps; choose a smaller lr"),
        (10, "toy: the validation loss is nan after 9 of 9 steps; choose a smaller lr"),
    ],
)
def test_a_loss_that_is_not_a_number_ends_the_training_with_one_line(call, words):
    with pytest.raises(UserError) as error:
        toy_trainer(broken_at(call), SETTINGS | {"eval_epochs": []}).run()
    assert str(error.value) == words
