"""Accuracies of exactly 0 and 100, of one image and of 85,054."""

import math

import numpy as np
import pytest
from matplotlib import pyplot

from analysis.common import style
from analysis.figures import cost, figure3, figure4
from tests.helpers.analyses import PAPER
from tests.helpers.fake_records import grid
from vpbench.common import intervals

COUNTS = (*range(1, 400), 999, 1000, 3669, 10_000, 42_791, 85_054)


@pytest.mark.parametrize("percent", [0.0, 100.0])
def test_an_interval_ends_exactly_at_an_accuracy_of_none_and_all(percent):
    for count in COUNTS:
        low, high = intervals.wilson(percent, count)
        assert (low if percent == 0 else high) == percent
        reach = (
            100 * intervals.NORMAL**2 / (count + intervals.NORMAL**2)
        )  # Wilson's other limit, by hand
        assert high - low == pytest.approx(reach, rel=1e-9)


def test_an_accuracy_lies_in_its_own_interval():
    for count in COUNTS:
        for right in {0, 1, count // 3, count - 1, count}:
            percent = 100 * right / count
            low, high = intervals.wilson(percent, count)
            assert 0 <= low <= percent <= high <= 100


def test_whiskers_reach_from_the_value_to_the_limits_and_never_back():
    np.testing.assert_array_equal(style.whiskers(50, 40, 65), [[10], [15]])
    np.testing.assert_array_equal(
        style.whiskers([0.0, 100.0, 50.0], [1e-17, 99.0, 51.0], [1.0, 100 - 1e-14, 60.0]),
        [[0, 1, 0], [1, 0, 10]],
    )
    assert np.isnan(style.whiskers(math.nan, math.nan, math.nan)).all()


@pytest.mark.parametrize("percent", [0.0, 100.0])
def test_figures_of_averages_are_drawn_where_every_accuracy_is_none_or_all(percent):
    made = grid(lambda *cell: percent)
    for one in made:
        one["task"]["sizes"]["test"] = 8_100
    for figure in (
        figure3.draw(figure3.averages(made), PAPER),
        figure4.draw(figure4.gains(made), PAPER),
        cost.draw(cost.costs(made), PAPER, []),
    ):
        figure.canvas.draw()
    pyplot.close("all")
