"""Distance of a dataset from the pretraining set, and its diversity (section 6.1, Figure 5).

Shapes: N images, H = W pixels, D features. Images are uint8 [N, H, W, 3] where not said otherwise.
"""

import functools
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.common.intervals import NORMAL
from vpbench.data.task import Task
from vpbench.experiment.measurements import frechet
from vpbench.experiment.measurements.measured import Measured
from vpbench.models import lpips_weights
from vpbench.models.backbone import load_backbone
from vpbench.spec.preprocessing import Preprocessing, preprocess
from vpbench.spec.settings import Settings
from vpbench.spec.tasks import SPLITS, is_twin
from vpbench.training.evaluate import BATCH

Between = Callable[[Tensor, Tensor], Tensor]  # two batches of images -> distances [N]


def measure(
    load: Callable[[Preprocessing], Task],
    settings: Settings,
    runs: list[dict[str, Any]],
    device: torch.device,
) -> Measured:
    """Returns one row: how far the training images of `task` are from the reference, how diverse.

    The names of the networks are part of the keys. Raises UserError where weights are missing or
    not the published ones. `runs` is not read.
    """
    preprocessing = frechet.preprocessing_of(settings["extractor"])
    task = load(preprocessing)
    if settings["reference"] is None and not is_twin(task.name):
        raise UserError(
            f"dataset_properties: {task.name} is no twin, and the reference is the lab's world, "
            "which says nothing about photographs; give a folder of photographs as `reference`"
        )
    images = drawn(task.splits["train"].images, settings["images"], settings["seed"])
    if len(images) < frechet.FEWEST:
        raise UserError(
            f"dataset_properties: {len(images)} training image of {task.name}, where a covariance "
            f"and a pair need {frechet.FEWEST}; ask for more `images`"
        )
    if settings["reference"] is not None:
        frechet.check_enough(settings["reference"], len(images), settings["reference_images"])
        images = at_size(images, preprocessing)
    varied = diversity(images, settings, device)  # first, because its complaints come at once
    row = distance(images, settings, device) | varied
    return Measured(task, [row | {"images": len(images), "seed": settings["seed"]}])


def drawn(images: Tensor, count: int, seed: int) -> Tensor:
    """Returns `count` of the images, or all if there are fewer, in an order that `seed` gives."""
    order = np.random.default_rng([seed, 0]).permutation(len(images))[:count]
    return images[torch.from_numpy(order)]  # no others: they may be a file mapped into memory


def at_size(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Returns images as the photographs of a reference are: through the same `preprocessing`.

    They have not been if a task keeps them at their own size (`resolution: native`). Networks that
    resize would see the blur of small images as a difference of kind.
    """
    if images.shape[1:3] == (preprocessing.crop,) * 2:
        return images
    resized = [preprocess(Image.fromarray(image), preprocessing) for image in images.numpy()]
    return torch.from_numpy(np.stack(resized))


def distance(images: Tensor, settings: Settings, device: torch.device) -> dict[str, Any]:
    """Returns the Frechet distance of `images` from the reference, with what limits it.

    Its bias is that of further samples of the reference, of as many images: the true distance of
    those is 0. Below full rank, rank < dimension, the distance of small samples is too large.
    """
    extractor, folder = settings["extractor"], settings["reference"]
    count = settings["reference_images"]
    reference = frechet.reference_of(settings, device)
    value, rank = frechet.frechet_distance(reference.metric, images)
    biases = frechet.biases(reference, len(images))
    return {
        f"frechet_distance_{extractor}": value,
        f"frechet_bias_{extractor}": float(np.mean(biases)),
        f"frechet_bias_spread_{extractor}": float(np.std(biases, ddof=1)),
        "rank": rank,
        "dimension": len(reference.metric.real_features_sum),
        "reference": name_of(folder),
        "reference_images": count,
    }


def name_of(folder: str | None) -> str:
    """Returns what a reference is called: images of photos, of imagenet/train, the lab's world."""
    if folder is None:
        return f"{frechet.WORLD} lab world"
    *_, above, name = ("", *Path(folder).parts)
    return f"images of {above}/{name}" if above and name in SPLITS else f"images of {name}"


def diversity(images: Tensor, settings: Settings, device: torch.device) -> dict[str, Any]:
    """Returns the mean distance between the two images of a pair, with its 95 % interval."""
    name = settings["diversity"]
    if name == "features" and settings["extractor"] in frechet.FILES:
        raise UserError(
            f"the diversity `features` is that of a backbone, not of {settings['extractor']}; "
            "choose lpips_alex or lpips_vgg"
        )
    if name == "features":
        name = f"feature_diversity_{settings['extractor']}"
        between = load_feature_distance(settings["extractor"], device)
    else:
        between = load_lpips(name, frechet.weights_file(name, settings["weights"]), device)
    first, second = random_pairs(len(images), settings["pairs"], settings["seed"])
    distances = torch.cat(
        [between(images[a], images[b]) for a, b in zip(first.split(BATCH), second.split(BATCH))]
    )
    mean, error = mean_of_pairs(distances.numpy(), first.numpy(), second.numpy())
    return {
        name: mean,
        "diversity_error": error,
        "diversity_low": mean - NORMAL * error,
        "diversity_high": mean + NORMAL * error,
        "pairs": len(distances),
    }


def random_pairs(images: int, pairs: int, seed: int) -> tuple[Tensor, Tensor]:
    """Returns two tensors [pairs] of image numbers: pairs of different images."""
    generator = np.random.default_rng([seed, 1])
    first = generator.integers(images, size=pairs)
    second = (first + generator.integers(1, images, size=pairs)) % images
    return torch.from_numpy(first), torch.from_numpy(second)


def mean_of_pairs(
    distances: np.ndarray, first: np.ndarray, second: np.ndarray
) -> tuple[float, float]:
    """Returns the mean of `distances` and its standard error.

    Pairs that share an image are not independent. So the products of their residuals count as
    well: all those at an image, and each pair, which is met at both of its images, once.
    """
    residuals = distances - distances.mean()
    at_image = np.zeros(max(first.max(), second.max()) + 1)
    np.add.at(at_image, first, residuals)
    np.add.at(at_image, second, residuals)
    alone = (residuals**2).sum()
    variance = max((at_image**2).sum() - alone, alone) / len(distances) ** 2
    return float(distances.mean()), float(np.sqrt(variance))


@functools.cache
def load_feature_distance(extractor: str, device: torch.device) -> Between:
    """Returns a function from two batches of images to the feature distances [N] between them."""
    backbone = load_backbone(extractor, device)

    @torch.no_grad()
    def between(a: Tensor, b: Tensor) -> Tensor:
        x = backbone.prepare(torch.cat([a, b]))
        return stage_distance([stage.chunk(2) for stage in stages(backbone, x)]).cpu()

    return between


def stages(backbone: Any, x: Tensor) -> list[Tensor]:
    """Returns the activations [N, C, H, W] of normalised images after each stage of a backbone."""
    if backbone.modality == "vision_language":
        return backbone.image_tower().forward_intermediates(x)["image_intermediates"]
    return backbone.model.forward_intermediates(x, intermediates_only=True)


def stage_distance(pairs: Iterable[Sequence[Tensor]]) -> Tensor:
    """Returns the distances [N] of two batches from their activations (a, b) [N, C, H, W] by stage.

    Those of LPIPS without its learned heads: squared distance of the activations, which have unit
    length over the channels at every position, averaged over the positions and here the stages.
    """
    by_stage = [
        (F.normalize(a, dim=1) - F.normalize(b, dim=1)).square().sum(1).mean((1, 2))
        for a, b in pairs
    ]
    return torch.stack(by_stage).mean(0)


@functools.cache
def load_lpips(name: str, weights: str | None, device: torch.device) -> Between:
    """Returns a function from two batches of images to the LPIPS distances [N] between them."""
    network = lpips_weights.load(str(weights), name.removeprefix("lpips_")).to(device)

    @torch.no_grad()
    def between(a: Tensor, b: Tensor) -> Tensor:
        a, b = (batch.to(device).permute(0, 3, 1, 2) / 127.5 - 1 for batch in (a, b))  # -1..1
        return network(a, b).flatten().cpu()

    return between
