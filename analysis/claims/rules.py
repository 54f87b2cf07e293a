"""The rules that decide the paper's claims, each on the csv file of one analysis.

A rule takes that frame, the claim (a row of `analysis/published/claims.csv`, where the rule stands
in words) and the scale. It returns a finding: an effect, which is above 0 where the claim is right,
with its verdict and a note.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas

from analysis.common import cells
from analysis.common.aliases import Row
from analysis.common.effects import (
    APPEARS,
    CONTRARY,
    UNDECIDED,
    UNDEFINED,
    NotRun,
    above,
    best,
    contrast,
    effect_of,
    effects_of,
    largest,
    mean,
    minus,
    moved,
    negative,
    shown,
    smallest,
    statistic_of,
    trend,
    verdict,
)
from analysis.common.scales import Scale

Rule = Callable[[pandas.DataFrame, Any, Scale], Row]
VISION = ("instagram", "bit_m", "rn50")
SHIFT_TABLES = (2, 5)
TOGETHER = {"mean": mean, "smallest": smallest, "largest": largest}
FIXED_PLACE = ("padding", "fixed_patch")
PAPER_SIDE, PAPER_PADDING, PAPER_LIMIT = 224, 30, 70_000  # pixels, pixels, parameters
TWIN_SIDE = 56  # pixels


def judged(effect: Row, note: str = "") -> Row:
    """Returns the finding that an effect is: its numbers, the verdict and a note.

    Of an effect that does not exist the note says so.
    """
    if math.isnan(effect["measured"]):
        note = ". ".join(filter(None, (UNDEFINED, note)))
    return effect | {"verdict": verdict(effect), "note": note}


def duel(frame: pandas.DataFrame, role: str, method: str, rival: str, task: str) -> Row:
    """Returns the effect method - rival, from the comparisons of VP with the others."""
    other, weight = (rival, 1) if method == "visual_prompt" else (method, -1)
    columns = "difference", "low", "high"
    return contrast([effect_of(frame, columns, role=role, task=task, rival=other)], [weight])


def tasks_of(claim: Any) -> list[str]:
    """Returns the tasks that a claim is about, as the comparisons name them."""
    if claim.task == "all":
        return cells.tasks_of(shift=False)
    if claim.task == "average" and claim.table in SHIFT_TABLES:
        return ["shift_average"]
    return claim.task.split()


def stated_difference(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether the difference that the claim states is above its limit."""
    effects = [
        duel(frame, role, claim.method, claim.minus, task)
        for role in claim.roles.split()
        for task in tasks_of(claim)
    ]
    return judged(above(TOGETHER[claim.of](effects), claim.limit))


def clip_most_effective(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether CLIP's VP is closer to LP than that of every vision model."""
    near = duel(frame, "clip", "visual_prompt", "linear_probe", "average")
    far = [duel(frame, role, "visual_prompt", "linear_probe", "average") for role in VISION]
    return judged(smallest([minus(near, one) for one in far]))


def gain_varies(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether the largest gain over TP is above the smallest."""
    tasks = cells.tasks_of(shift=False)
    gains = [duel(frame, "clip", "visual_prompt", "text_prompt", task) for task in tasks]
    return judged(minus(largest(gains), smallest(gains)))


def shift_reduces_gap(frame: pandas.DataFrame, claim: Any, scale: Scale, rival: str) -> Row:
    """Returns whether CLIP's VP is closer to the rival under distribution shift than without."""
    plain, shift = (
        duel(frame, "clip", rival, "visual_prompt", task) for task in ("average", "shift_average")
    )
    return judged(minus(plain, shift))


def correlation(
    frame: pandas.DataFrame, claim: Any, scale: Scale, of: Sequence[str], side: str
) -> Row:
    """Returns whether gain and a property of the datasets go together, for each way to measure it.

    The note has the same correlations given TP.
    """
    rows = frame[frame.task == "all"]
    statistics = {
        name: statistic_of(rows, statistic=name)
        for name in rows.statistic
        if any(word in name for word in of)
    }
    given = {name: effect for name, effect in statistics.items() if "given" in name}
    plain = [
        effect
        for name, effect in statistics.items()
        if name not in given and name.startswith("spearman_gain_")
    ]
    if not plain:
        raise NotRun(f"has no statistic spearman_gain_... of {' or '.join(of)}")
    note = "; ".join(f"{name}: {shown(effect, 2)}" for name, effect in given.items())
    effects = plain if side == "above" else [negative(effect) for effect in plain]
    return judged(smallest(effects), note)


def side_of(scale: Scale) -> int:
    """Returns the side in pixels of the images at a scale."""
    return TWIN_SIDE if scale.painted else PAPER_SIDE


def default_padding(scale: Scale) -> int:
    """Returns the width of the padding that is the paper's 30 of 224 pixels."""
    return PAPER_PADDING * side_of(scale) // PAPER_SIDE


def parameters_of(template: str, size: int, side: int) -> int:
    """Returns how many parameters section 3.2.2 gives a prompt for images of three channels."""
    return 6 * size * (2 * side - 2 * size) if template == "padding" else 3 * size**2


def parameter_counts(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether every prompt has the parameters that its formula gives."""
    wrong = [
        f"{row.template} p = {row.size}: {row.parameters}"
        for row in frame[["template", "size", "parameters"]].drop_duplicates().itertuples()
        if row.parameters != parameters_of(row.template, row.size, side_of(scale))
    ]
    columns = ("parameters",) * 3
    padding = effects_of(frame, columns, template="padding", size=default_padding(scale))[0]
    judged_as = {"verdict": CONTRARY if wrong else APPEARS, "note": "; ".join(wrong)}
    return padding | moved([], []) | judged_as  # training has no say in it


def at_each_rate(rule: Rule) -> Rule:
    """Returns `rule` for the learning rate of the recipe, as in the paper.

    The note says what it finds where the rate is chosen on validation.
    """

    def at_rates(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
        finding = rule(frame[frame.rate == "fixed"], claim, scale)
        try:
            other = rule(frame[frame.rate == "validated"], claim, scale)
        except NotRun:
            return finding
        chosen = f"With learning rates chosen on validation: {other['verdict']}, {shown(other, 1)}"
        return finding | {"note": ". ".join(filter(None, (finding["note"], chosen)))}

    return at_rates


def padding_best(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether the default padding is better than every other template and size."""
    size = default_padding(scale)
    ours = effect_of(frame, template="padding", size=size)
    others = frame[(frame.template != "padding") | (frame["size"] != size)]
    return judged(smallest([minus(ours, other) for other in effects_of(others)]))


def fixed_patch_over_random(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether the fixed patch is better than the random one, over equal sizes."""
    fixed, drawn = (frame[frame.template == name] for name in ("fixed_patch", "random_patch"))
    sizes = sorted(set(fixed["size"]) & set(drawn["size"]))
    if not sizes:
        raise NotRun("has no size with both a fixed and a random patch")
    pairs = [[effect_of(rows, size=size) for rows in (fixed, drawn)] for size in sizes]
    return judged(mean([minus(*pair) for pair in pairs]))


def padding_over_random(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether padding at its best size is better than the random patch at its best."""
    pair = [best(effects_of(frame, template=name)) for name in ("padding", "random_patch")]
    return judged(minus(*pair))


def trend_with_size(frame: pandas.DataFrame, claim: Any, scale: Scale, part: str) -> Row:
    """Returns whether accuracy rises "below" 70,000 parameters, or drops from there ("above")."""
    limit = PAPER_LIMIT * side_of(scale) ** 2 / PAPER_SIDE**2
    slopes = []
    for template in FIXED_PLACE:
        rows = frame[frame.template == template].sort_values("parameters")
        small = rows.parameters <= limit
        rows = rows[small] if part == "below" else rows[~small.shift(-1, fill_value=False)]
        if len(rows) < 2:
            raise NotRun(f"has fewer than two sizes of {template} {part} {limit:,.0f} parameters")
        slope = trend(effects_of(rows), np.log10(rows.parameters))
        slopes.append(slope if part == "below" else negative(slope))
    return judged(smallest(slopes))


def single_pixel(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether one pixel at a fixed location gains over TP."""
    columns = "gain", "gain_low", "gain_high"
    return judged(effect_of(frame, columns, template="fixed_patch", size=1))


def semantic_over_swapped(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether the semantic mapping is better than the swapped one."""
    columns = "difference", "difference_low", "difference_high"
    return judged(effect_of(frame, columns, variant="swapped"))


def gain_falls_with_text_quality(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether VP grows by less than a point per point of TP."""
    slope = statistic_of(frame, variant="all", statistic="slope")
    return judged(above(negative(slope), -1.0))


def larger_not_always_better(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether VP is worse with some larger vision model, within families if they allow."""
    rows = frame[(frame.method == "visual_prompt") & frame.role.isin(VISION)]
    pairs = list(itertools.combinations(rows.sort_values("parameters").itertuples(), 2))
    related = [pair for pair in pairs if pair[0].role == pair[1].role]
    if not pairs:
        raise NotRun("has fewer than two vision models")
    steps = [
        minus(*(effect_of(rows, backbone=one.backbone) for one in pair))
        for pair in related or pairs  # the smaller one first
    ]
    note = f"{rows.backbone.nunique()} models"
    if not related:
        note += ", one per family, so models of different families are compared"
    return judged(largest(steps), note)


def clip_transformers_better(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether each transformer of CLIP has a better visual prompt than each ResNet."""
    rows = frame[(frame.method == "visual_prompt") & (frame.role == "clip")]
    transformer = rows.architecture.astype(str).str.startswith("ViT")
    for kind, rows_of_kind in (("vision transformer", transformer), ("ResNet", ~transformer)):
        if not rows_of_kind.any():
            raise NotRun(f"has no CLIP with a {kind}")
    pairs = itertools.product(effects_of(rows[transformer]), effects_of(rows[~transformer]))
    return of_every_pair([minus(*pair) for pair in pairs], rows.backbone.nunique())


def of_every_pair(effects: Sequence[Row], models: int) -> Row:
    """Returns the finding over models: decided only if every pair of them agrees.

    Shown is the smallest effect, or the largest where every pair is contrary.
    """
    agreed = sum(effect["measured"] > 0 for effect in effects)
    note = f"{models} models, {agreed} of {len(effects)} pairs as claimed"
    least, most = judged(smallest(effects), note), judged(largest(effects), note)
    if most["high"] < 0:  # of every pair
        return most
    return least if least["low"] > 0 else least | {"verdict": UNDECIDED}


def usable_as_picture(frame: pandas.DataFrame, claim: Any, scale: Scale) -> Row:
    """Returns whether every backbone is better with a prompted picture than with a plain one.

    Both are sent in 8 bits, and as JPEG files of the highest quality measured.
    """
    columns = "accuracy", "low", "high"
    rows = frame[frame.task == "all"]
    qualities = rows.quality.dropna()
    if qualities.empty:
        raise NotRun("has no JPEG file")
    jpeg = f"jpeg_{qualities.max():.0f}"
    gains = [
        minus(*(effect_of(rows, columns, backbone=name, condition=each) for each in sent))
        for name in rows.backbone.unique()
        for sent in (("8_bit", "unprompted"), (jpeg, f"unprompted_{jpeg}"))
    ]
    return judged(smallest(gains), f"Backbones: {', '.join(rows.backbone.unique())}")


RULES: dict[str, Rule] = {  # id of a claim -> rule(frame of its source, claim, scale) -> finding
    "vision_gap": stated_difference,
    "clip_competitive": stated_difference,
    "clip_most_effective": clip_most_effective,
    "eurosat_over_probe": stated_difference,
    "svhn_over_probe": stated_difference,
    "clevr_over_probe": stated_difference,
    "average_gain": stated_difference,
    "gain_varies": gain_varies,
    "best_gain": stated_difference,
    "worst_gain": stated_difference,
    "vision_over_probe": stated_difference,
    "shift_under_probe": stated_difference,
    "shift_under_fine_tune": stated_difference,
    "shift_reduces_probe_gap": partial(shift_reduces_gap, rival="linear_probe"),
    "shift_reduces_fine_tune_gap": partial(shift_reduces_gap, rival="fine_tune"),
    "camelyon_over_probe": stated_difference,
    "camelyon_over_fine_tune": stated_difference,
    "instagram_camelyon_over_probe": stated_difference,
    "instagram_camelyon_over_fine_tune": stated_difference,
    "gain_rises_with_distance": partial(correlation, of=("frechet",), side="above"),
    "gain_falls_with_diversity": partial(correlation, of=("diversity", "lpips"), side="below"),
    "parameter_counts": parameter_counts,
    "padding_best": at_each_rate(padding_best),
    "fixed_patch_over_random": at_each_rate(fixed_patch_over_random),
    "padding_over_random": at_each_rate(padding_over_random),
    "rises_with_size": at_each_rate(partial(trend_with_size, part="below")),
    "drops_above_70k": at_each_rate(partial(trend_with_size, part="above")),
    "single_pixel": at_each_rate(single_pixel),
    "semantic_over_swapped": semantic_over_swapped,
    "gain_falls_with_text_quality": gain_falls_with_text_quality,
    "larger_not_always_better": larger_not_always_better,
    "clip_transformers_better": clip_transformers_better,
    "below_probe_somewhere": stated_difference,
    "usable_as_picture": usable_as_picture,
}
