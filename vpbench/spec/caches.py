"""The caches of real datasets that a configuration reads: what is decoded before it is run."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from vpbench.common import strict_json
from vpbench.common.errors import UserError
from vpbench.common.hashing import canonical
from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.blocks import measurements
from vpbench.spec.grid import Grid, measurement_specs
from vpbench.spec.measurements import seen_by
from vpbench.spec.preprocessing import Preprocessing, straight_to
from vpbench.spec.tasks import SPLITS, TASKS, is_twin


class Cached(NamedTuple):
    """A cache: of which images, and whose transform they have gone through."""

    task: str
    data: dict[str, Any]  # images of each split, and resolution
    backbone: str | None  # None: the images go straight to a side
    side: int | None = None

    @property
    def transform(self) -> Preprocessing:
        """What the images go through before they are stored."""
        if self.backbone is None:
            return straight_to(self.side or 0)
        return Preprocessing(*BACKBONES[self.backbone].preprocessing)

    @property
    def name(self) -> str:
        """What tells it from the other caches of its task."""
        names = ["native" if self.data["resolution"] == "native" else self.transform.key]
        names += [f"{split}{self.data[split]}" for split in SPLITS if self.data[split] is not None]
        return "_".join(names)

    @property
    def options(self) -> list[str]:
        """The options of `vpbench data prepare` that make it."""
        images = ["--image-side", str(self.side)]
        images = images if self.backbone is None else ["--backbones", self.backbone]
        return [*images, "--data", canonical(self.data)]


def caches(grid: Grid) -> list[Cached]:
    """Returns all caches that the runs and the measurements of a grid read, each once."""
    found = [of_run(spec) for spec in grid.specs.values()]
    for name in measurements(grid.config):
        specs = measurement_specs(grid, name, photographs=False)
        found += [each for spec in specs for each in of_measurement(spec)]
    real = [each for each in found if each.task in TASKS and not is_twin(each.task)]
    return list({(each.task, each.name): each for each in real}.values())


def of_run(spec: Spec) -> Cached:
    """Returns the cache that a run reads: all its images, also where it draws a few."""
    data = {key: value for key, value in spec["data"].items() if key != "shots"}
    side = spec["settings"].get("image_side")
    if side is None or data["resolution"] == "native":  # shrunk when it is looked at
        return Cached(spec["task"], data, spec["backbone"])
    return Cached(spec["task"], data, None, side)


def of_measurement(spec: Spec) -> Iterator[Cached]:
    """Yields the caches that a measurement reads: one for each backbone, or of its extractor."""
    if "extractor" in spec["settings"]:
        yield Cached(spec["task"], spec["data"], *seen_by(spec["settings"]["extractor"]))
    for backbone in dict.fromkeys(run["backbone"] for run in spec["runs"]):
        yield Cached(spec["task"], spec["data"], backbone)


def stands(marker: str | Path) -> bool:
    """Returns whether a marker is there and so are the files that it says are made."""
    path = Path(marker)
    try:
        files = strict_json.read_json(path)
    except (OSError, UserError):  # of a version that wrote nothing into it
        return False
    return isinstance(files, list) and all((path.parent / str(file)).exists() for file in files)
