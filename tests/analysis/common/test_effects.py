import math

import numpy as np
import pandas
import pytest
from scipy.stats import norm

from analysis.common import effects
from analysis.common.effects import APPEARS, CONTRARY, STILL_RISING, UNDECIDED, NotRun
from vpbench.common.errors import RecordError


def effect(measured, low=None, high=None, up=0.0, down=0.0, **rising):
    """Returns an effect, with an interval of one to each side unless told."""
    low, high = (measured - 1 if low is None else low), (measured + 1 if high is None else high)
    moves = {"up": up, "down": down, "rising": rising}
    return {"measured": measured, "low": low, "high": high} | moves


@pytest.mark.parametrize(
    ("low", "high", "up", "down", "expected"),
    [
        (0.1, 2, 0, 0, APPEARS),
        (-2, -0.1, 0, 0, CONTRARY),
        (-1, 1, 0, 0, UNDECIDED),
        (0, 0, 0, 0, UNDECIDED),
        (3e-14, 3e-14, 0, 0, UNDECIDED),  # what rounding leaves of 0
        (2, 3, 50, 1.9, APPEARS),  # what may raise it is not asked, and 0.1 is left
        (2, 3, 0, 2, STILL_RISING),
        (-3, -2, 1.9, 50, CONTRARY),
        (-3, -2, 2, 0, STILL_RISING),
        (-1, 1, 5, 5, UNDECIDED),  # whatever is trained
        (math.nan, math.nan, 0, 0, UNDECIDED),
    ],
)
def test_an_interval_decides_if_it_is_all_on_one_side_and_stays_there_after_more_training(
    low, high, up, down, expected
):
    assert effects.verdict(effect((low + high) / 2, low, high, up, down)) == expected


@pytest.mark.parametrize(
    ("measured", "at_least", "expected"),
    [(20, False, APPEARS), (23, False, APPEARS), (23.5, False, UNDECIDED), (24.5, False, CONTRARY),
     (16.5, False, UNDECIDED), (15, False, CONTRARY), (24.5, True, APPEARS), (15, True, CONTRARY)],
)  # fmt: skip
def test_a_size_is_the_published_one_give_or_take_the_tolerance(measured, at_least, expected):
    assert effects.size_verdict(effect(measured), 20, 3, at_least) == expected


@pytest.mark.parametrize(
    ("measured", "up", "down", "at_least", "expected"),
    [(20, 3, 3, False, APPEARS), (20, 3.5, 0, False, STILL_RISING),
     (20, 0, 3.5, False, STILL_RISING), (20, 99, 0, True, APPEARS),
     (15, 0.9, 9, False, CONTRARY), (15, 1, 0, False, STILL_RISING),
     (25, 9, 0.9, False, CONTRARY), (25, 0, 1, False, STILL_RISING)],
)  # fmt: skip
def test_a_size_must_stay_where_it_is_after_more_training(measured, up, down, at_least, expected):
    one = effect(measured, up=up, down=down)
    assert effects.size_verdict(one, 20, 3, at_least) == expected


def test_an_effect_is_read_from_the_one_row_that_fits():
    frame = pandas.DataFrame(
        {"task": ["a", "b", "b"], "gain": [1, 2, 3], "low": [0, 1, math.nan], "high": [4, 5, 6]}
    ).assign(
        up=0.5, down=[1, 2, 3], rising=["clip visual_prompt +, clip fine_tune -", "", math.nan]
    )
    columns = "gain", "low", "high"
    found = effects.effect_of(frame, columns, task="a")
    rising = {"clip visual_prompt": "+", "clip fine_tune": "-"}
    assert found == effect(1, 0, 4, 0.5, 1, **rising)
    assert effects.arms_text(found["rising"]) == frame.rising[0]
    with pytest.raises(NotRun, match="no row with task c, gain 1"):
        effects.effect_of(frame, columns, task="c", gain=1)
    with pytest.raises(NotRun, match="nothing measured with task b, gain 3"):
        effects.effect_of(frame, columns, task="b", gain=3)
    with pytest.raises(RecordError, match="2 rows with task b"):
        effects.effect_of(frame.assign(low=0), columns, task="b")
    assert len(effects.effects_of(frame.assign(low=0), columns)) == 3


def test_differences_and_means_hold_the_uncertainty_of_their_parts():
    ours, theirs = effect(10, 7, 14), effect(4, 1, 8)
    assert effects.minus(ours, theirs) == effect(6, 1, 6 + math.hypot(4, 3))
    assert effects.mean([effect(1), effect(3), effect(5), effect(7)]) == effect(4, 3.5, 4.5)
    flipped = effects.contrast([effect(2, 1, 5)], [-1])
    assert flipped == effect(-2, -5, -1)


def test_what_more_training_may_give_is_added_as_it_is_and_not_as_noise():
    parts = [effect(10, up=3, down=1, a="+"), effect(10, up=4, b="+"), effect(10, c="+")]
    found = effects.contrast(parts, [1, 0.5, 2])
    assert (found["up"], found["down"]) == (5, 1)  # as noise it would be 3.6
    assert found["rising"] == {"a": "+", "b": "+", "c": "+"}
    found = effects.minus(parts[0], parts[1])
    assert (found["up"], found["down"], found["rising"]) == (3, 5, {"a": "+", "b": "-"})
    both = effects.minus(parts[0], effect(1, up=2, a="+"))
    assert both["rising"] == {"a": "both"} == effects.negative(both)["rising"]
    assert effects.above(parts[0], -5) == parts[0] | {"measured": 15, "low": 14, "high": 16}


def test_after_more_training_another_effect_may_be_the_extreme_one():
    parts = [effect(1, 1, 1, up=5, a="+"), effect(3, 3, 3, up=9, down=4, b="both")]
    found = effects.smallest(parts)
    assert numbers(found) == (1, 1, 1)
    assert (found["up"], found["down"]) == (5, 2)  # to 6, below 12; to -1, below 1
    assert found["rising"] == {"a": "+", "b": "both"}
    found = effects.largest(parts)
    assert (found["up"], found["down"]) == (9, 2)  # to 12; to 1, where the first one is
    found = effects.best(parts)
    assert (found["measured"], found["up"], found["down"]) == (3, 9, 2)
    assert effects.best([effect(3), effect(1, up=5)])["up"] == 3  # overtakes it by 3


def numbers(found):
    """Returns measured, low and high of an effect."""
    return found["measured"], found["low"], found["high"]


def test_an_extreme_is_widened_for_the_number_it_was_chosen_from():
    parts = [effect(1, -1, 3), effect(2), effect(8, 7, 10)]
    stretch = norm.ppf(1 - 0.025 / 3) / norm.ppf(0.975)
    assert numbers(effects.smallest(parts)) == pytest.approx((1, 1 - 2 * stretch, 2 + stretch))
    assert numbers(effects.largest(parts)) == pytest.approx((8, 8 - stretch, 8 + 2 * stretch))
    assert numbers(effects.smallest(parts[:1])) == pytest.approx((1, -1, 3))


def test_a_trend_is_the_least_squares_slope_with_the_uncertainty_of_its_points():
    x, y = [0.0, 1.0, 3.0], [1.0, 5.0, 6.0]
    slope = effects.trend([effect(value) for value in y], x)
    assert slope["measured"] == pytest.approx(np.polyfit(x, y, 1)[0])
    away = np.array(x) - np.mean(x)
    half = 1 / math.sqrt(away @ away)  # the standard error of a slope whose points have 1
    assert (slope["low"], slope["high"]) == pytest.approx(
        (slope["measured"] - half, slope["measured"] + half)
    )


def test_effects_are_written_with_true_minus_signs():
    assert effects.shown(effect(-1.25, -2000, 3), 1) == "−1.2 (−2,000.0 to 3.0)"
    assert effects.number(math.nan, 1) == ""
