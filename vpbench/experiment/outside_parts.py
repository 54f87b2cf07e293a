"""What a record says of the parts of a run that installed packages bring."""

from typing import Any

import torch
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.implementations import implementation, imported, source_of
from vpbench.compute.draws import draws_apart
from vpbench.data.task import Task
from vpbench.methods.kept_models import implementation_of
from vpbench.models.backbone import Backbone
from vpbench.models.state_hash import tensors_hash
from vpbench.prompts.build import prompt_of
from vpbench.prompts.label_maps import label_map
from vpbench.spec.aliases import Spec
from vpbench.spec.parts import parts_of
from vpbench.spec.text_prompts import worded


def outside_parts(spec: Spec, task: Task, backbone: Backbone) -> list[dict[str, Any]]:
    """Returns an entry of a record's `outside` for each part of a run that a package brings.

    It has the qualified name, the distribution and its version, the SHA-256 of the defining file
    and that of the state after seeding, None where there is none. Raises UserError, in one line,
    for a part without source: nobody could tell which code made the numbers.
    """
    found = []
    for part, (catalogue, name) in parts_of(spec).items():
        if catalogue.is_ours(name):
            continue
        package, version = catalogue.package(name)
        source = source_of(code_of(catalogue[name]))
        if source["file_sha256"] is None:
            raise UserError(
                f"{part} {name} of {package} {version}: {source['name']} has no source file, and a "
                "record says which code made it; install the package with its source"
            )
        state = seeded_state(part, spec, task, backbone)
        found.append(
            {"part": part, "distribution": package, "version": version, **source}
            | {"state_sha256": tensors_hash(state) if state else None}
        )
    return found


def code_of(entry: Any) -> Any:
    """Returns the class, function or module that a description names."""
    if hasattr(entry, "implementation"):
        return implementation(entry.implementation)
    return imported(entry.module)


def seeded_state(part: str, spec: Spec, task: Task, backbone: Backbone) -> dict[str, Tensor]:
    """Returns the tensors that a part of a run starts from; those of a backbone are its weights."""
    settings, seed = spec["settings"], spec["seed"]
    if part == "backbone":
        return dict(backbone.model.state_dict())
    if part == "template":
        generator = torch.Generator().manual_seed(seed)
        return dict(prompt_of(settings, backbone.image_size, generator).state_dict())
    if part == "label_map":
        return dict(label_map(backbone, worded(task, settings), settings, seed).state_dict())
    with draws_apart(backbone.device, seed):
        learner = implementation_of(spec["method"]).learner(backbone, task, settings, seed)
        return dict(learner.state_dict())
