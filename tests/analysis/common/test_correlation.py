import math

import numpy as np
import pytest
from scipy import stats

from analysis.common import correlation


def made_up(seed=0, count=12):
    """Returns three columns that hang together, the first with a tie."""
    generator = np.random.default_rng(seed)
    given = generator.normal(size=count)
    x = given + generator.normal(size=count)
    y = x - given + generator.normal(size=count)
    x[1] = x[0]
    return x, y, given


@pytest.mark.parametrize("seed", range(3))
def test_coefficients_and_p_values_are_scipys(seed):
    x, y, _ = made_up(seed)
    for ours, theirs in (
        (correlation.pearson, stats.pearsonr),
        (correlation.spearman, stats.spearmanr),
    ):
        value, expected = ours(x, y), theirs(x, y)
        assert value == pytest.approx(expected.statistic)
        assert correlation.p_value(value, len(x)) == pytest.approx(expected.pvalue)


def test_ranks_are_scipys():
    for values in ([3.0, 1, 3, 2, 3, 1], np.zeros(4), made_up()[0]):
        assert list(correlation.ranks(values)) == list(stats.rankdata(values))


def test_a_partial_correlation_computed_by_hand():
    # Of centred columns: x y = 8, x given = 8, y given = 3, and the square of each is 10.
    x, y, given = [1, 2, 3, 4, 5], [2, 1, 4, 3, 5], [1, 3, 2, 5, 4]
    assert correlation.pearson(x, y) == pytest.approx(0.8)
    assert correlation.pearson(x, given) == pytest.approx(0.8)
    assert correlation.pearson(y, given) == pytest.approx(0.3)
    expected = (0.8 - 0.8 * 0.3) / math.sqrt((1 - 0.64) * (1 - 0.09))
    assert correlation.partial(x, y, given) == pytest.approx(expected)
    assert correlation.partial_spearman(x, y, given) == pytest.approx(expected)  # they are ranks


def test_a_partial_correlation_is_that_of_the_residuals():
    x, y, given = made_up()
    residuals = [values - np.polyval(np.polyfit(given, values, 1), given) for values in (x, y)]
    expected = stats.pearsonr(*residuals).statistic
    value = correlation.partial(x, y, given)
    assert value == pytest.approx(expected)
    t = value * math.sqrt(9 / (1 - value**2))
    assert correlation.p_value(value, 12, given=1) == pytest.approx(2 * stats.t.sf(abs(t), 9))


def test_a_bound_alone_leaves_no_partial_correlation():
    given = np.linspace(5, 95, 12)
    gain = 100 - given  # all headroom is used, whatever the distance
    assert correlation.pearson(gain, given) == pytest.approx(-1)
    assert math.isnan(correlation.partial(gain, made_up()[0], given))


@pytest.mark.parametrize("name", ["pearson", "spearman", "partial", "partial_spearman"])
def test_many_samples_have_the_coefficients_that_each_has_alone(name):
    count = 3 if name.startswith("partial") else 2
    samples = [made_up(seed)[:count] for seed in range(4)] + [[np.ones(12)] * count]
    coefficient = getattr(correlation, name)
    together = coefficient(*np.array(samples).swapaxes(0, 1))
    assert list(together[:4]) == [coefficient(*columns) for columns in samples[:4]]
    assert math.isnan(together[4])


def test_the_interval_is_the_bootstraps_of_scipy():
    x, y, _ = made_up()
    value, low, high = correlation.bootstrap(correlation.pearson, x, y, samples=20_000)
    expected = stats.bootstrap(
        (x, y), lambda x, y: stats.pearsonr(x, y).statistic, paired=True, vectorized=False,
        n_resamples=5000, method="percentile", rng=np.random.default_rng(1),
    ).confidence_interval  # fmt: skip
    assert value == correlation.pearson(x, y) and low < value < high
    assert (low, high) == pytest.approx((expected.low, expected.high), abs=0.03)


def test_the_interval_is_seeded_and_follows_what_is_given():
    x, y, given = made_up()
    once, again, other = (
        correlation.bootstrap(correlation.partial, x, y, 300, seed, given) for seed in (0, 0, 1)
    )
    assert once == again and once != other
    assert once[0] == other[0] == correlation.partial(x, y, given)


def test_samples_of_one_thing_are_left_out_of_the_interval():
    x, y = [0, 1, 1, 1], [0, 1, 1, 1]  # one sample in three lacks the first thing or the others
    assert correlation.bootstrap(correlation.pearson, x, y) == pytest.approx((1, 1, 1))


def test_constant_properties_have_no_correlation():
    value = correlation.bootstrap(correlation.spearman, [1, 1, 1, 1], [1, 2, 3, 4], 10)
    assert all(map(math.isnan, value))
    assert math.isnan(correlation.p_value(value[0], 4))
    assert math.isnan(correlation.pearson([1, 1, 1], [1, 2, 3]))
    assert correlation.p_value(-1.0, 4) == 0
