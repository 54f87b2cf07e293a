"""Verdicts on made-up records whose truth is known: which of them survive more training."""

import math
from functools import partial

import pandas
import pytest

from analysis.claims import claims
from analysis.common import cells, correlation
from analysis.common.csv_file import write_csv
from analysis.common.effects import APPEARS, CONTRARY, NOT_RUN, STILL_RISING, UNDECIDED
from analysis.figures import comparisons, dataset_properties
from tests.helpers.analyses import LAB
from tests.helpers.fake_claims import edit, judged, row_of, write_frames
from tests.helpers.fake_lengths import doubled, run, upper

SHIFTS = ("iwildcam_twin", "fmow_twin", "camelyon17_twin")


def verdict(folder, made, claim):
    """Returns the row of a claim about the comparisons of the records `made`."""
    write_csv(comparisons.comparisons(made), folder / "comparisons.csv")
    return row_of(folder, claim)


def probe(folder, accuracy, task="svhn_twin"):
    """Returns a linear probe."""
    return run(folder, accuracy, task=task, method="linear_probe")


@pytest.mark.parametrize(
    ("accuracy", "gain", "expected"),
    [
        (60, 10, STILL_RISING),  # 10 below the probe, and it may gain 22
        (64, 3, STILL_RISING),  # 6 below, and it may gain 7.5
        (60, 3, CONTRARY),  # 10 below, or 8 by the interval
        (60, 1, CONTRARY),
        (60, 0, CONTRARY),
        (60, -5, CONTRARY),  # overfits
        (60, None, STILL_RISING),  # nobody knows
        (30, 10, CONTRARY),  # 40 below: not for want of training
        (85, 10, APPEARS),  # above, and more training only helps
        (85, None, APPEARS),
        (70, 0, UNDECIDED),
        (70, 10, UNDECIDED),
    ],
)
def test_a_verdict_stands_if_what_more_training_may_give_cannot_turn_it(
    tmp_path, accuracy, gain, expected
):
    prompts = doubled(tmp_path, accuracy, gain) if gain is not None else [run(tmp_path, accuracy)]
    row = verdict(tmp_path, [*prompts, probe(tmp_path, 70)], "svhn_over_probe")
    assert row["verdict"] == expected
    assert row["measured"] == pytest.approx(accuracy - 70)
    grants = {10: 2 * upper(10), 3: 2 * upper(3), 1: 2 * upper(1), None: 100 - accuracy}
    grant = min(grants.get(gain, 0), 100 - accuracy)
    assert (row["up"], row["down"]) == (pytest.approx(grant, abs=0.4), 0)
    assert row["rising"] == ("clip visual_prompt +" if grant else "")


def test_an_arm_that_nobody_trained_for_longer_may_reach_everything_but_not_more(tmp_path):
    made = [run(tmp_path, 2), probe(tmp_path, 99.5)]
    row = verdict(tmp_path, made, "svhn_over_probe")
    assert (row["verdict"], row["up"]) == (STILL_RISING, 98)
    made = [run(tmp_path, 99, task="camelyon17_twin"),
            run(tmp_path, 80, task="camelyon17_twin", method="fine_tune")]  # fmt: skip
    row = verdict(tmp_path, made, "camelyon_over_fine_tune")
    assert (row["verdict"], row["up"], row["down"]) == (STILL_RISING, 1, 20)
    assert row["rising"] == "clip visual_prompt +, clip fine_tune -"


@pytest.mark.parametrize(("gain", "expected"), [(0, APPEARS), (1, APPEARS), (10, STILL_RISING)])
def test_fine_tuning_is_finished_only_with_a_partner(tmp_path, gain, expected):
    task = "camelyon17_twin"
    made = [run(tmp_path, 90, task=task)]
    made += doubled(tmp_path, 80, gain, task=task, method="fine_tune")
    assert verdict(tmp_path, made, "camelyon_over_fine_tune")["verdict"] == expected


def test_a_partner_of_the_group_speaks_for_a_task(tmp_path):
    made = [run(tmp_path, 60), probe(tmp_path, 70)]
    assert verdict(tmp_path, made, "svhn_over_probe")["verdict"] == STILL_RISING
    made += doubled(tmp_path, 60, 0, task="dtd_twin")
    assert verdict(tmp_path, made, "svhn_over_probe")["verdict"] == CONTRARY
    made += doubled(tmp_path, 60, 10, task="clevr_twin")  # the largest counts
    assert verdict(tmp_path, made, "svhn_over_probe")["verdict"] == STILL_RISING


def test_over_tasks_what_arms_may_gain_is_added_and_not_averaged_out(tmp_path):
    made = [one for task in SHIFTS for one in doubled(tmp_path, 73, 3, task=task)]
    made += [probe(tmp_path, 80, task) for task in SHIFTS]
    row = verdict(tmp_path, made, "shift_under_probe")
    assert row["down"] == pytest.approx(2 * upper(3), abs=0.4)  # 7.5, as that of each task
    assert row["low"] - row["down"] < 0 < row["low"] - row["down"] / math.sqrt(3)
    assert (row["verdict"], row["rising"]) == (STILL_RISING, "clip visual_prompt -")


def test_in_a_difference_of_differences_every_arm_has_its_say(tmp_path):
    made = []
    for task in (*(f"{name}_twin" for name in cells.tasks_of(shift=False)), *SHIFTS):
        accuracy = 60 if task in SHIFTS else 40
        made += [*doubled(tmp_path, accuracy, 0, task=task, images=400), probe(tmp_path, 70, task)]
    row = verdict(tmp_path, made, "shift_reduces_probe_gap")
    assert (row["measured"], row["verdict"]) == (pytest.approx(20), APPEARS)
    made = [one for one in made if one["spec"]["variant"] == "default"]
    row = verdict(tmp_path, made, "shift_reduces_probe_gap")
    assert (row["up"], row["down"]) == (pytest.approx(40), pytest.approx(60))
    assert (row["verdict"], row["rising"]) == (STILL_RISING, "clip visual_prompt both")


def test_a_gain_over_a_text_prompt_stands_however_long_was_trained(tmp_path):
    made = [run(tmp_path, 60, task=task) for task in SHIFTS]
    made += [run(tmp_path, 20, task=task, method="text_prompt") for task in SHIFTS]
    frame = comparisons.comparisons(made).set_index(["role", "task", "rival"])
    row = frame.loc["clip", "shift_average", "text_prompt"]
    assert (row.up, row.down, row.rising) == (40, 0, "clip visual_prompt +")


@pytest.mark.parametrize(("up", "expected"), [(49.4, APPEARS), (49.7, STILL_RISING)])
def test_another_size_may_become_the_one_that_decides(tmp_path, up, expected):
    folder = write_frames(tmp_path)

    def rising(frame):
        other = (frame.template == "random_patch") & (frame["size"] == 13)
        return frame.assign(up=other * up, rising=other.map({True: "random_patch 13 +", False: ""}))

    edit(folder, "ablation_prompt_size", rising)
    row = row_of(folder, "padding_best")  # 60 against 50, and against 10 of a random patch
    assert row["measured"] == pytest.approx(10)
    half = 1.508 * math.hypot(0.2, 0.2)  # of the interval, widened for 16 others
    assert row["low"] == pytest.approx(10 - half, abs=1e-3)
    assert row["down"] == pytest.approx(row["low"] - (60 - 10 - up - half), abs=1e-3)
    assert (row["verdict"], row["rising"]) == (expected, "random_patch 13 -")


def gains(rising):
    """Returns datasets whose gain rises with their distance; a mapping says what they may gain."""
    tasks = cells.tasks_of(shift=False)[:8]
    frame = pandas.DataFrame({"task": tasks, "shift": False, "gain": range(10, 50, 5)})
    frame = frame.assign(gain_low=frame.gain - 1, gain_high=frame.gain + 1, text_prompt=20.0)
    up = [float(rising.get(place, 0)) for place in range(8)]
    texts = ["clip visual_prompt +" if one else "" for one in up]
    frame = frame.assign(up=up, down=0.0, rising=texts, distance=range(8), diversity=range(8))
    return frame.assign(text_prompt=[20, 21, 19, 22, 18, 23, 17, 24])


@pytest.mark.parametrize(
    ("rising", "expected"),
    [({}, APPEARS), ({7: 50}, APPEARS), ({0: 4}, APPEARS), ({0: 90, 1: 90, 2: 90}, STILL_RISING)],
)
def test_a_correlation_stands_if_no_choice_of_arms_turns_it(
    tmp_path, monkeypatch, rising, expected
):
    monkeypatch.setattr(correlation, "bootstrap", partial(correlation.bootstrap, samples=100))
    folder = write_frames(tmp_path)
    summary = dataset_properties.statistics(
        gains(rising), {"frechet": "distance", "diversity": "diversity"}
    )
    write_csv(summary, folder / "dataset_properties.csv")
    row = row_of(folder, "gain_rises_with_distance")
    assert row["measured"] == pytest.approx(1)
    assert row["verdict"] == expected
    assert row["rising"] == ("clip visual_prompt -" if 0 in rising and rising[0] > 4 else "")


def test_the_scorecard_says_what_moves_each_verdict(tmp_path):
    folder = write_frames(tmp_path)

    def rising(frame):
        return frame.assign(down=60.0, rising="clip fine_tune -")

    edit(folder, "single_pixel", lambda frame: frame.assign(down=1.5, up=2.0, rising="a both"))
    edit(folder, "comparisons", rising)
    edit(folder, "label_mapping", lambda frame: frame.assign(up=5.0, rising="semantic +"))
    (folder / "text_prompt_quality.csv").unlink()
    found = judged(folder)
    assert found.verdict["svhn_over_probe"] == STILL_RISING  # 5, which may become -55
    assert found.verdict["single_pixel"] == APPEARS
    assert found.verdict["gain_falls_with_text_quality"] == NOT_RUN
    lines = claims.markdown(claims.scorecard(folder, LAB), LAB).splitlines()
    rows = {line.split(" | ")[1]: line for line in lines if line.startswith("|")}
    stated = rows["With CLIP a visual prompt is above the linear probe on SVHN"]
    assert stated.startswith("| \N{UPWARDS ARROW} undecided (still rising) |")
    assert "| \N{MINUS SIGN}60.0 to 0.0 (clip fine_tune -) |" in stated
    stated = rows["A mapping to source classes of similar meaning is better than the swapped one"]
    assert "| 0.0 to 5.0 (semantic +) |" in stated
    counted = sum((found.finding == "yes") & (found.verdict == STILL_RISING))
    assert f"undecided (still rising): {counted}" in lines[0]


def test_parameters_are_counted_whatever_is_trained(tmp_path):
    folder = write_frames(tmp_path)
    edit(folder, "ablation_prompt_size", lambda frame: frame.assign(up=40.0, rising="a +"))
    row = row_of(folder, "parameter_counts")
    assert (row["verdict"], row["up"], row["rising"]) == (APPEARS, 0, "")
