import math

import numpy as np
import pandas
import pytest
from scipy.stats import norm

from analysis.common import effects
from analysis.common.effects import APPEARS, CONTRARY, UNDECIDED, NotRun
from vpbench.common.errors import RecordError


def effect(measured, low=None, high=None):
    """Returns an effect, with an interval of one to each side unless told."""
    low, high = (measured - 1 if low is None else low), (measured + 1 if high is None else high)
    return {"measured": measured, "low": low, "high": high}


@pytest.mark.parametrize(
    ("low", "high", "side", "limit", "expected"),
    [
        (0.1, 2, "above", 0, APPEARS),
        (-2, -0.1, "above", 0, CONTRARY),
        (-1, 1, "above", 0, UNDECIDED),
        (0, 0, "above", 0, UNDECIDED),
        (3e-14, 3e-14, "above", 0, UNDECIDED),  # what rounding leaves of 0
        (-3e-14, -3e-14, "below", 0, UNDECIDED),
        (-4, -1, "above", -5, APPEARS),
        (-9, -6, "above", -5, CONTRARY),
        (-2, -0.1, "below", 0, APPEARS),
        (0.1, 2, "below", 0, CONTRARY),
        (0.2, 0.8, "below", 1, APPEARS),
        (0.5, 1.5, "below", 1, UNDECIDED),
    ],
)
def test_an_interval_decides_only_if_it_is_all_on_one_side(low, high, side, limit, expected):
    assert effects.verdict(effect((low + high) / 2, low, high), side, limit) == expected


@pytest.mark.parametrize(
    ("measured", "at_least", "expected"),
    [(20, False, APPEARS), (23, False, APPEARS), (23.5, False, UNDECIDED), (24.5, False, CONTRARY),
     (16.5, False, UNDECIDED), (15, False, CONTRARY), (24.5, True, APPEARS), (15, True, CONTRARY)],
)  # fmt: skip
def test_a_size_is_the_published_one_give_or_take_the_tolerance(measured, at_least, expected):
    assert effects.size_verdict(effect(measured), 20, 3, at_least) == expected


def test_an_effect_is_read_from_the_one_row_that_fits():
    frame = pandas.DataFrame(
        {"task": ["a", "b", "b"], "gain": [1, 2, 3], "low": [0, 1, math.nan], "high": [4, 5, 6]}
    )
    columns = "gain", "low", "high"
    assert effects.effect_of(frame, columns, task="a") == effect(1, 0, 4)
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


def test_an_extreme_is_widened_for_the_number_it_was_chosen_from():
    parts = [effect(1, -1, 3), effect(2), effect(8, 7, 10)]
    stretch = norm.ppf(1 - 0.025 / 3) / norm.ppf(0.975)
    smallest = effects.smallest(parts)
    assert smallest == pytest.approx(effect(1, 1 - 2 * stretch, 2 + stretch))
    assert effects.largest(parts) == pytest.approx(effect(8, 8 - stretch, 8 + 2 * stretch))
    assert effects.smallest(parts[:1]) == pytest.approx(parts[0])


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
