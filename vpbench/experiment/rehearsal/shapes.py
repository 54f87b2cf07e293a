"""The shapes of a grid: the specs that go through the same code, one of which is rehearsed.

Enums, truths and what is there or not make a shape; numbers and names of classes make none.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from vpbench.common.hashing import canonical
from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.methods import METHODS

IMAGES = {"train": 4, "validation": 2, "test": 4}  # two steps of two images
BATCH = 2
WORDS = ("text_prompt", "context_words", "class_names", "source_classes")  # any are as good


class Shape(NamedTuple):
    """A shape: how many specs have it, and the one that is rehearsed."""

    key: str
    specs: int
    chosen: Spec

    @property
    def name(self) -> str:
        """What it is called in a table: its run, without what is as in the recipe."""
        spec = self.chosen
        variant = "" if spec["variant"] == "default" else f" {spec['variant']}"
        return f"{spec['method']}{variant} of {spec['backbone']} on {spec['task']}"


def key_of(spec: Spec) -> str:
    """Returns the shape of a spec: all that chooses between code paths, as text."""
    settings = {
        name: "words" if name in WORDS and value is not None else outline(value)
        for name, value in spec["settings"].items()
    }
    if settings.get("eval_epochs"):  # how many there are is a number, too
        settings["eval_epochs"] = "some"
    parts = {"data": spec["data"], "engine": spec["engine"], "folder": "folder" in spec}
    cell = [spec["backbone"], spec["method"], settings]
    return canonical([*cell, {name: outline(part) for name, part in parts.items()}])


def outline(value: Any) -> Any:
    """Returns a value without its numbers: of a list its kind of items and whether it has one."""
    if isinstance(value, dict):
        return {name: outline(part) for name, part in value.items()}
    if isinstance(value, list):
        return [outline(value[0]), len(value) > 1] if value else []
    if isinstance(value, int | float) and not isinstance(value, bool):
        return "number"
    return value


def shapes_of(specs: Iterable[Spec]) -> list[Shape]:
    """Returns the shapes of `specs`, each with one that is chosen so that all tasks come up.

    Cheap backbones are given their tasks last, so that a task that few shapes have is theirs.
    """
    groups: dict[str, list[Spec]] = {}
    for spec in specs:
        groups.setdefault(key_of(spec), []).append(spec)
    seen: Counter[str] = Counter()
    chosen = {}
    for key, group in sorted(groups.items(), key=lambda item: len(item[1])):
        spec = min(group, key=lambda one: seen[one["task"]])
        seen[spec["task"]] += 1
        chosen[key] = spec
    return [Shape(key, len(group), chosen[key]) for key, group in groups.items()]


def thinned(shapes: list[Shape], count: int | None) -> list[Shape]:
    """Returns about `count` of the shapes: of each method, modality and task the cheapest first.

    None: all.
    """
    if count is None or count >= len(shapes):
        return shapes
    seen: set[tuple[str, str]] = set()

    def news(shape: Shape) -> set[tuple[str, str]]:
        spec = shape.chosen
        facts = {"method": spec["method"], "task": spec["task"]}
        facts |= {"modality": BACKBONES[spec["backbone"]].modality}
        facts |= {"role": BACKBONES[spec["backbone"]].role}
        return set(facts.items()) - seen

    left = sorted(shapes, key=lambda shape: cost(shape.chosen))
    kept: list[Shape] = []
    while left and len(kept) < count:
        best = max(left, key=lambda shape: len(news(shape)))  # the first, the cheapest, of equals
        seen |= news(best)
        left.remove(best)
        kept.append(best)
    return [shape for shape in shapes if shape in kept]


def cost(spec: Spec) -> float:
    """Returns what a run costs, in operations of an image."""
    return (BACKBONES[spec["backbone"]].gflops or 1) * (1 + METHODS[spec["method"]].passes)


def cut(settings: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings of a run of two steps: as they are but for their numbers of steps."""
    short: dict[str, Any] = {"epochs": 1}
    short |= {"batch_size": min(BATCH, settings.get("batch_size") or BATCH)}
    short |= {"warm_up_steps": None if settings.get("warm_up_steps") is None else 1}
    looks = settings.get("eval_epochs")
    short |= {"eval_epochs": 1 if isinstance(looks, int) else [1] if looks else []}
    return settings | {key: value for key, value in short.items() if key in settings}
