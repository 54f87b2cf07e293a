import pytest
import torch

from vpbench.spec.schedules import FALLS, learning_rate, steps_of_epoch, warm_up_length
from vpbench.spec.settings import SCHEDULES

STEPS = 196 * 1000  # CIFAR100 in the official recipe: 50,000 images, batches of 256, 1000 epochs


@pytest.mark.parametrize(
    ("step", "lr"),
    [
        (0, 0.04),  # 40 * 1 / 1000
        (499, 20.0),
        (999, 40.0),
        (1000, 40.0),
        (1000 + 195_000 // 3, 30.0),  # (1 + cos(60 degrees)) / 2 = 3 / 4
        (1000 + 195_000 // 2, 20.0),
    ],
)
def test_the_official_schedule_has_its_known_values(step, lr):
    assert learning_rate(step, STEPS, 40, 1000, "cosine") == pytest.approx(lr)


def test_the_official_schedule_ends_near_zero():
    assert 0 < learning_rate(STEPS - 1, STEPS, 40, 1000, "cosine") < 1e-8


def test_without_warm_up_it_is_the_cosine_of_torch():
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=40)
    reference = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, T_max=20)
    for step in range(20):
        rate = learning_rate(step, 20, 40, 0, "cosine")
        assert rate == pytest.approx(reference.get_last_lr()[0])
        optimiser.step()
        reference.step()


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_warm_up_that_fills_the_training_never_comes_down(schedule):
    rates = [learning_rate(step, 4, 8, 4, schedule) for step in range(4)]
    assert rates == [2, 4, 6, 8]


@pytest.mark.parametrize(
    ("schedule", "rates"),
    [
        ("linear", [4, 8, 8, 6, 4, 2]),  # two steps up, then a quarter less with each of four
        ("constant", [4, 8, 8, 8, 8, 8]),
        ("multistep", [4, 8, 8, 8, 0.8, 0.08]),  # of the four left, the third and the fourth
        ("cosine", [4, 8, 8, 4 + 8**0.5, 4, 4 - 8**0.5]),  # cos(45 degrees) = sqrt(8) / 4
    ],
)
def test_after_the_warm_up_the_rate_falls_as_the_schedule_says(schedule, rates):
    found = [learning_rate(step, 6, 8, 2, schedule) for step in range(6)]
    assert found == pytest.approx(rates)


@pytest.mark.parametrize(
    ("t_max", "shares"),
    [("all", [1, 0.9045085, 0.6545085, 0.3454915]), ("rest", [1, 0.8535534, 0.5, 0.1464466])],
)
def test_after_one_of_five_epochs_the_cosine_counts_from_all_or_from_the_rest(t_max, shares):
    rates = [learning_rate(step, 5, 2, 1, "cosine", 0.5, t_max) for step in range(5)]
    assert rates == pytest.approx([0.5, *(2 * share for share in shares)])


@pytest.mark.parametrize(
    ("images", "drop_last", "expected"),
    [(10, None, 3), (10, False, 3), (10, True, 2), (8, True, 2), (3, True, 1), (1, True, 1)],
)
def test_an_epoch_of_batches_of_four_ends_with_a_whole_one_if_the_last_is_dropped(
    images, drop_last, expected
):
    settings = {"batch_size": 4} if drop_last is None else {"batch_size": 4, "drop_last": drop_last}
    assert steps_of_epoch(settings, images) == expected


def test_multistep_is_torch_s_with_steps_down_at_half_and_at_72_percent_of_200_epochs():
    optimiser = torch.optim.Adam([torch.nn.Parameter(torch.zeros(1))], lr=0.01)
    reference = torch.optim.lr_scheduler.MultiStepLR(optimiser, [100, 144], gamma=0.1)
    for epoch in range(200):
        for step in (0, 6):  # the first and the last of the 7 of an epoch
            rate = learning_rate(7 * epoch + step, 7 * 200, 0.01, 0, "multistep")
            assert rate == pytest.approx(reference.get_last_lr()[0], rel=1e-9)
        optimiser.step()
        reference.step()


def test_every_legal_schedule_is_there():
    assert set(FALLS) == set(SCHEDULES)


@pytest.mark.parametrize(
    ("share", "steps_given", "expected"),
    [(0.05, None, 8), (0.0, None, 0), (1.0, None, 160), (0.05, 3, 3), (0.05, 0, 0)],
)
def test_the_warm_up_is_a_share_of_160_steps_unless_steps_are_given(share, steps_given, expected):
    assert warm_up_length({"warm_up": share, "warm_up_steps": steps_given}, 160) == expected


def test_a_training_shorter_than_its_warm_up_never_reaches_the_rate():
    # open_clip's defaults on OxfordPets: 32 epochs of 46 batches, 10,000 steps of warm-up
    warm_up = warm_up_length({"warm_up": 0.0, "warm_up_steps": 10_000}, 1472)
    assert warm_up == 10_000
    assert learning_rate(1471, 1472, 5e-4, warm_up, "cosine") == pytest.approx(5e-4 * 0.1472)
