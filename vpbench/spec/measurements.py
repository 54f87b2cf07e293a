"""The measurements: what is measured beside the runs, and with which settings."""

from typing import Any, NamedTuple

from vpbench.spec.backbones import BACKBONES
from vpbench.spec.settings import COUNT, said


class Measurement(NamedTuple):
    """What is measured beside the runs: where, with which settings, and does it read prompts?"""

    module: str  # has measure(load, settings, runs, device) -> measured.Measured
    settings: dict[str, Any]  # setting -> what is legal, as JSON schema
    reads_prompts: bool


SEVERAL = {"type": "integer", "minimum": 2}  # a covariance and a spread need two
DRAWS = 3  # samples of the reference that the bias of a Frechet distance is measured on
PHOTOGRAPH = 224  # pixels, the paper's, for an extractor that is no backbone
_MEASUREMENTS = "vpbench.experiment.measurements."
MEASUREMENTS = {
    "dataset_properties": Measurement(
        _MEASUREMENTS + "dataset_properties",
        {
            "extractor": said(
                {"enum": [*BACKBONES, "inception_v3"]},
                "network whose features give the Frechet distance",
            ),
            "diversity": said(
                {"enum": ["features", "lpips_alex", "lpips_vgg"]},
                "what measures how much images differ",
            ),
            "weights": said(
                {"type": ["string", "null"]},
                "weight file of inception_v3 or LPIPS; null: none is needed",
            ),
            "images": said(SEVERAL, "images of each task"),
            "reference": said(
                {"type": ["string", "null"]},
                "folder of photographs like those that the extractor was pretrained on; null: the "
                "lab's world",
            ),
            "reference_images": said(SEVERAL, "images of the reference"),
            "pairs": said(SEVERAL, "pairs of images whose difference is averaged"),
            "seed": said({"type": "integer", "minimum": 0}, "draws images and pairs"),
        },
        reads_prompts=False,
    ),
    "deployability": Measurement(
        _MEASUREMENTS + "deployability",
        {
            "images": said(COUNT, "images of each task"),
            "jpeg_qualities": said(
                {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 95}},
                "qualities of the JPEGs",
            ),
        },
        reads_prompts=True,
    ),
    "transfer": Measurement(
        _MEASUREMENTS + "transfer",
        {"images": said(COUNT, "images of each task")},
        reads_prompts=True,
    ),
}


def seen_by(extractor: str) -> tuple[str | None, int | None]:
    """Returns (backbone, None) whose transform the images of an extractor go through, or (None,
    side): they go straight to so many pixels."""
    return (extractor, None) if extractor in BACKBONES else (None, PHOTOGRAPH)
