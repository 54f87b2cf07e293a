import numpy as np
import pytest
from scipy.stats import bootstrap

from analysis.common import paired
from analysis.common.seed_variance import Part
from tests.helpers.fake_records import record
from tests.helpers.fake_sides import beside
from vpbench.common import atomic_files
from vpbench.common.errors import RecordError
from vpbench.records.paths import record_path


def a_pair(folder, ours, theirs, **changes):
    """Returns the records of a visual prompt and a linear probe with these right answers."""
    return (
        beside(record("svhn_twin", "clip_micro", "visual_prompt", 50.0), folder, ours),
        beside(record("svhn_twin", "clip_micro", "linear_probe", 50.0, **changes), folder, theirs),
    )


def test_mcnemar_is_the_exact_binomial_test_of_the_discordant_images():
    a = np.array([True] * 8 + [False] * 2 + [True] * 50)
    b = np.array([False] * 8 + [True] * 2 + [True] * 50)
    by_hand = 2 * (1 + 10 + 45) / 2**10  # 2 P(at most 2 of 10)
    assert paired.mcnemar(a, b) == pytest.approx(by_hand)
    assert paired.mcnemar(b, a) == pytest.approx(by_hand)


def test_mcnemar_of_two_methods_that_agree_is_one():
    a = np.array([True, False, True])
    assert paired.mcnemar(a, a) == 1.0
    assert paired.mcnemar(a, ~a) == 1.0  # two against one: nothing


def test_mcnemar_of_several_seeds_is_the_weakest_of_them():
    a = np.array([[True] * 10, [True] * 4 + [False] * 6])
    b = np.zeros((2, 10), bool)
    assert paired.mcnemar(a[0], b[0]) == pytest.approx(2 / 2**10)
    assert paired.mcnemar(a, b) == paired.mcnemar(a[1], b[1]) == pytest.approx(2 / 2**4)
    other = np.zeros((3, 10), bool)
    other[1, :5] = True  # right of five; of all pairs a[1] is the least unlike it
    assert paired.mcnemar(a, other) == paired.mcnemar(a[1], other[1]) == 1.0


def test_a_difference_is_in_points_and_its_interval_is_scipys():
    generator = np.random.default_rng(0)
    a, b = generator.random(400) < 0.7, generator.random(400) < 0.6
    difference, low, high = paired.difference([(a, b)], samples=20_000)
    assert difference == pytest.approx(100 * (a.mean() - b.mean()))
    theirs = bootstrap(
        (100.0 * a - 100.0 * b,), np.mean, n_resamples=20_000, method="percentile", rng=1
    ).confidence_interval
    assert (low, high) == pytest.approx(tuple(theirs), abs=0.3)


def test_the_interval_is_that_of_pairs_not_of_two_samples():
    a = np.arange(1000) < 600
    b = np.arange(1000) < 590  # right where a is, but for ten images
    difference, low, high = paired.difference([(a, b)])
    assert difference == pytest.approx(1.0)
    half = 1.96 * 100 * np.sqrt(0.01 * 0.99 / 1000)  # 0.62; of two samples it would be 4.3
    assert (low, high) == pytest.approx((1 - half, 1 + half), abs=0.15)


def test_a_difference_over_tasks_is_their_mean_however_many_images_they_have():
    better = np.ones(10, bool), np.zeros(10, bool)
    equal = np.ones(1000, bool), np.ones(1000, bool)
    assert paired.difference([better, equal]) == (50.0, 50.0, 50.0)


def test_each_task_is_drawn_on_its_own():
    a = np.arange(100) % 2 == 0
    b = np.zeros(100, bool)
    alone = np.diff(paired.difference([(a, b)], samples=20_000)[1:])
    both = np.diff(paired.difference([(a, b), (a, b)], samples=20_000)[1:])
    assert both / alone == pytest.approx(1 / np.sqrt(2), abs=0.05)


def test_several_seeds_count_each_image_once():
    a = np.array([[True, True], [False, True]])
    b = np.array([[False, True], [False, True]])
    assert paired.difference([(a, b)])[0] == pytest.approx(25.0)
    long = np.tile(np.arange(200) % 2 == 0, (3, 1))  # three equal seeds are no more images
    zero = np.zeros_like(long)
    several = paired.difference([(long, zero)])
    assert several == pytest.approx(paired.difference([(long[0], zero[0])]))


def test_a_difference_is_the_same_for_the_same_seed():
    generator = np.random.default_rng(0)
    pair = generator.random(1000) < 0.5, generator.random(1000) < 0.5
    assert paired.difference([pair], 50, seed=3) == paired.difference([pair], 50, seed=3)
    assert paired.difference([pair], 50, seed=3) != paired.difference([pair], 50, seed=4)


def test_a_difference_is_widened_by_the_square_of_what_other_seeds_change():
    a, b = np.arange(1000) < 600, np.arange(1000) < 590
    _, low, high = paired.difference([(a, b)])
    wide = paired.difference([(a, b)], other_seeds=Part(2.0, "own"))
    halves = np.hypot(1 - low, 2), np.hypot(high - 1, 2)
    assert wide == pytest.approx((1.0, 1 - halves[0], 1 + halves[1]))


def test_a_difference_of_nothing_is_refused():
    with pytest.raises(RecordError, match="at least one task"):
        paired.difference([])


def test_correct_and_matched_read_the_predictions(tmp_path):
    ours, theirs = [True, False, True], [False, False, True]
    a, b = a_pair(tmp_path, ours, theirs)
    ids, right = paired.correct(a)
    assert list(ids) == ["test/0", "test/1", "test/2"] and list(right) == ours
    assert [list(side) for side in paired.matched(a, b)] == [ours, theirs]


def test_other_test_images_or_another_task_are_refused(tmp_path):
    a, b = a_pair(tmp_path, [True, False], [True, False, True])
    with pytest.raises(RecordError, match="the ids of their test images differ"):
        paired.matched(a, b)
    other = beside(record("dtd_twin", "clip_micro", "linear_probe", 50.0), tmp_path, [True, False])
    with pytest.raises(RecordError, match="two tasks"):
        paired.matched(a, other)
    path = record_path(b["spec"], tmp_path).with_suffix(".predictions.npz")
    ids = {"id": ["test/0", "test/1"], "label": [1, 0], "prediction": [1, 0]}
    atomic_files.write_arrays(path, ids)
    with pytest.raises(RecordError, match="the labels of their test images differ"):
        paired.matched(a, b)


def test_images_are_matched_and_seeds_are_not_whatever_their_numbers(tmp_path):
    def run(method, seed, right):
        made = record("svhn_twin", "clip_micro", method, 50.0, seed=seed)
        return beside(made, tmp_path, right)

    prompted = [run("visual_prompt", seed, [seed == 0, True]) for seed in (1, 0)]
    tuned = [run("fine_tune", seed, [seed == 7, False]) for seed in (5, 6, 7)]
    a, b = paired.matched_runs(prompted, tuned)
    assert a.tolist() == [[False, True], [True, True]]
    assert b.tolist() == [[False, False], [False, False], [True, False]]
    assert paired.difference([(a, b)])[0] == pytest.approx(75 - 100 / 6)
    with pytest.raises(RecordError, match="the ids of their test images differ"):
        paired.matched_runs(prompted, [*tuned, run("fine_tune", 8, [True])])
    with pytest.raises(RecordError, match="the ids of their test images differ"):
        paired.matched_runs([*prompted, run("visual_prompt", 8, [True])], tuned)


def test_without_predictions_the_record_is_named(tmp_path):
    made = record("svhn_twin", "clip_micro", "visual_prompt", 50.0)
    made |= {"file": str(tmp_path / "seed0.json")}
    with pytest.raises(RecordError, match="seed0.predictions.npz is missing"):
        paired.correct(made)
