"""Distance of a dataset from the pretraining set, and its diversity (section 6.1, Figure 5).

Shapes: N images, H = W pixels, D features. Images are uint8 [N, H, W, 3] where not said otherwise.
"""

import functools
import hashlib
from collections.abc import Callable, Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vpbench.common.errors import UserError
from vpbench.common.paths import placed
from vpbench.data.photographs import EXTENSIONS
from vpbench.data.task import Task
from vpbench.experiment.measurements.measured import Measured
from vpbench.models import lpips_weights
from vpbench.models.backbone import load_backbone
from vpbench.spec.preprocessing import Preprocessing, read_image
from vpbench.spec.settings import Settings
from vpbench.spec.tasks import is_twin
from vpbench.training.evaluate import BATCH

Pictures = Callable[[slice], Tensor]
Between = Callable[[Tensor, Tensor], Tensor]  # two batches of images -> distances [N]
WORLD = "labelled"  # the version of the lab's world that is the lab's ImageNet
DRAWS = 3  # samples of the reference that the bias of the distance is measured on
NORMAL = 1.959963984540054  # 97.5 % quantile
FILES = {  # network -> the name of its weights where `weights` is a folder
    "inception_v3": "weights-inception-2015-12-05-6726825d.pth",
    "lpips_alex": "lpips_alex.safetensors",
    "lpips_vgg": "lpips_vgg.safetensors",
}
PHOTOGRAPH = Preprocessing(224, 224)  # for networks that are no backbone: the paper's 224 pixels
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


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
    extractor = settings["extractor"]
    preprocessing = PHOTOGRAPH if extractor in FILES else load_backbone(extractor).preprocessing
    task = load(preprocessing)
    if settings["reference"] is None and not is_twin(task.name):
        raise UserError(
            f"dataset_properties: {task.name} is no twin, and the reference is the lab's world, "
            "which says nothing about photographs; give a folder of photographs as `reference`"
        )
    images = drawn(task.splits["train"].images, settings["images"], settings["seed"])
    if len(images) < 2:
        raise UserError(f"dataset_properties: {task.name} has 1 training image; 2 are needed")
    varied = diversity(images, settings, device)  # first, because its complaints come at once
    row = distance(images, settings, preprocessing, device) | varied
    return Measured(task, [row | {"images": len(images), "seed": settings["seed"]}])


def drawn(images: Tensor, count: int, seed: int) -> Tensor:
    """Returns `count` of the images, or all if there are fewer, in an order that `seed` gives."""
    order = np.random.default_rng([seed, 0]).permutation(len(images))[:count]
    return images[torch.from_numpy(order)]  # no others: they may be a file mapped into memory


def distance(
    images: Tensor, settings: Settings, preprocessing: Preprocessing, device: torch.device
) -> dict[str, Any]:
    """Returns the Frechet distance of `images` from the reference, with what limits it.

    Its bias is that of further samples of the reference, of as many images: the true distance of
    those is 0. Below full rank, rank < dimension, the distance of small samples is too large.
    """
    extractor, reference = settings["extractor"], settings["reference"]
    weights = weights_file(extractor, settings["weights"])
    count = settings["reference_images"]
    metric, biases = load_reference(
        extractor, weights, reference, preprocessing, count, len(images), device
    )
    value, rank = frechet_distance(metric, images)
    return {
        f"frechet_distance_{extractor}": value,
        f"frechet_bias_{extractor}": float(np.mean(biases)),
        f"frechet_bias_spread_{extractor}": float(np.std(biases, ddof=1)),
        "rank": rank,
        "dimension": len(metric.real_features_sum),
        "reference": f"images of {Path(reference).name}" if reference else f"{WORLD} lab world",
        "reference_images": count,
    }


def diversity(images: Tensor, settings: Settings, device: torch.device) -> dict[str, Any]:
    """Returns the mean distance between the two images of a pair, with its 95 % interval."""
    name = settings["diversity"]
    if name == "features" and settings["extractor"] in FILES:
        raise UserError(
            f"the diversity `features` is that of a backbone, not of {settings['extractor']}; "
            "choose lpips_alex or lpips_vgg"
        )
    if name == "features":
        name = f"feature_diversity_{settings['extractor']}"
        between = load_feature_distance(settings["extractor"], device)
    else:
        between = load_lpips(name, weights_file(name, settings["weights"]), device)
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


def weights_file(network: str, weights: str | None) -> str | None:
    """Returns the path (str) of the weights of `network`, None if it is a backbone of ours."""
    if network not in FILES:
        return None
    if weights is None:
        made = "`vpbench lpips-weights` makes it" if network != "inception_v3" else "of 2015"
        raise UserError(
            f"{network} needs its published weights, a random network measures nothing: give the "
            f"path of {FILES[network]} ({made}) as `weights`"
        )
    path = placed(weights)
    path = path / FILES[network] if path.is_dir() else path
    if not path.is_file():
        raise UserError(f"{path} is missing; {network} needs it")
    return str(path)


@functools.cache
def load_reference(
    extractor: str,
    weights: str | None,
    folder: str | None,
    preprocessing: Preprocessing,
    reference_images: int,
    images: int,
    device: torch.device,
) -> tuple[Any, list[float]]:
    """Returns (metric, biases): the Frechet distance to the reference, the reference in place.

    The reference is the first `reference_images` pictures of a folder of photographs, in a random
    order, or of the world as the lab's classifiers saw them in pretraining, if the folder is None;
    the biases are those of the next DRAWS times `images` pictures.
    """
    count = reference_images + DRAWS * images
    pictures = world(count) if folder is None else photographs(placed(folder), count, preprocessing)
    metric = load_metric(extractor, weights, pictures(slice(1)).shape[1]).to(device)
    for start in range(0, reference_images, BATCH):
        part = slice(start, min(start + BATCH, reference_images))
        update(metric, pictures(part), real=True)
    draws = [slice(start, start + images) for start in range(reference_images, count, images)]
    return metric, [frechet_distance(metric, pictures(draw))[0] for draw in draws]


def world(count: int) -> Pictures:
    """Returns a function from a slice to those of the first `count` pictures of the lab's world."""
    from vpbench.twins.world_pictures import paint_world

    painted = torch.from_numpy(paint_world(count, WORLD)[0])
    return lambda part: painted[part]


def photographs(folder: Path, count: int, preprocessing: Preprocessing) -> Pictures:
    """Returns a function from a slice to those of `count` photographs, in an order that is fixed.

    They are read when they are asked for. Raises UserError if there are fewer in the folder.
    """
    if not folder.is_dir():
        raise UserError(f"dataset_properties: the reference {folder} is not a folder")
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS)
    if len(files) < count:
        raise UserError(
            f"dataset_properties: {folder} has {len(files)} images, {count} are needed: "
            f"reference_images and {DRAWS} times the images of a dataset; ask for fewer"
        )
    drawn = [files[i] for i in np.random.default_rng(0).permutation(len(files))[:count]]
    return lambda part: torch.from_numpy(
        np.stack([read_image(path, preprocessing) for path in drawn[part]])
    )


def load_metric(extractor: str, weights: str | None, size: int) -> Any:
    """Returns torchmetrics' Frechet distance on the features of `extractor`."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    if extractor != "inception_v3":
        return FrechetInceptionDistance(
            Features(load_backbone(extractor)),
            reset_real_features=False,
            input_img_size=(3, size, size),
        )
    if find_spec("torch_fidelity") is None:
        raise UserError("inception_v3 needs the package torch-fidelity: pip install torch-fidelity")
    assert weights is not None  # see weights_file
    digest = hashlib.sha256(Path(weights).read_bytes()).hexdigest()
    if digest != INCEPTION_SHA256:  # also because loading it could run what is in it
        raise UserError(
            f"{weights} has the SHA-256 {digest[:12]}..., {FILES[extractor]} has "
            f"{INCEPTION_SHA256[:12]}...; give that file"
        )
    return FrechetInceptionDistance(
        2048, reset_real_features=False, feature_extractor_weights_path=weights
    )


class Features(nn.Module):
    """Penultimate features [N, D], in double precision, of uint8 images [N, 3, H, W]."""

    def __init__(self, backbone: Any):
        super().__init__()
        self.backbone: Any = backbone

    def forward(self, images: Tensor) -> Tensor:
        return self.backbone.features(self.backbone.prepare(images.permute(0, 2, 3, 1))).double()


@torch.no_grad()
def update(metric: Any, images: Tensor, real: bool) -> None:
    """Adds `images` to one side of the distance."""
    for batch in images.split(BATCH):
        metric.update(batch.permute(0, 3, 1, 2).to(metric.device), real=real)


def frechet_distance(metric: Any, images: Tensor) -> tuple[float, int]:
    """Returns (distance, rank): of `images` from the reference, and that of their covariance."""
    metric.reset()
    update(metric, images, real=False)
    total, squares = metric.fake_features_sum, metric.fake_features_cov_sum
    scatter = squares - torch.outer(total, total) / metric.fake_features_num_samples
    rounding = len(total) * torch.finfo(squares.dtype).eps * squares.diagonal().max()
    rank = torch.linalg.matrix_rank(scatter, atol=rounding, hermitian=True)
    return metric.compute().item(), int(rank)


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
