"""Mean ranks, Friedman's test and Nemenyi's difference against numbers of the literature."""

import math

import numpy as np
import pytest
from scipy import stats

from analysis.common import ranking

# Methods in columns, tasks in rows
SCORES = np.array([[90.0, 80.0, 70.0], [50.0, 60.0, 40.0], [30.0, 20.0, 20.0]])


def test_the_best_method_of_a_task_has_rank_one_and_ties_share_theirs():
    # Ranks 1 2 3, 2 1 3 and 1 2.5 2.5
    assert ranking.mean_ranks(SCORES) == pytest.approx([4 / 3, 5.5 / 3, 8.5 / 3])


def test_equal_shares_of_the_images_tie_whatever_their_last_bits():
    assert list(ranking.mean_ranks(np.array([[41.33333206, 41.3333333, 10.0]]))) == [1.5, 1.5, 3]


def test_friedmans_statistic_is_that_of_its_formula():
    scores = np.array([[4.0, 3.0, 1.0], [5.0, 1.0, 3.0], [9.0, 8.0, 7.0], [6.0, 5.0, 4.0]])
    ranks = np.array([1.0, 9 / 4, 11 / 4])  # of 1 2 3, 1 3 2, 1 2 3 and 1 2 3
    assert ranking.mean_ranks(scores) == pytest.approx(ranks)
    statistic = 12 * 4 / (3 * 4) * (np.sum(ranks**2) - 3 * 4**2 / 4)
    assert ranking.friedman(scores) == pytest.approx(stats.chi2.sf(statistic, 2))


def test_methods_that_never_differ_are_not_told_apart_and_two_are_too_few():
    assert ranking.friedman(np.full((4, 3), 50.0)) == 1
    assert math.isnan(ranking.friedman(SCORES[:, :2]))


@pytest.mark.parametrize(
    ("methods", "quantile"), [(2, 1.960), (3, 2.343), (4, 2.569), (5, 2.728), (10, 3.164)]
)
def test_the_critical_values_are_those_of_demsars_table(methods, quantile):
    found = ranking.critical_difference(methods, 10)
    expected = quantile * math.sqrt(methods * (methods + 1) / 60)
    assert found == pytest.approx(expected, rel=5e-4)


def test_the_example_of_four_methods_on_fourteen_tasks_has_a_difference_of_125():
    assert ranking.critical_difference(4, 14) == pytest.approx(1.25, abs=0.005)
    assert math.isnan(ranking.critical_difference(1, 14))


def test_groups_are_the_largest_whose_best_and_worst_are_not_told_apart():
    assert ranking.alike([1.0, 1.5, 3.0, 4.0], 2.0) == [(1.0, 1.5), (1.5, 3.0), (3.0, 4.0)]
    assert ranking.alike([3.0, 1.0, 2.0], 5.0) == [(1.0, 3.0)]
    assert ranking.alike([1.0, 3.0], 1.0) == []
