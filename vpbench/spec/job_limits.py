"""How long a job may take and how often it is started again, by the stated hours of its runs.

A job that its time limit has ended goes on from its checkpoint when it is started again, so a run
of any length ends, slice by slice.
"""

import math
from collections.abc import Iterable

from vpbench.spec.aliases import Config, Spec
from vpbench.spec.costs import hours_of

MAX_RUNTIME = 240  # minutes of a job, where a configuration does not say
SLACK = 1.5  # times the plan: another GPU than an A100, and reading the images
FLOOR = 10  # minutes: to import libraries, load weights and look at a first batch
UNKNOWN = 100  # hours of a run that cannot be told, such as on a folder of images
SPARE = 3  # starts that something else than the time limit may end


def max_runtime(config: Config) -> int:
    """Returns the minutes of a job of a configuration, at most."""
    minutes: int = config.get("max_runtime", MAX_RUNTIME)
    return minutes


def runtime(specs: Iterable[Spec], most: int) -> int:
    """Returns the minutes of a job that does the runs of `specs`, `most` if they are not known.

    They are 1.5 times the plan, no less than some to start, and no more than `most`.
    """
    hours = [hours_of(spec) for spec in specs]
    known = [each for each in hours if each is not None]
    if len(known) < len(hours):
        return most
    return min(most, max(FLOOR, math.ceil(SLACK * 60 * sum(known))))


def retries(jobs: Iterable[Iterable[Spec]], most: int) -> int:
    """Returns how often a job is started again: as often as the longest needs slices of `most`
    minutes, and some times more."""
    hours = [
        [UNKNOWN if (each := hours_of(spec)) is None else each for spec in job] for job in jobs
    ]
    return math.ceil(max(map(sum, hours), default=0) * 60 / most) + SPARE
