"""`vpbench fit --try lr=1,3,10,30`: values of a setting, of which validation chooses."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from vpbench.cli.arguments import read_change
from vpbench.cli.fits import Asked, Fits
from vpbench.common import paired
from vpbench.common.errors import UserError
from vpbench.common.messages import one_line
from vpbench.spec.settings import Settings

if TYPE_CHECKING:  # it loads torch: see vpbench.cli
    from vpbench.methods.model import Model


class Tries(NamedTuple):
    """Values of a setting to try, in the order in which they were given."""

    name: str
    values: list[Any]


class Chosen(NamedTuple):
    """The best settings, and their model unless that was fitted before the command was stopped."""

    settings: Settings
    model: "Model | None"


def read_tries(text: str) -> Tries:
    """Returns what NAME=VALUE,VALUE,... asks for."""
    name, equals, given = text.partition("=")
    values = [read_change(f"{name}={value}")[1] for value in given.split(",")]
    different = list(dict.fromkeys(values))
    if not equals or not name or "" in values or len(different) < 2:
        raise UserError(f"--try {one_line(text)}: expected NAME=VALUE,VALUE,..., as lr=1,3,10,30")
    return Tries(name, different)


def choose(fits: Fits, trials: Sequence[Asked], tries: Tries) -> Chosen:
    """Returns the trial that has most validation images right; ties go to the first one.

    Each is a full training of the recipe; the test images have no part in it. Says how good each
    is, and how sure the choice.
    """
    rights: list[np.ndarray] = []
    best = Chosen({}, None)
    for value, (method, settings) in zip(tries.values, trials, strict=True):
        right, model = fits.right(method, settings, "validation")
        accuracy = f"{100 * right.mean():.1f} % of {len(right):,} validation images"
        print(f"{tries.name}={value}: {accuracy}", flush=True)
        if not rights or right.sum() > max(each.sum() for each in rights):
            best = Chosen(settings, model)  # one model at a time: they may be large
        del model
        rights.append(right)
    print(sureness(tries, rights), flush=True)
    return best


def sureness(tries: Tries, rights: Sequence[np.ndarray]) -> str:
    """Returns which value is chosen, and how sure that is against the second best."""
    order = sorted(range(len(rights)), key=lambda number: -int(rights[number].sum()))
    first, second = order[:2]
    gain, low, high = paired.difference([(rights[first], rights[second])])
    sure = "sure" if low > 0 else "not sure: on other images the second may be the best"
    best, next_best = tries.values[first], tries.values[second]
    line = (
        f"{tries.name}={best} is chosen, {gain:+.1f} points [{low:+.1f}, {high:+.1f}] against "
        f"{tries.name}={next_best}, {sure}"
    )
    numbers = [each for each in tries.values if isinstance(each, int | float)]
    for end, word in ((max, "largest"), (min, "smallest")):
        if len(numbers) == len(tries.values) and best == end(numbers):
            line += f"; it is the {word} that was tried, try {word[:-3]}er ones as well"
    return line
