"""The scales: what kind of data and models a configuration is about, and what it is called.

A configuration gives its scale a name of its own, which is in the path of every record, and says
of which kind it is.
"""

from typing import NamedTuple

KINDS = {  # what the data and models are -> in words, for a scale that the suite does not ship
    "twins": "procedural twins, micro backbones",
    "real": "real images and models, but not the paper's",
    "paper": "the paper's datasets and models",
    "rehearsal": "a rehearsal on made-up data; its numbers mean nothing",
}


class Scale(NamedTuple):
    """A scale that the suite ships a configuration of."""

    kind: str  # one of KINDS
    title: str  # in figures and tables


SCALES = {
    "lab": Scale("twins", "Lab scale: procedural twins, micro backbones"),
    "smoke": Scale("twins", "Smoke scale: a check that everything runs; its numbers mean nothing"),
    "search": Scale("twins", "Lab scale, search for recipes on validation splits"),
    "speedrun": Scale("twins", "Lab scale, search for shorter trainings on validation splits"),
    "training_length": Scale("twins", "Lab scale, search for the length of a training"),
    "study": Scale("twins", "Study: procedural twins, micro backbones, prompts trained for long"),
    "desk": Scale(
        "real",
        "Desk scale: EfficientNet-Lite of ImageNet; in CLIP's place it has a sentence encoder",
    ),
    "desk-speedrun": Scale("real", "Desk scale, search for shorter trainings on validation splits"),
    "paper": Scale("paper", "Paper scale"),
    "paper-fast": Scale(
        "paper", "Paper scale in fewer steps: real datasets and models, shorter training"
    ),
}


def scale_title(name: str | None, kind: str | None = None) -> str:
    """Returns what a scale is called in figures; None of a name: there are no records."""
    if name is None:
        return "No measurements"
    if name in SCALES:
        return SCALES[name].title
    return f"Scale {name}: {KINDS[kind]}" if kind else f"Scale {name}"
