"""The label maps: from what a backbone says of an image to the classes of a task (section 3.3)."""

from typing import Any, NamedTuple

from vpbench.spec.modalities import MODALITIES
from vpbench.spec.outside import Catalogue


class LabelMapEntry(NamedTuple):
    """A label map: what makes it, for which backbones, and is it trained with the prompt?"""

    # module:function(backbone, task, settings, seed) -> vpbench.prompts.label_maps.LabelMap
    implementation: str
    modality: str
    trained: bool = False  # by steps, together with the prompt
    # when it is counted from training images: "once", before the training, or every "epoch"
    refresh: str | None = None


def _ours(function: str, modality: str, **more: Any) -> LabelMapEntry:
    return LabelMapEntry(f"vpbench.prompts.label_maps:{function}", modality, **more)


_OURS = {  # those of the paper's section 3.3, then others' for each modality
    "text": _ours("text", "vision_language"),
    "hard_coded": _ours("hard_coded", "vision"),
    "names": _ours("names", "vision_language"),
    "ensemble": _ours("ensemble", "vision_language"),
    "learned_classifier": _ours("learned_classifier", "vision_language", trained=True),
    "random": _ours("random", "vision"),
    "semantic": _ours("semantic", "vision"),
    "frequency": _ours("frequency", "vision", refresh="once"),
    "iterative": _ours("iterative", "vision", refresh="epoch"),
    "bayesian": _ours("bayesian", "vision", refresh="epoch"),
    "bayesian_plus": _ours("bayesian_plus", "vision", refresh="epoch"),
    "linear": _ours("linear", "vision", trained=True),
}
LABEL_MAPS = Catalogue(
    "vpbench.label_maps",
    LabelMapEntry,
    _OURS,
    {"modality": MODALITIES, "refresh": (None, "once", "epoch")},
)
