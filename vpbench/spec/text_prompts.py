"""Class names and text prompts, as the official code makes them."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, ClassVar, Protocol, TypeVar

from vpbench.common.errors import UserError
from vpbench.spec.class_names import read_manifest
from vpbench.spec.folder_names import in_text_order, two_orders
from vpbench.spec.settings import Settings
from vpbench.spec.tasks import TASKS


class Worded(Protocol):
    """A task: a dataclass with classes that have names."""

    __dataclass_fields__: ClassVar[dict[str, Any]]

    @property
    def name(self) -> str:
        """What the task is called."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of its classes, by label."""

    @property
    def template(self) -> str:
        """Its text prompt."""


T = TypeVar("T", bound=Worded)


def refine_class_name(name: str) -> str:
    """Returns `name` in lower case with spaces for `_` and `-` (the official refine_classname)."""
    return name.lower().replace("_", " ").replace("-", " ")


def coop_class_name(name: str) -> str:
    """Returns `name` in lower case with spaces for `_` alone: CoOp's, and of what follows it."""
    return name.lower().replace("_", " ")


def text_prompts(
    template: str,
    class_names: Sequence[str],
    refine: Callable[[str], str] = refine_class_name,
) -> list[str]:
    """Returns one text per class: `template` with its {} replaced by the refined class name."""
    if template.count("{}") != 1:
        raise UserError(f"the text prompt {template!r} must contain {{}} exactly once")
    return [template.replace("{}", refine(name)) for name in class_names]


def said_class_names(class_names: Sequence[str], settings: Settings) -> Sequence[str]:
    """Returns the class names of `settings`, or `class_names` of a task where they have none.

    They may go by the name of a list of vpbench.spec.class_names, e.g. svhn.words.
    """
    names = settings.get("class_names") or class_names
    return read_manifest(names) if isinstance(names, str) else names


def check_one_order(task: Worded, key: str) -> None:
    """Raises UserError if class folders may not be in the order in which a setting names them."""
    names = list(task.class_names)
    if two_orders(names) and names == in_text_order(names):
        raise UserError(
            f"{key}: the classes of {task.name} come as {', '.join(names[:4])}, ..., which "
            "may not be the order of these names; give a file of class names with the folder, or "
            "choose class_order counting"
        )


def worded(task: T, settings: Settings) -> T:
    """Returns `task` in the words of `settings`: its text prompt and class names, if it has any."""
    names = said_class_names(task.class_names, settings)
    if len(names) != len(task.class_names):
        raise UserError(
            f"class_names: {len(names)} names, but {task.name} has {len(task.class_names)} classes"
        )
    for key in ("class_names", "source_classes"):
        if settings.get(key) and task.name not in TASKS:
            check_one_order(task, key)
    template = settings.get("text_prompt") or task.template
    return replace(task, class_names=tuple(names), template=template)
