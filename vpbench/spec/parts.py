"""The parts of a run that have descriptions: method, backbone, form of a prompt, label map."""

from typing import Any

from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.label_maps import LABEL_MAPS
from vpbench.spec.methods import METHODS
from vpbench.spec.outside import Catalogue
from vpbench.spec.prompt_forms import PROMPT_FORMS

Parts = dict[str, tuple[Catalogue[Any], str]]


def parts_of(spec: Spec) -> Parts:
    """Returns part -> (its catalogue, its name there) of a run.

    The settings of a method that is not the suite's may mean other things by the same names.
    """
    parts: Parts = {"method": (METHODS, spec["method"]), "backbone": (BACKBONES, spec["backbone"])}
    for key, catalogue in (("template", PROMPT_FORMS), ("label_map", LABEL_MAPS)):
        name = spec["settings"].get(key)
        known = isinstance(name, str) and name in catalogue
        if key in spec["settings"] and (known or METHODS.is_ours(spec["method"])):
            parts[key] = catalogue, name
    return parts
