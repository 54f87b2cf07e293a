"""Csv files of analyses with which every claim of the paper appears, and changes of them."""

import math

import numpy as np
import pandas

from analysis.claims import claims, rules
from analysis.common import cells, published
from tests.helpers.analyses import LAB

STATED = {claim.id: claim for claim in published.claims().itertuples()}
VALUES = {  # csv file -> its columns of value, low and high
    "comparisons": ("difference", "low", "high"),
    "dataset_properties": ("value", "low", "high"),
    "ablation_prompt_size": ("measured", "low", "high"),
    "single_pixel": ("gain", "gain_low", "gain_high"),
    "label_mapping": ("difference", "difference_low", "difference_high"),
    "text_prompt_quality": ("value", "low", "high"),
    "ablation_architecture": ("measured", "low", "high"),
    "deployability": ("accuracy", "low", "high"),
}
PLAIN, SHIFTS = cells.tasks_of(shift=False), cells.tasks_of(shift=True)
PADDING = {1: 20, 3: 30, 7: 60, 14: 50, 28: 40}  # size -> accuracy; 7 of 56 is 30 of 224
FIXED_PATCH = {1: 20, 6: 25, 13: 30, 27: 40, 37: 45, 56: 35}


def comparison(role, task, rival):
    """Returns a difference VP - rival with which every claim of the paper appears."""
    above = {
        **{("clip", task, "linear_probe"): 5 for task in ("eurosat", "svhn", "clevr")},
        **{("clip", "camelyon17", rival): 6 for rival in ("linear_probe", "fine_tune")},
        **{("instagram", "camelyon17", rival): 4 for rival in ("linear_probe", "fine_tune")},
        **{("instagram", task, "linear_probe"): 3 for task in ("svhn", "clevr")},
        **{("bit_m", task, "linear_probe"): 3 for task in ("svhn", "clevr")},
        ("clip", "average", "text_prompt"): 24,
        ("clip", "svhn", "text_prompt"): 80,
        ("clip", "food101", "text_prompt"): -8,
        ("clip", "average", "linear_probe"): -3,
        ("clip", "shift_average", "linear_probe"): -1.5,
        ("clip", "average", "fine_tune"): -9,
        ("clip", "shift_average", "fine_tune"): -4,
    }  # fmt: skip
    typical = {"text_prompt": 20, "linear_probe": -20, "fine_tune": -30}
    if role != "clip" and task == "average":
        return -45
    return above.get((role, task, rival), typical[rival])


def frames():
    """Returns csv file -> rows with which every claim appears; intervals are 0.2 to each side."""
    made = {
        "comparisons": [
            (role, task, rival, comparison(role, task, rival))
            for role in ("clip", *rules.VISION)
            for rival in ("text_prompt", "linear_probe", "fine_tune")
            for task in [*PLAIN, "average", *SHIFTS, "shift_average"]
            if role == "clip" or rival != "text_prompt"
        ],
        "dataset_properties": [
            ("svhn", None, math.nan),
            ("all", "spearman_gain_frechet_clip_micro", 0.6),
            ("all", "partial_gain_frechet_clip_micro_given_text_prompt", 0.1),
            ("all", "spearman_gain_feature_diversity_clip_micro", -0.6),
        ],
        "ablation_prompt_size": [
            (template, size, rules.parameters_of(template, size, 56), rate, value)
            for rate in ("fixed", "validated")
            for template, accuracies in (
                ("padding", PADDING),
                ("fixed_patch", FIXED_PATCH),
                ("random_patch", dict.fromkeys(FIXED_PATCH, 10)),
            )
            for size, value in accuracies.items()
        ],
        "single_pixel": [
            (template, 1, rate, gain)
            for rate in ("fixed", "validated")
            for template, gain in (("fixed_patch", 3), ("random_patch", -3))
        ],
        "label_mapping": [("semantic", math.nan), ("swapped", 37.5)],
        "text_prompt_quality": [("a", None, math.nan), ("all", "slope", 0.3)],
        "ablation_architecture": [
            ("clip", "a", "ViT-B/32", 9, "visual_prompt", 50),
            ("clip", "a", "ViT-B/32", 9, "fine_tune", 10),
            ("clip", "b", "ResNet-50", 8, "visual_prompt", 40),
            ("rn50", "c", "ResNet-50", 2, "visual_prompt", 20),
            ("instagram", "d", "ResNeXt", 3, "visual_prompt", 30),
            ("bit_m", "e", "ResNetV2", 4, "visual_prompt", 25),
        ],
        "deployability": [
            (backbone, task, condition, quality, value)
            for backbone, gain in (("clip_micro", 10), ("rn50_micro", 12))
            for task in ("svhn", "all")
            for condition, quality, value in (
                ("unprompted", None, 40),
                ("8_bit", None, 40 + gain),
                ("jpeg_95", 95, 37 + gain),
                ("unprompted_jpeg_95", 95, 38),
                ("jpeg_50", 50, 20),
                ("unprompted_jpeg_50", 50, 30),
            )
        ],
    }
    found = {}
    for name, rows in made.items():
        columns = [column for column in claims.NEEDED[name] if column not in VALUES[name]]
        value, low, high = VALUES[name]
        frame = pandas.DataFrame(rows, columns=[*columns, value])
        frame = frame.assign(**{low: frame[value] - 0.2, high: frame[value] + 0.2})
        found[name] = frame.assign(up=0.0, down=0.0, rising="")
    parts = ["role", "backbone", "architecture", "parameters", "method"]
    assert list(found["ablation_architecture"].columns)[:5] == parts
    return found


def change(frame, name, value, half=0.2, **where):
    """Returns `frame` with another value, and its interval, in the rows with the values `where`."""
    kept = np.ones(len(frame), bool)
    for column, wanted in where.items():
        kept &= frame[column].isin(wanted if isinstance(wanted, list) else [wanted]).to_numpy()
    assert kept.any()
    frame = frame.astype(dict.fromkeys(VALUES[name], float))
    frame.loc[kept, list(VALUES[name])] = value, value - half, value + half
    return frame


def edit(results, name, edited):
    """Returns None once the csv file `name` holds what `edited` makes of it."""
    path = results / f"{name}.csv"
    edited(pandas.read_csv(path)).to_csv(path, index=False)


def judged(results, scale=LAB):
    """Returns the scorecard by id."""
    return claims.scorecard(results, scale).set_index("id")


def row_of(results, claim, scale=LAB):
    """Returns the row of one claim."""
    frames = claims.read(results)
    return claims.judge(STATED[claim], frames, claims.at_best_test(frames), scale)


def write_frames(folder):
    """Returns `folder` once the csv files with which every claim appears are in it."""
    for name, frame in frames().items():
        frame.to_csv(folder / f"{name}.csv", index=False)
    return folder
