from collections import Counter

import pytest

from vpbench.data.subsets import balanced

SORTED = [0] * 50 + [1] * 30 + [2] * 3  # as the split files list them: class by class


@pytest.mark.parametrize("count", [None, 83, 1000])
def test_no_count_or_more_than_there_are_means_all(count):
    assert balanced(SORTED, count) == list(range(83))


def test_a_part_has_every_class_in_equal_shares_as_long_as_it_lasts():
    kept = balanced(SORTED, 13)
    assert Counter(SORTED[i] for i in kept) == {0: 5, 1: 5, 2: 3}
    assert kept == sorted(set(kept))


def test_the_seed_alone_says_which_images():
    assert balanced(SORTED, 9, seed=1) == balanced(SORTED, 9, seed=1) != balanced(SORTED, 9, seed=2)


def test_a_larger_part_contains_the_smaller_one():
    assert set(balanced(SORTED, 9)) < set(balanced(SORTED, 20))
