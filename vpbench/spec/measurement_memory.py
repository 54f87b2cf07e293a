"""How much memory of the machine a measurement takes, worked out from facts as that of a run is.

All in float32. tests/spec/test_measurement_memory.py adds it up by hand.
"""

from typing import NamedTuple

from vpbench.spec.aliases import Spec
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.costs import classes_of, images_of
from vpbench.spec.measurements import DRAWS, PHOTOGRAPH, seen_by
from vpbench.spec.memory_costs import (
    CUDA,
    DOUBLE,
    ENCODED,
    FLOAT,
    FORWARD,
    GIGA,
    IMAGE_FACTS,
    LIBRARIES,
    LOOK,
    SIZES,
    SMALL,
    SPREAD,
    Sizes,
    asked_mb,
)
from vpbench.spec.tasks import is_twin


class Network(NamedTuple):
    """A network that is no backbone."""

    parameters: int  # as it is built, those above the layers that are used among them
    values: float  # million values that an image takes on its way
    features: int = 0


NETWORKS = {
    "inception_v3": Network(23_885_392, 4.0, 2048),
    # The layers of two images, the same of unit length, and their differences: half of that each
    "lpips_alex": Network(61_100_840, 1.2),
    "lpips_vgg": Network(138_357_544, 16.0),
}
BATCH = LOOK[False]  # images that a network looks at in dataset_properties, on a GPU as well
STAGES = 2 * FORWARD  # of a step's values: those after all stages of a backbone
COPIES = 3  # of their features: in parts, as one, and as the bytes of a file
SQUARES = 10  # matrices of features by features while a Frechet distance is computed
PHOTOGRAPHS = 1_281_167  # of a reference: all of ImageNet's, whose names are read
NAME = 400  # bytes of such a name, in the list that is drawn from and for the fingerprint
CHANNELS = 3
# Values of 4 bytes of a prompted picture: with the prompt, on its way to whole numbers three times
PROMPTED = 4


def host_mb(spec: Spec, on_gpu: bool = True) -> int:
    """Returns the megabytes of the machine's memory that a measurement of a task asks for."""
    return asked_mb(gigabytes(spec, on_gpu))


def gigabytes(spec: Spec, on_gpu: bool = True) -> float:
    """Returns the gigabytes of the machine at the worst moment of a measurement of a task."""
    held = LIBRARIES + task_bytes(spec)
    compares = spec["measurement"] == "dataset_properties"
    held += compared_bytes(spec) if compares else pictures_bytes(spec)
    if on_gpu:  # weights are read and filled in one after another
        read = max((2 * FLOAT * parameters(name) for name in networks(spec)), default=0)
        return (held + CUDA + read) / GIGA
    # As loaded and folded
    weights = sum(2 * FLOAT * parameters(name) for name in networks(spec))
    work = compared_work(spec) if compares else look_work(spec)
    return (held + weights + work) / GIGA


def networks(spec: Spec) -> list[str]:
    """Returns the networks that a measurement holds: those it is set to, or those of its runs."""
    settings = spec["settings"]
    if spec["measurement"] != "dataset_properties":
        return list(dict.fromkeys(run["backbone"] for run in spec["runs"]))
    return [settings["extractor"], *({settings["diversity"]} & set(NETWORKS))]


def parameters(network: str) -> int:
    """Returns the number of parameters of a backbone, or of a network that is none."""
    if network in NETWORKS:
        return NETWORKS[network].parameters
    return BACKBONES[network].parameters or 0


def side_of(network: str) -> int:
    """Returns the pixels of a side of the images that a network takes."""
    return BACKBONES[network].preprocessing[1] if network in BACKBONES else PHOTOGRAPH


def task_bytes(spec: Spec) -> float:
    """Returns what the labels of a task take for each network, and the pixels of a twin.

    Those of a dataset are mapped from its cache; of a folder only itself can tell how many.
    """
    images = images_of(spec)
    if images is None:
        return 0
    sides = {side_of(name) for name in networks(spec)}
    pixels = sum(CHANNELS * side**2 for side in sides) if is_twin(spec["task"]) else 0
    return sum(images.values()) * (len(sides) * IMAGE_FACTS + pixels)


def compared_bytes(spec: Spec) -> float:
    """Returns what the images and the features of dataset_properties take."""
    settings, images = spec["settings"], images_of(spec)
    count = min(settings["images"], images["train"]) if images else settings["images"]
    _, side = seen_by(settings["extractor"])
    pixels = CHANNELS * (side or side_of(settings["extractor"])) ** 2
    drawn = DRAWS * settings["images"]
    width = features_of(settings["extractor"])
    held: float = COPIES * drawn * width * DOUBLE + SQUARES * width**2 * DOUBLE
    # Images of another size are resized: as they are, one by one, and as one
    held += count * pixels * (1 if spec["data"]["resolution"] == "backbone" else 3)
    if settings["reference"] is None:  # the lab's world is painted
        return held + (settings["reference_images"] + drawn) * pixels
    return held + PHOTOGRAPHS * NAME


def features_of(network: str) -> int:
    """Returns the number of features of a backbone, or of a network that is none."""
    return NETWORKS[network].features if network in NETWORKS else sizes_of(network).features


def sizes_of(backbone: str) -> Sizes:
    """Returns the `Sizes` of a backbone, or those that no small one exceeds."""
    return SIZES.get(backbone, SMALL)


def compared_work(spec: Spec) -> float:
    """Returns what a batch of dataset_properties takes on its way, where that is the machine's."""
    extractor, diversity = (spec["settings"][key] for key in ("extractor", "diversity"))
    if extractor in NETWORKS:
        seen = NETWORKS[extractor].values
    else:
        seen = FORWARD * sizes_of(extractor).prompt
    apart = (
        NETWORKS[diversity].values
        if diversity in NETWORKS
        else (STAGES * sizes_of(extractor).prompt)
    )
    return BATCH * max(seen, 2 * apart) * 1e6 * FLOAT * SPREAD


def pictures_bytes(spec: Spec) -> float:
    """Returns what the pictures take that prompts were put on: of deployability, all at once."""
    images = images_of(spec)
    count = spec["settings"]["images"]
    count = min(count, images["test"]) if images else count
    if spec["measurement"] != "deployability":  # transfer: a batch after another
        return 0
    pixels = count * CHANNELS * max(side_of(name) ** 2 for name in networks(spec))
    return pixels * (PROMPTED * FLOAT + 2)  # and whole: without the prompt, and with it


def look_work(spec: Spec) -> float:
    """Returns what a look at a batch takes, and the texts of all classes."""
    looks = [LOOK[False] * FORWARD * sizes_of(name).prompt * SPREAD for name in networks(spec)]
    reads = any(BACKBONES[name].modality == "vision_language" for name in networks(spec))
    texts = ENCODED * classes_of(spec) if reads else 0
    return max(*looks, texts) * 1e6 * FLOAT
