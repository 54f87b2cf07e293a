"""What csv files that claims read say of more training: up, down, and of which arms."""

import math

import numpy as np
import pandas
import pytest

from analysis.common import correlation
from analysis.figures import (
    ablation_architecture,
    ablation_prompt_size,
    dataset_properties,
    deployability,
    label_mapping,
    single_pixel,
    text_prompt_quality,
)
from tests.helpers.fake_designs import row_of
from tests.helpers.fake_lengths import doubled, run, upper
from tests.helpers.fake_measurements import measurement
from vpbench.common.errors import RecordError
from vpbench.records import reading

RISING = pytest.approx(2 * upper(10), abs=0.5)  # what an arm may gain that gained 10 points


def moves(row):
    """Returns up, down and rising of a row."""
    return row.up, row.down, row.rising


def sized(folder, accuracy, gain, template, size, **changes):
    """Returns a prompt of the ablation, on EuroSAT, and its partner."""
    settings = {"task": "eurosat_twin", "template": template, "size": size} | changes
    return doubled(folder, accuracy, gain, f"{template}_{size}", **settings)


def test_every_design_of_the_size_ablation_has_what_it_may_gain(tmp_path):
    made = [*sized(tmp_path, 60, 10, "padding", 7), *sized(tmp_path, 50, 0, "padding", 14)]
    made += sized(tmp_path, 40, 0, "fixed_patch", 8)[:1]  # without its partner
    frame = ablation_prompt_size.accuracies(made)
    assert len(frame) == 3  # partners are no rows
    assert moves(row_of(frame, size=7)) == (RISING, 0, "padding 7 +")
    assert moves(row_of(frame, size=14)) == (0, 0, "")
    assert moves(row_of(frame, size=8)) == (60, 0, "fixed_patch 8 +")  # to 100


def test_a_recipe_twice_as_long_as_the_ablation_takes_no_run_from_it(tmp_path):
    made = [*sized(tmp_path, 60, 10, "padding", 7), *sized(tmp_path, 50, 0, "padding", 14)]
    recipe = {"task": "eurosat_twin", "template": "padding", "size": 7, "epochs": 16}
    frame = ablation_prompt_size.accuracies([*made, run(tmp_path, 80, 80, **recipe)])
    assert list(frame["size"]) == [7, 7, 14, 14]  # at the rate of the recipe, and chosen
    assert set(frame[frame["size"] == 7].measured) == {60}
    assert set(frame.epochs) == {8}
    odd = run(tmp_path, 50, 50, variant="odd", **recipe | {"epochs": 5, "size": 3})
    with pytest.raises(RecordError, match="differ in settings.epochs too"):
        ablation_prompt_size.accuracies([*made, odd])


def test_a_pixel_may_gain_what_its_prompt_may(tmp_path):
    made = sized(tmp_path, 60, 10, "fixed_patch", 1)
    plain = run(tmp_path, 20, task="eurosat_twin", method="text_prompt")
    (row,) = single_pixel.gains([*made, plain]).itertuples()
    assert row.gain == pytest.approx(40) and moves(row) == (RISING, 0, "fixed_patch 1 +")


def test_of_two_mappings_each_moves_their_difference_its_own_way(tmp_path):
    made = [
        *doubled(tmp_path, 80, 10, "semantic", source_classes=["a", "b"]),
        *doubled(tmp_path, 60, 0, "swapped", source_classes=["b", "a"]),
        *doubled(tmp_path, 70, 10, "arbitrary"),
    ]
    frame = label_mapping.accuracies(made)
    assert list(frame.variant) == ["semantic", "swapped", "arbitrary"]
    assert moves(row_of(frame, variant="swapped")) == (20, 0, "semantic +")  # to 100
    row = row_of(frame, variant="arbitrary")
    assert moves(row) == (20, RISING, "semantic +, arbitrary -")
    assert math.isnan(frame.up[0])  # it is not compared with itself


def said(folder, accuracies, rising=()):
    """Returns runs of text prompts, from TP and VP; those in `rising` have gained ten points."""
    made = []
    for number, (plain, prompted) in enumerate(accuracies):
        words = {"task": "eurosat_twin", "text_prompt": f"{number} {{}}"}
        made.append(run(folder, plain, method="text_prompt", variant=f"t{number}", **words))
        gain = 10 if number in rising else 0
        made += doubled(folder, prompted, gain, f"t{number}", **words)
    return made


def test_the_slope_on_the_text_prompt_moves_linearly_with_every_arm(tmp_path, monkeypatch):
    monkeypatch.setattr(text_prompt_quality, "SAMPLES", 50)
    accuracies = [(10, 40), (20, 40), (30, 40), (40, 40)]
    frame = text_prompt_quality.accuracies(said(tmp_path, accuracies, rising=(0, 3)))
    assert list(frame.measured) == [40, 40, 40, 40]
    assert moves(row_of(frame, number=1)) == (RISING, 0, "clip visual_prompt +")
    assert moves(row_of(frame, number=2)) == (0, 0, "")
    row = text_prompt_quality.statistics(frame).set_index("statistic").loc["slope"]
    # The slope is the sum of (TP - 25) VP / 500, so 15 / 500 of what the first and last may gain
    share = 15 / 500
    assert row.value == pytest.approx(0)
    assert (row.up, row.down) == pytest.approx((2 * upper(10) * share,) * 2, abs=0.02)
    assert row.rising == "clip visual_prompt both"


def properties(gain):
    """Returns datasets whose first may gain so much, and two properties that order them."""
    numbers = np.arange(5.0)
    frame = pandas.DataFrame({"task": list("abcde"), "shift": False})
    frame = frame.assign(gain=10 + numbers, gain_low=9 + numbers, gain_high=11 + numbers)
    frame = frame.assign(up=[gain, 0, 0, 0, 0], down=0.0, text_prompt=[3, 1, 4, 1, 5])
    frame = frame.assign(rising=["clip visual_prompt +" if gain else "", "", "", "", ""])
    return frame.assign(distance=numbers, diversity=-numbers)


def test_a_correlation_says_how_far_one_arm_can_turn_it(monkeypatch):
    monkeypatch.setattr(correlation, "bootstrap", lambda f, *x, given=None, **_: (f(*x), 0, 1)
                        if given is None else (f(*x, given), 0, 1))  # fmt: skip
    columns = {"frechet": "distance", "diversity": "diversity"}
    found = dataset_properties.statistics(properties(9), columns).set_index("statistic")
    row = found.loc["spearman_gain_frechet"]  # 1; with the first one last 1 - 6 x 20 / 120
    assert (row.value, row.up, row.down) == pytest.approx((1, 0, 1))
    assert row.rising == "clip visual_prompt -"
    row = found.loc["spearman_gain_diversity"]
    assert (row.value, row.up, row.down) == pytest.approx((-1, 1, 0))
    assert row.rising == "clip visual_prompt +"
    found = dataset_properties.statistics(properties(0), columns)
    assert (found.up == 0).all() and (found.down == 0).all() and (found.rising == "").all()


def test_a_datasets_gain_may_grow_as_its_prompt_may(tmp_path):
    made = [*doubled(tmp_path, 60, 10), run(tmp_path, 20, method="text_prompt")]
    (row,) = dataset_properties.properties(made, []).itertuples()
    assert (row.task, row.gain) == ("svhn", pytest.approx(40))
    assert moves(row) == (RISING, 0, "clip visual_prompt +")


def test_every_method_of_every_architecture_has_its_own(tmp_path):
    made = [
        *doubled(tmp_path, 60, 10),
        *doubled(tmp_path, 80, 0, method="fine_tune"),
        run(tmp_path, 70, method="linear_probe"),
        run(tmp_path, 30, backbone="rn50_micro"),
    ]
    frame = ablation_architecture.accuracies(made)
    found = {(row.backbone, row.method): moves(row) for row in frame.itertuples()}
    assert found == {
        ("clip_micro", "visual_prompt"): (RISING, 0, "clip_micro visual_prompt +"),
        ("clip_micro", "fine_tune"): (0, 0, ""),
        ("clip_micro", "linear_probe"): (0, 0, ""),
        ("rn50_micro", "visual_prompt"): (70, 0, "rn50_micro visual_prompt +"),
    }


def sent(folder, task, backbone, right):
    """Returns the path of a measurement: of ten images so many are right with a prompt."""
    conditions = {"unprompted": 2, "unbounded": 9, "8_bit": right, "unprompted_jpeg_75": 1}
    row = {"backbone": backbone, "variant": "default", "seed": 0, "quality": None}
    rows = [row | {"condition": condition} for condition in conditions]
    correct = [np.arange(10) < count for count in conditions.values()]
    return measurement("deployability", task, rows, folder, correct=correct)


def test_a_prompted_picture_may_gain_what_its_prompt_may_and_a_plain_one_nothing(tmp_path):
    paths = [sent(tmp_path, task, "clip_micro", 6) for task in ("svhn_twin", "dtd_twin")]
    made = [
        *doubled(tmp_path, 60, 10),
        *doubled(tmp_path, 60, 0, task="dtd_twin"),
        run(tmp_path, 10, task="dtd_twin", variant="other", lr=99),  # which was not measured
    ]
    loaded = reading.load(paths)
    frame = deployability.accuracies(loaded, made).set_index(["task", "condition"])
    assert moves(frame.loc["svhn", "8_bit"]) == (RISING, 0, "clip_micro visual_prompt +")
    assert moves(frame.loc["dtd", "8_bit"]) == (0, 0, "")
    row = frame.loc["all", "8_bit"]
    assert (row.accuracy, row.up) == (60, pytest.approx(upper(10), abs=0.3))
    assert frame.loc["svhn", "unbounded"].up == 10  # of ten images nine are right
    plain = frame[frame.index.get_level_values("condition").str.startswith("unprompted")]
    assert len(plain) == 6 and (plain.up == 0).all() and (plain.rising == "").all()
    alone = deployability.accuracies(loaded).set_index(["task", "condition"])
    assert alone.loc["all", "8_bit"].up == pytest.approx(40)  # of runs that are not there
