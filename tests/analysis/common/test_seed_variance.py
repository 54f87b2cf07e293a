"""Intervals hold the truth of made-up records as often as they say."""

import math
from collections import defaultdict

import numpy as np
import pytest
from scipy.stats import norm, sem, t, ttest_ind

from analysis.common import cells, seed_variance
from analysis.common.paired import difference
from analysis.common.seed_variance import Part, Pool
from tests.helpers.fake_records import SIZES, record

TRUTH = {  # accuracy (%) of each method on the twelve datasets
    "visual_prompt": (40, 50, 55, 60, 66, 70, 75, 80, 84, 88, 92, 96),
    "fine_tune": (70, 52, 48, 75, 68, 70, 83, 76, 88, 90, 93, 97),
    "linear_probe": (62, 55, 55, 70, 64, 72, 78, 82, 80, 90, 93, 94),
}
SPREAD = {  # standard deviation (points) between the seeds of each method on them
    "visual_prompt": (2.2, 1.5, 2.5, 1.2, 1.8, 2.0, 1.0, 1.4, 1.2, 1.0, 0.8, 0.8),
    "fine_tune": (1.0, 1.6, 1.4, 0.8, 1.2, 1.0, 0.6, 1.0, 0.8, 0.6, 0.6, 0.5),
    "linear_probe": (0,) * 12,
}
SEEDS = {"visual_prompt": (3,) * 12, "fine_tune": (3, 1, 1) * 4, "linear_probe": (1,) * 12}
IMAGES = 2000
SAMPLES = 400  # of a bootstrap


def made_up(generator):
    """Returns (method, task) -> correct [seeds, images] of one study of twelve datasets.

    An image is difficult for all runs of all methods, or for one run alone; another seed is right
    on more or on fewer of all possible images.
    """
    right = {}
    for place, task in enumerate(cells.tasks_of(shift=False)):
        difficult = generator.standard_normal(IMAGES)
        for method, shares in TRUTH.items():
            seeds = SEEDS[method][place]
            share = shares[place] + SPREAD[method][place] * generator.standard_normal(seeds)
            alone = generator.standard_normal((seeds, IMAGES))
            hard = math.sqrt(0.6) * difficult + math.sqrt(0.4) * alone
            right[method, task] = hard < norm.ppf(np.clip(share / 100, 0.001, 0.999))[:, None]
    return right


def records_of(correct, method, task):
    """Returns the records of the seeds that are so correct."""
    made = [
        record(f"{task}_twin", "clip_micro", method, 100 * right.mean(), seed)
        for seed, right in enumerate(correct)
    ]
    for one in made:
        one["task"]["sizes"]["test"] = IMAGES
    return made


def of_cells(study, groups, pools):
    """Yields (kind of interval, whether it holds the truth) of accuracies and their averages."""
    for method in ("visual_prompt", "fine_tune"):
        rows = [cells.cell(groups[method, task], pools) for task in cells.tasks_of(shift=False)]
        for row, seeds, truth in zip(rows, SEEDS[method], TRUTH[method]):
            yield "a cell" if seeds > 1 else "a cell of one seed", holds(row, truth)
        yield "an average", holds(cells.average(rows), np.mean(TRUTH[method]))


def of_differences(study, groups, pools):
    """Yields the same of differences on the same test images and their averages."""
    for rival in ("linear_probe", "fine_tune"):
        truths = np.subtract(TRUTH["visual_prompt"], TRUTH[rival])
        pairs, parts = [], []
        for task, truth in zip(cells.tasks_of(shift=False), truths):
            ours, theirs = ("visual_prompt", task), (rival, task)
            pairs.append((study[ours], study[theirs]))
            parts.append(seed_variance.of_difference(groups[ours], groups[theirs], pools))
            _, low, high = difference(pairs[-1:], SAMPLES, other_seeds=parts[-1])
            yield "a difference", low <= truth <= high
        part = seed_variance.together(parts, 1 / len(parts))
        _, low, high = difference(pairs, SAMPLES, other_seeds=part)
        yield "an average difference", low <= truths.mean() <= high


def holds(row, truth):
    """Returns whether an interval holds the truth."""
    return row["low"] <= truth <= row["high"]


def coverage(kind, studies, known=True, seed=0):
    """Returns kind of interval -> share of them that hold the truth, over so many studies.

    Without what is `known` of the seeds the intervals are those over the images.
    """
    generator, found = np.random.default_rng(seed), defaultdict(list)
    for _ in range(studies):
        study = made_up(generator)
        groups = {key: records_of(right, *key) for key, right in study.items()}
        pools = seed_variance.pools(groups.values()) if known else {}
        for name, held in kind(study, groups, pools):
            found[name].append(held)
    return {name: float(np.mean(held)) for name, held in found.items()}


def test_intervals_of_accuracies_hold_the_truth_and_those_over_images_alone_do_not():
    held, without = (coverage(of_cells, 30, known) for known in (True, False))
    assert set(held) == {"a cell", "a cell of one seed", "an average"}
    assert min(held.values()) >= 0.93
    assert without["a cell of one seed"] < without["a cell"] < 0.95
    assert max(without["a cell of one seed"], without["an average"]) < 0.93


def test_intervals_of_differences_hold_the_truth_and_those_over_images_alone_do_not():
    held, without = (coverage(of_differences, 4, known) for known in (True, False))
    assert held["a difference"] >= 0.93 > without["a difference"]


@pytest.mark.slow
def test_in_many_studies_every_kind_of_interval_holds_the_truth():
    held = coverage(of_cells, 120, seed=1) | coverage(of_differences, 50, seed=1)
    assert min(held.values()) >= 0.93
    without = coverage(of_differences, 20, known=False, seed=2)
    assert max(without.values()) < 0.93


def test_a_variance_is_pooled_within_tasks_with_a_degree_of_freedom_less_for_each():
    assert seed_variance.pooled([[50.0, 54.0], [70.0, 71.0, 72.0], [30.0]]) == Pool(10 / 3, 3)
    assert seed_variance.pooled([[50.0], [30.0]]) == seed_variance.pooled([]) == Pool(0.0, 0)
    generator = np.random.default_rng(0)
    a, b = 50 + generator.standard_normal(4), 60 + generator.standard_normal(6)
    theirs = ttest_ind(a, b).confidence_interval()  # of two groups with one pooled variance
    parts = [seed_variance.of_mean(count, seed_variance.pooled([a, b])) for count in (4, 6)]
    assert seed_variance.together(parts).half == pytest.approx((theirs.high - theirs.low) / 2)


def test_the_part_of_the_seeds_of_one_task_is_the_t_interval():
    values = [50.0, 52.0, 57.0]
    part = seed_variance.of_mean(3, seed_variance.pooled([values]))
    low, high = t.interval(0.95, 2, np.mean(values), sem(values))
    assert (part.half, part.source) == (pytest.approx((high - low) / 2), "own")


def test_a_difference_is_no_surer_than_welchs():
    generator = np.random.default_rng(0)
    for counts in ((3, 3), (2, 5), (3, 12)):
        a, b = (generator.normal(50, width, count) for width, count in zip((1, 3), counts))
        theirs = ttest_ind(a, b, equal_var=False).confidence_interval()
        parts = [seed_variance.of_mean(len(one), seed_variance.pooled([one])) for one in (a, b)]
        assert seed_variance.together(parts).half >= (theirs.high - theirs.low) / 2


def test_a_lone_seed_borrows_what_is_known_of_its_arm_alone():
    values = enumerate((50.0, 54.0))
    two = [record("dtd_twin", "clip_micro", "visual_prompt", value, seed) for seed, value in values]
    groups = [two, [record("svhn_twin", "clip_micro", "visual_prompt", 60.0)]]
    other = [record("svhn_twin", "clip_micro", "visual_prompt", 60.0, variant="fast")]
    pools = seed_variance.pools([*groups, other, []])
    assert pools["clip_micro", "visual_prompt", "default"] == Pool(8.0, 1)
    half = 12.706205 * math.sqrt(8)  # the quantile of t with one degree of freedom
    assert seed_variance.part(groups[1], pools) == (pytest.approx(half), "pooled")
    assert seed_variance.part(groups[0], pools) == (pytest.approx(half / math.sqrt(2)), "own")
    assert seed_variance.part(other, pools) == Part(0.0, "none")


def test_methods_without_randomness_have_no_part_unless_they_differ():
    plain = record("dtd_twin", "clip_micro", "text_prompt", 60.0)
    probes = [record("dtd_twin", "clip_micro", "linear_probe", 60.0, seed) for seed in (0, 1)]
    assert seed_variance.part([plain]) == seed_variance.part(probes) == Part()
    probes[1]["selection"]["last"]["test"]["accuracy"] = 62.0  # say, of another processor
    assert seed_variance.part(probes).source == "own"
    few = SIZES | {"resolution": "backbone", "shots": 4}  # which images, the seed says
    drawn = [record("dtd_twin", "clip_micro", "linear_probe", 60.0, data=few)]
    assert seed_variance.part(drawn) == Part(0.0, "none")


def test_together_the_least_sure_source_counts():
    own, lone, unknown = Part(3.0, "own"), Part(4.0, "pooled"), Part(0.0, "none")
    assert seed_variance.together([own, lone, Part()]) == Part(5.0, "pooled")
    assert seed_variance.together([own, Part()], 0.5) == Part(1.5, "own")
    assert seed_variance.together([own, unknown]).source == "none"
    assert seed_variance.together([Part(), Part()]).source is None


def test_levels_of_an_ablation_may_share_a_variance():
    small, large = (
        [
            record("dtd_twin", "clip_micro", "visual_prompt", value, seed, variant=name)
            for seed, value in enumerate(values)
        ]
        for name, values in (("small", (50.0, 54.0)), ("large", (60.0, 60.0)))
    )
    pools = seed_variance.shared([small, large, []])
    assert list(pools.values()) == [Pool(4.0, 2)] * 2
    assert seed_variance.part(large, pools).half == pytest.approx(4.302653 * 2 / math.sqrt(2))
