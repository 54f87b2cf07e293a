"""A rehearsal: everything that a configuration will do, small, before anything is spent on it."""

import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vpbench.common.errors import UserError
from vpbench.common.paths import use
from vpbench.experiment.rehearsal import (
    configuration,
    datasets,
    full_size,
    listed_files,
    planned,
    random_weights,
    runs,
)
from vpbench.experiment.rehearsal.outcomes import Outcome
from vpbench.experiment.rehearsal.shapes import Shape, shapes_of, thinned
from vpbench.experiment.rehearsal.workflow import Machine, link_suite, write_config
from vpbench.spec.aliases import Config
from vpbench.spec.grid import Grid, expand
from vpbench.spec.made_up import MARKER

ROOM = 12  # gigabytes of the scratch folder beside the weights: checkpoints, records


class Rehearsal(NamedTuple):
    """What is rehearsed: a grid, its shapes, where and on which machine."""

    config: Config
    where: str  # the configuration's files
    wanted: Grid
    shapes: list[Shape]
    scratch: Path
    machine: Machine


def rehearsal(
    config: Config, where: str, scratch: Path, machine: Machine, count: int | None = None
) -> Rehearsal:
    """Returns the `Rehearsal` of a configuration; of `count` shapes, if that is given.

    Raises UserError if the configuration or the scratch folder cannot be used.
    """
    use(config.get("data_dir"), config.get("weights_dir"))
    own = {key: config[key] for key in config if key not in ("data_dir", "weights_dir", "device")}
    wanted = expand(own, where)
    check_scratch(scratch)
    shapes = thinned(shapes_of(wanted.specs.values()), count)
    return Rehearsal(own, where, wanted, shapes, scratch, machine)


def check_scratch(scratch: Path) -> None:
    """Raises UserError unless a rehearsal may write into the folder: it is empty, or one's own."""
    if scratch.is_dir() and any(scratch.iterdir()) and not (scratch / MARKER).is_file():
        raise UserError(
            f"--scratch {scratch}: it holds something else; name an empty folder, or a new one"
        )
    scratch.mkdir(parents=True, exist_ok=True)
    (scratch / MARKER).touch()


def steps(one: Rehearsal) -> Iterator[tuple[str, list[Outcome]]]:
    """Yields (what was done and how long it took, its outcomes), step by step."""
    scratch, machine = one.scratch, one.machine
    suite = link_suite(scratch / "suite")
    tasks = list(dict.fromkeys(shape.chosen["task"] for shape in one.shapes))
    made, words = timed(lambda: make(one, tasks))
    rehearsed, random = made
    yield f"{len(tasks)} datasets made, {len(random)} backbones of random weights{words}", []
    found, words = timed(lambda: runs.rehearse_data(suite, scratch, machine, rehearsed))
    yield f"datasets opened and cached{words}", found
    found, words = timed(lambda: runs.rehearse_runs(suite, scratch, machine, rehearsed, one.shapes))
    yield f"{len(one.shapes)} shapes of {len(one.wanted.specs)} runs{words}", found
    full = link_suite(scratch / "full")
    found, words = timed(
        lambda: full_size.rehearse_analyses(full, scratch, machine, one.config, one.where)
    )
    yield f"analyses of full-size records{words}", found
    found, words = timed(lambda: list(planned.compare(scratch, machine, one.wanted, rehearsed)))
    yield f"compared with the plan{words}", found


def make(one: Rehearsal, tasks: list[str]) -> tuple[Grid, list[str]]:
    """Returns (the grid of the rehearsed runs, the backbones whose weights are random), once all
    that they read is in the scratch folder."""
    backbones = {shape.chosen["backbone"] for shape in one.shapes}
    _, measured = configuration.measured_runs(one.wanted, tasks)
    backbones |= {spec["backbone"] for spec in measured}
    check_room(one.scratch, backbones)
    shutil.rmtree(one.scratch / "data", ignore_errors=True)
    (one.scratch / "data").mkdir()
    facts = datasets.write_all(tasks, one.scratch / "data")
    random = random_weights.place_all(sorted(backbones), one.scratch / "weights")
    photographs = listed_files.write_photographs(one.scratch / "photographs")
    config = configuration.of_shapes(one.wanted, one.shapes, facts, photographs)
    write_config(one.scratch / "suite", config)
    return expand(config, "the rehearsal"), random


def check_room(scratch: Path, backbones: set[str]) -> None:
    """Raises UserError unless the scratch folder has room for weights and checkpoints."""
    needed = random_weights.gigabytes(backbones) + ROOM
    free = shutil.disk_usage(scratch).free / 1e9
    if needed > free:
        raise UserError(
            f"--scratch {scratch}: {needed:.0f} GB are needed, {free:.0f} are free; name another"
        )


def timed(step: Callable[[], Any]) -> tuple[Any, str]:
    """Returns (what `step` returns, the seconds that it took in words)."""
    started = time.perf_counter()
    found = step()
    return found, f" in {time.perf_counter() - started:.0f} s"


def peak_gigabytes() -> float:
    """Returns the peak memory of the largest process that was started here and has ended."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e9
