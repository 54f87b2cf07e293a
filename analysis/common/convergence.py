"""Convergence: whether an arm would be better if it were trained for longer, and by how much.

An arm is a run, of any seeds, that is not half of another one in the same slice. Its partner is the
same run with half of the epochs, on a full schedule of its own: inside one schedule every curve
flattens at the end, because the learning rate falls to 0 there. What the arm gains over its partner
is measured on the validation images, paired by image, over the seeds that both have.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np

from analysis.common import paired, variants
from analysis.common.aliases import Record, Row
from analysis.common.correlation import Coefficient, values_of
from analysis.common.paired import Pair
from vpbench.common.errors import RecordError
from vpbench.common.hashing import canonical
from vpbench.records import reading
from vpbench.spec.methods import METHODS

THRESHOLD = 1.0  # points: an arm whose last doubling gained surely less is converged
FACTOR = 2  # so many times the upper end of that gain is what more training may still give
LENGTH = ("epochs", "eval_epochs")  # the settings in which an arm differs from its partner
PLACE = ("task", "folder", "facts")  # of a spec: what tasks of one group differ in
FINISHED, CONVERGED, OVERFITS = "finished", "converged", "overfits"  # nothing more to be gained
RISING, UNKNOWN = "rising", "unknown"
STATES = (FINISHED, CONVERGED, OVERFITS, RISING, UNKNOWN)
OWN, GROUP, NONE = "own", "group", "none"  # whose partner says so
CORNERS = 14  # arms of which every choice is tried

Arm = tuple[str, int | None]  # all that a run is but its seed and its length, and its epochs


class Growth(NamedTuple):
    """What the last doubling of its training gave an arm."""

    state: str  # one of STATES
    gain: float = np.nan  # in points of accuracy on validation, with a 95 % interval
    low: float = np.nan
    high: float = np.nan
    seeds: int = 0
    images: int = 0  # of validation
    partner: str = NONE

    def grant(self, accuracy: float) -> float:
        """Returns how many points more training may still add to a test accuracy in percent."""
        room = 100 - accuracy
        if self.state == RISING:
            return min(FACTOR * self.high, room)
        return room if self.state == UNKNOWN else 0.0


Growths = Mapping[Arm, Growth]


def arm_of(record: Record) -> Arm:
    """Returns the arm that a run is, or the partner of one."""
    return canonical(variants.without(record, LENGTH)), variants.setting(record, "epochs")


def doubled(arm: Arm) -> Arm | None:
    """Returns the arm of twice the length, None where there are no epochs."""
    chain, epochs = arm
    return (chain, 2 * epochs) if epochs else None


def arms(records: Iterable[Record]) -> list[Record]:
    """Returns `records` without the partners of half the length.

    A variant whose runs are partners is left out as a whole, also where an arm is not there.
    """
    records = list(records)
    there = {arm_of(record) for record in records}
    halves = {arm for arm in there if doubled(arm) in there}
    names = {name_of(record) for record in records if arm_of(record) in halves}
    names = {name for name in names if name[1] != "default"}
    return [one for one in records if arm_of(one) not in halves and name_of(one) not in names]


def name_of(record: Record) -> tuple[str, str]:
    """Returns the (method, variant) of a run."""
    return record["spec"]["method"], record["spec"]["variant"]


def grants(records: Iterable[Record]) -> Growths:
    """Returns arm -> its growth, of all arms in `records`, which hold their partners, too.

    A task without a partner of its own takes the growth with the largest upper end of its group:
    the tasks with the same backbone, method, settings and length.
    """
    runs: dict[Arm, dict[int, Record]] = {}
    for record in records:
        runs.setdefault(arm_of(record), {}).setdefault(record["spec"]["seed"], record)
    partner_of = {doubled(arm): group for arm, group in runs.items()}
    own = {arm: grown(group, partner_of.get(arm, {})) for arm, group in runs.items()}
    group_of = {arm: group_name(next(iter(group.values()))) for arm, group in runs.items()}
    largest: dict[str, Growth] = {}
    for arm, growth in own.items():
        if growth and growth.high >= largest.get(group_of[arm], growth).high:
            largest[group_of[arm]] = growth._replace(partner=GROUP)
    unknown = Growth(UNKNOWN)
    return {arm: own[arm] or largest.get(group_of[arm], unknown) for arm in runs}


def group_name(record: Record) -> str:
    """Returns what the tasks of one group have in common."""
    spec = variants.without(record, LENGTH)
    alike = {key: value for key, value in spec.items() if key not in PLACE}
    return canonical([alike, variants.setting(record, "epochs")])


def grown(group: Mapping[int, Record], partner: Mapping[int, Record]) -> Growth | None:
    """Returns the growth of an arm from its partner, both by seed; None without a partner."""
    if "epochs" not in METHODS[next(iter(group.values()))["spec"]["method"]].settings:
        return Growth(FINISHED)
    both = [validated(group[seed], partner[seed]) for seed in sorted(group.keys() & partner.keys())]
    pairs = [pair for pair in both if pair is not None]
    if not pairs:
        return None
    longer, shorter = (np.array(side) for side in zip(*pairs))
    gain, low, high = paired.difference([(longer, shorter)])
    seeds, images = longer.shape
    return Growth(state_of(high), gain, low, high, seeds, images, OWN)


def state_of(high: float) -> str:
    """Returns the state of an arm, given the upper end of what its last doubling gained."""
    if high >= THRESHOLD:
        return RISING
    return OVERFITS if high < 0 else CONVERGED


def validated(longer: Record, shorter: Record) -> Pair | None:
    """Returns which validation images two runs classify correctly.

    None where a record does not say so.
    """
    arrays = [reading.arrays(record, "predictions") for record in (longer, shorter)]
    if any("validation_prediction" not in each for each in arrays):
        return None
    ours, theirs = (each["validation_label"] for each in arrays)
    if not np.array_equal(ours, theirs):
        names = " and ".join(paired.where(record) for record in (longer, shorter))
        raise RecordError(f"{names}: their validation images differ; run both on the same data")
    right, other = (each["validation_prediction"] == ours for each in arrays)
    return right, other


def part(growths: Growths, group: Sequence[Record], name: str, accuracy: float) -> Row:
    """Returns what more training may change of the accuracy (%) of an arm, as a part of an effect.

    `group` are the runs of the arm, which is called `name`.
    """
    return granted(growths[arm_of(group[0])], name, accuracy)


def granted(growth: Growth, name: str, accuracy: float) -> Row:
    """Returns the same of an arm with that growth."""
    grant = growth.grant(accuracy)
    return {"up": grant, "down": 0.0, "rising": {name: "+"} if grant else {}}


def corners(
    coefficient: Coefficient, parts: Sequence[Row], values: np.ndarray, *others: np.ndarray
) -> Row:
    """Returns what more training may change of a correlation of `values`, given their `parts`.

    It is the most over all choices of arms that gain all they may; of too many arms, anything.
    """
    value = float(values_of(coefficient, [values, *others]))
    raises = np.array([one["up"] for one in parts])
    rising = np.flatnonzero(raises)
    if np.isnan(value) or not len(rising):
        return {"up": 0.0, "down": 0.0, "rising": {}}
    found = np.array([-1.0, 1.0])
    if len(rising) <= CORNERS:
        chosen = np.zeros((2 ** len(rising), len(values)))
        chosen[:, rising] = list(product((0, 1), repeat=len(rising)))
        found = values_of(coefficient, [values + raises * chosen, *others])
    up, down = float(np.nanmax(found)) - value, value - float(np.nanmin(found))
    sign = "both" if up and down else "+" if up else "-"
    names = {name: sign for one in parts for name in one["rising"]} if up or down else {}
    return {"up": up, "down": down, "rising": names}
