"""The label maps: from what a backbone says of an image to the classes of a task (section 3.3)."""

from typing import NamedTuple


class LabelMapEntry(NamedTuple):
    """A label map: what makes it, for which backbones, and is it trained with the prompt?"""

    # module:function(backbone, task, settings, seed) -> vpbench.prompts.label_maps.LabelMap
    implementation: str
    modality: str
    trained: bool = False  # by steps, together with the prompt


def _ours(function: str, modality: str, trained: bool = False) -> LabelMapEntry:
    return LabelMapEntry(f"vpbench.prompts.label_maps:{function}", modality, trained)


LABEL_MAPS = {  # those of the paper's section 3.3, then others' for each modality
    "text": _ours("text", "vision_language"),
    "hard_coded": _ours("hard_coded", "vision"),
    "names": _ours("names", "vision_language"),
    "ensemble": _ours("ensemble", "vision_language"),
    "learned_classifier": _ours("learned_classifier", "vision_language", trained=True),
    "random": _ours("random", "vision"),
    "semantic": _ours("semantic", "vision"),
    "frequency": _ours("frequency", "vision"),
    "iterative": _ours("iterative", "vision"),
    "bayesian": _ours("bayesian", "vision"),
    "bayesian_plus": _ours("bayesian_plus", "vision"),
    "linear": _ours("linear", "vision", trained=True),
}
