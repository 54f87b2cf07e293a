"""Section 6.3 on made-up records."""

import math

import pandas
import pytest
from matplotlib import pyplot

from analysis.figures import label_mapping
from tests.helpers.analyses import LAB
from tests.helpers.fake_designs import check_lost_predictions, check_products, figure_text
from tests.helpers.fake_records import record
from tests.helpers.fake_sides import beside
from tests.helpers.intervals import with_seeds


def mapping_runs(folder, accuracies, seeds=(0,)):
    """Returns runs of variant -> accuracy; seeds differ by a point."""
    sources = {"semantic": ["siamese", "chihuahua"], "swapped": ["chihuahua", "siamese"]}
    made = []
    for variant, accuracy in accuracies.items():
        for seed in seeds:
            one = record(
                "eurosat_twin", "rn50_micro", "visual_prompt", accuracy + seed, seed=seed,
                variant=variant, settings={"source_classes": sources.get(variant), "lr": 25},
            )  # fmt: skip
            one["task"] |= {"classes": 2, "class_names": ["cat", "dog"], "chance": 50.0}
            made.append(beside(one, folder))
    return made


def test_mappings_stand_beside_the_papers_accuracies(tmp_path):
    made = mapping_runs(tmp_path, {"arbitrary": 80.0, "swapped": 60.0, "semantic": 95.0}, (0, 1, 2))
    frame = label_mapping.accuracies(made)
    assert list(frame.variant) == ["semantic", "swapped", "arbitrary"]
    assert list(frame.measured) == [96.0, 61.0, 81.0]
    assert list(frame.published[:2]) == [100, 62.5] and math.isnan(frame.published[2])
    assert list(frame.source_classes[:2]) == ["siamese, chihuahua", "chihuahua, siamese"]
    assert list(frame.difference[1:]) == pytest.approx([35.0, 15.0])
    assert (frame.difference_low[1:] < frame.difference[1:]).all()
    assert float(frame.p_value[1]) == pytest.approx(2 / 2.0**350, rel=1e-2)


def test_a_mapping_that_lacks_a_seed_is_compared_with_those_it_has_and_says_how_many(tmp_path):
    made = mapping_runs(tmp_path / "runs", {"semantic": 95.0, "swapped": 60.0}, (0, 1, 2))
    del made[4]  # of swapped the seed 1
    label_mapping.write(made, tmp_path / "label_mapping.csv", tmp_path / "figures")
    frame = pandas.read_csv(tmp_path / "label_mapping.csv")
    assert list(frame.seeds) == [3, 2]
    assert frame.difference[1] == pytest.approx((95 + 96 + 97) / 3 - (60 + 62) / 2)


def test_a_difference_has_the_variances_of_both_mappings_whose_seeds_are_not_paired(tmp_path):
    frame = label_mapping.accuracies(
        mapping_runs(tmp_path, {"semantic": 95.0, "swapped": 60.0}, (0, 1, 2))
    )
    assert (frame.low[0], frame.high[0]) == pytest.approx(with_seeds([95.0, 96.0, 97.0], freedom=4))
    seeds = 2.776445 * math.sqrt(2 / 3)  # each has variance 1, together four degrees of freedom
    images = 1.96 * 100 * math.sqrt((0.35 - 0.35**2) / 1000)
    assert frame.difference_high[1] - 35 == pytest.approx(math.hypot(seeds, images), abs=0.1)
    assert list(frame.seed_variance) == ["own", "own"]


def test_one_seed_has_the_interval_of_its_images(tmp_path):
    frame = label_mapping.accuracies(mapping_runs(tmp_path, {"semantic": 50.0}))
    assert (frame.low[0], frame.high[0]) == pytest.approx((46.907, 53.093), abs=1e-3)
    assert frame.difference.isna().all()


def test_a_missing_mapping_is_named(tmp_path):
    made = mapping_runs(tmp_path, {"semantic": 95.0})
    assert label_mapping.gaps_of(made) == ["swapped mapping"]
    frame, found = label_mapping.accuracies(made), label_mapping.mappings(made)
    figure = label_mapping.draw(frame, found, LAB, label_mapping.gaps_of(made))
    assert "Not run: swapped mapping." in figure_text(figure)
    pyplot.close("all")


@pytest.mark.parametrize("some", [True, False])
def test_label_mapping_is_a_csv_and_a_figure_with_or_without_records(tmp_path, capsys, some):
    made = mapping_runs(tmp_path / "runs", {"semantic": 95.0, "swapped": 60.0}) if some else []
    assert bool(len(check_products(label_mapping, made, tmp_path))) == some
    assert some or capsys.readouterr().err.startswith("warning: not run: ")


def test_lost_predictions_of_label_mapping_are_one_line(tmp_path, capsys):
    check_lost_predictions(
        label_mapping,
        mapping_runs(tmp_path / "runs", {"semantic": 95.0, "swapped": 60.0}),
        tmp_path,
        capsys,
    )
