"""Convergence on made-up records: what the last doubling gained is known, and so what follows."""

import numpy as np
import pytest

from analysis.common import convergence, correlation, effects
from analysis.common.convergence import (
    CONVERGED,
    FINISHED,
    GROUP,
    NONE,
    OVERFITS,
    OWN,
    RISING,
    UNKNOWN,
    Growth,
)
from tests.helpers.fake_lengths import EPOCHS, doubled, run, upper
from vpbench.common.errors import RecordError


def growth(records, of=0):
    """Returns the growth of one of the records."""
    return convergence.grants(records)[convergence.arm_of(records[of])]


def effect(value, grant=0.0):
    """Returns an effect that one arm may still raise."""
    numbers = dict.fromkeys(("measured", "low", "high"), value)
    return numbers | convergence.granted(Growth(RISING, high=grant / 2), "clip visual_prompt", 0)


@pytest.mark.parametrize(
    ("gain", "state"), [(10, RISING), (0.8, RISING), (0.1, CONVERGED), (0, CONVERGED),
                        (-0.1, CONVERGED), (-5, OVERFITS)],
)  # fmt: skip
def test_the_upper_end_of_the_last_doublings_gain_says_whether_an_arm_is_converged(
    tmp_path, gain, state
):
    found = growth(doubled(tmp_path, 60, gain))
    assert (found.state, found.partner, found.seeds, found.images) == (state, OWN, 1, 2000)
    assert found.gain == pytest.approx(gain)
    assert found.high == pytest.approx(upper(gain), abs=0.1)  # 0.8 could be 1.2, which is too much


def test_few_images_leave_an_arm_rising_though_it_gained_nothing(tmp_path):
    longer = np.repeat([True, False, True, False], [10, 10, 40, 40])  # as many won as lost
    shorter = np.repeat([False, True, True, False], [10, 10, 40, 40])
    made = [run(tmp_path, 60, longer), run(tmp_path, 50, shorter, epochs=4, variant="half")]
    found = growth(made)
    assert (found.gain, found.state) == (0, RISING)
    assert found.high == pytest.approx(196 * np.sqrt(0.2 / 100), abs=1.1)  # points


def test_what_an_arm_may_still_gain_is_twice_the_upper_end_and_at_most_all_that_is_left(tmp_path):
    rising = growth(doubled(tmp_path, 60, 10))
    assert rising.grant(60) == pytest.approx(2 * upper(10), abs=0.3)
    assert rising.grant(95) == 5
    assert [Growth(UNKNOWN).grant(accuracy) for accuracy in (0, 60, 100)] == [100, 40, 0]
    for state in (FINISHED, CONVERGED, OVERFITS):
        assert Growth(state, high=0.9).grant(60) == 0


def test_without_a_partner_convergence_is_unknown_but_of_what_is_not_trained_by_steps(tmp_path):
    made = [
        run(tmp_path, 60, 60, method=method)
        for method in ("visual_prompt", "fine_tune", "text_prompt", "linear_probe")
    ]
    found = convergence.grants(made)
    states = [found[convergence.arm_of(one)].state for one in made]
    assert states == [UNKNOWN, UNKNOWN, FINISHED, FINISHED]
    fine_tuned = doubled(tmp_path, 80, 0, method="fine_tune")
    assert growth([*made[:1], *made[2:], *fine_tuned], -2).state == CONVERGED


@pytest.mark.parametrize(
    "other", [{"epochs": 3}, {"epochs": 8}, {"lr": 20}, {"template": "padding"},
              {"backbone": "rn50_micro"}, {"method": "fine_tune"}, {"task": "dtd_twin"}],
)  # fmt: skip
def test_only_the_same_run_at_half_of_its_epochs_is_a_partner(tmp_path, other):
    made = [
        run(tmp_path, 60, 60),
        run(tmp_path, 50, 50, **{"epochs": 4, "variant": "half"} | other),
    ]
    assert growth(made).state == UNKNOWN
    assert convergence.arms(made) == made


def test_records_that_do_not_say_what_they_answered_on_validation_leave_it_unknown(tmp_path):
    for validation in ((None, 60), (60, None)):
        made = [run(tmp_path, 60, validation[0]),
                run(tmp_path, 50, validation[1], epochs=4, variant="half")]  # fmt: skip
        assert growth(made).state == UNKNOWN
        assert convergence.arms(made) == made[:1]


def test_the_seeds_that_both_lengths_have_are_compared(tmp_path):
    made = [
        *doubled(tmp_path, 60, 10, seed=0),
        *doubled(tmp_path, 60, 0, seed=1),
        run(tmp_path, 60, 99, seed=2),
    ]
    found = growth(made)
    assert (found.gain, found.seeds) == (pytest.approx(5), 2)
    assert found.high < 5 + 196 * 0.5 * np.sqrt(0.1 * 0.9 / 2000) + 0.1  # half a point per image


def test_a_task_without_a_partner_takes_the_largest_upper_end_of_its_group(tmp_path):
    made = [
        run(tmp_path, 60, 60, task="dtd_twin"),
        *doubled(tmp_path, 60, 0, task="svhn_twin"),
        *doubled(tmp_path, 60, 4, task="clevr_twin"),
        *doubled(tmp_path, 60, 9, task="eurosat_twin", lr=20),  # another recipe
        *doubled(tmp_path, 60, 9, task="sun397_twin", epochs=2 * EPOCHS),  # another length
        *doubled(tmp_path, 60, 9, task="food101_twin", backbone="rn50_micro"),
    ]
    found = growth(made)
    assert (found.state, found.partner) == (RISING, GROUP)
    assert found.gain == pytest.approx(4)
    assert growth(made, 1).state == CONVERGED and growth(made, 1).partner == OWN
    alone = growth(made[:1] + made[5:])
    assert (alone.state, alone.partner) == (UNKNOWN, NONE)


def test_partners_are_no_arms_also_where_an_arm_is_not_there(tmp_path):
    made = doubled(tmp_path, 60, 4) + doubled(tmp_path, 70, 4, task="dtd_twin")
    plain = run(tmp_path, 20, method="text_prompt")
    assert convergence.arms([*made, plain]) == [made[0], made[2], plain]
    assert convergence.arms(made[:2] + made[3:]) == made[:1]  # the arm of DTD is lost
    quarter = run(tmp_path, 40, 40, epochs=2, variant="quarter")
    assert convergence.arms([*made, quarter]) == [made[0], made[2]]
    twice = run(tmp_path, 80, 80, epochs=2 * EPOCHS, variant="long")
    assert convergence.arms([made[0], made[2], twice]) == [made[2], twice]  # no recipe is lost


def test_partners_on_other_validation_images_are_refused(tmp_path):
    made = [run(tmp_path, 60, 60), run(tmp_path, 50, 50, epochs=4, variant="half", images=1999)]
    with pytest.raises(RecordError, match=r"seed 0\) and .* validation images differ; run both"):
        growth(made)


def test_a_correlation_that_one_arm_can_undo_is_not_safe():
    x = np.array([5.0, 4, 3, 2, 1])
    parts = [effect(value) for value in x[:4]] + [effect(1.0, grant=10)]
    found = convergence.corners(correlation.spearman, parts, x, x)
    # It becomes the first of five: 1 - 6 (4 x 1^2 + 4^2) / (5 (5^2 - 1))
    assert found == {"up": 0, "down": pytest.approx(1), "rising": {"clip visual_prompt": "-"}}
    parts[4] = effect(1.0, grant=0.9)  # which leaves the ranks as they are
    found = convergence.corners(correlation.spearman, parts, x, x)
    assert found == {"up": 0, "down": 0, "rising": {}}


def test_two_arms_may_do_together_what_neither_does_alone():
    x, gains = np.array([1.0, 2, 3, 4]), np.array([1.0, 1.5, 6, 6.5])
    alone = [
        convergence.corners(
            correlation.pearson,
            [effect(gain, grant=9 if place in raised else 0) for place, gain in enumerate(gains)],
            *(gains, x),
        )["down"]
        for raised in ([0], [1], [0, 1])
    ]  # fmt: skip
    expected = [
        np.corrcoef(gains, x)[0, 1] - np.corrcoef(gains + 9 * np.isin(range(4), raised), x)[0, 1]
        for raised in ([0], [1], [0, 1])
    ]
    assert alone == pytest.approx(expected) and alone[2] > max(alone[:2])


def test_of_too_many_arms_a_correlation_may_become_anything():
    x = np.arange(convergence.CORNERS + 1.0)
    parts = [effect(value, grant=1) for value in x]
    found = convergence.corners(correlation.spearman, parts, x, x)
    assert (found["up"], found["down"]) == (pytest.approx(0), pytest.approx(2))
    undefined = convergence.corners(correlation.spearman, parts, x, 0 * x)
    assert undefined == {"up": 0, "down": 0, "rising": {}} == effects.moved([], [])
