"""The measurements: what is measured beside the runs, and with which settings."""

from typing import Any, NamedTuple

from vpbench.spec.backbones import BACKBONES
from vpbench.spec.settings import COUNT


class Measurement(NamedTuple):
    """What is measured beside the runs: where, with which settings, and does it read prompts?"""

    module: str  # has measure(load, settings, runs, device) -> measured.Measured
    settings: dict[str, Any]  # setting -> what is legal, as JSON schema
    reads_prompts: bool


_MEASUREMENTS = "vpbench.experiment.measurements."
MEASUREMENTS = {
    "dataset_properties": Measurement(
        _MEASUREMENTS + "dataset_properties",
        {
            "extractor": {"enum": [*BACKBONES, "inception_v3"]},  # of the Frechet distance
            "diversity": {"enum": ["features", "lpips_alex", "lpips_vgg"]},
            "weights": {"type": ["string", "null"]},  # a file for inception_v3 or lpips
            "images": COUNT,
            # A folder of photographs like those that the extractor was pretrained on, e.g. of
            # ImageNet; null: the lab's world
            "reference": {"type": ["string", "null"]},
            "reference_images": COUNT,
            "pairs": COUNT,
            "seed": {"type": "integer", "minimum": 0},
        },
        reads_prompts=False,
    ),
    "deployability": Measurement(
        _MEASUREMENTS + "deployability",
        {
            "images": COUNT,
            "jpeg_qualities": {
                "type": "array",
                "items": {"type": "integer", "minimum": 1, "maximum": 95},
            },
        },
        reads_prompts=True,
    ),
    "transfer": Measurement(_MEASUREMENTS + "transfer", {"images": COUNT}, reads_prompts=True),
}
