"""Models from a fit and from files."""

import sys
from pathlib import Path
from typing import Any

from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.implementations import imported, source_of
from vpbench.compute.draws import draws_apart
from vpbench.data.folder_images import DIGITS
from vpbench.data.task import Task
from vpbench.methods.model import Model, keeps_prompt
from vpbench.models.backbone import Backbone
from vpbench.prompts import files
from vpbench.prompts.build import part
from vpbench.prompts.own import NOTHING_OWN, Own, own_parts
from vpbench.spec.methods import METHODS
from vpbench.spec.settings import Settings
from vpbench.training.learner import Learner
from vpbench.training.selection import Selected


def fitted(
    method: str,
    module: Any,
    backbone: Backbone,
    task: Task,
    settings: Settings,
    selected: Selected,
    own: Own = NOTHING_OWN,
    described: dict[str, Any] | None = None,
) -> Model:
    """Returns the model of a fit that has the state of a `selected` epoch."""
    classifier = with_state(module, backbone, task, settings, selected.state or {}, own)
    accuracy = {split: selected.accuracy(split) for split in selected.evaluations}
    hashes = frozenset(task.splits["train"].hashes or ())
    return Model(
        method, classifier, backbone, task, settings, accuracy=accuracy, trained_on=hashes,
        own=described,
    )  # fmt: skip


def with_state(
    module: Any,
    backbone: Backbone,
    task: Task,
    settings: Settings,
    state: dict[str, Tensor],
    own: Own = NOTHING_OWN,
) -> Learner:
    """Returns what a method's `module` trains, with a state that was learned."""
    parts = {} if own == NOTHING_OWN else {"own": own}
    with draws_apart(backbone.device):  # what is drawn is replaced by the state
        classifier: Learner = module.learner(backbone, task, settings, 0, **parts)
    classifier.load_state_dict(state)
    return classifier.eval()


def load_model(
    path: str | Path,
    backbone: Backbone,
    *,
    prompt: Any = None,
    label_map: Any = None,
    method: Any = None,
) -> Model:
    """Returns what was saved at `path`, made for exactly this `backbone`.

    Parts of one's own are given again: nothing in the files is code.
    """
    tensors, card = files.read(path, backbone)
    check_own(path, card, {"prompt": prompt, "label_map": label_map, "method": method})
    names = tuple(card.get("original_names", card["class_names"]))
    notes = tuple(card.get("notes", ()))
    task = Task(card["task"], card["task"], names, card["text_prompt"], {}, notes=notes)
    name = card.get("method", files.USUAL)
    own = own_parts(prompt, label_map, backbone, len(names))
    if keeps_prompt(name):
        of_map = {f"{files.OF_MAP}.{key}": v for key, v in part(tensors, files.OF_MAP).items()}
        rest = {f"prompt.{key}": v for key, v in tensors.items() if key not in of_map}
        tensors = rest | of_map
    module = method or implementation_of(name)
    try:
        classifier = with_state(module, backbone, task, card["settings"], tensors, own)
    except (RuntimeError, TypeError, KeyError) as error:  # of load_state_dict: other tensors
        raise files.other_tensors(path, error) from None
    hashes = card.get("trained_on", "")
    return Model(
        name, classifier, backbone, task, card["settings"],
        accuracy=card["accuracy"],
        origin=card.get("imported"),
        trained_on=frozenset(hashes[i : i + DIGITS] for i in range(0, len(hashes), DIGITS)),
        own=card.get("own"),
    )  # fmt: skip


def check_own(path: str | Path, card: dict[str, Any], given: dict[str, Any]) -> None:
    """Raises UserError unless the parts of one's own that a card tells of are given, no others.

    Says on stderr if the file that defines one has changed since.
    """
    told = card.get("own", {})
    for which, value in given.items():
        if which not in told and value is not None:
            raise UserError(f"{path} has no {which} of one's own; leave it out")
        if which not in told:
            continue
        if value is None:
            name = told[which]["name"]
            raise UserError(f"{path} has a {which} of one's own, {name}; give it: {which}=")
        now = source_of(value if which == "method" else type(value))
        if now["name"] != told[which]["name"]:
            raise UserError(f"{path}: its {which} is {told[which]['name']}, not {now['name']}")
        if now["file_sha256"] != told[which].get("file_sha256"):
            print(f"{path}: the file of {now['name']} has changed since", file=sys.stderr)


def implementation_of(method: str) -> Any:
    """Returns the module of a method."""
    return imported(METHODS[method].module)
