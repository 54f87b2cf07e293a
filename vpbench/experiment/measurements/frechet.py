"""The Frechet distance of images from a reference: the pictures a network was pretrained on.

What is kept of a reference are statistics of its features. Those of photographs are made once and
shared by all datasets and jobs: they are cached in the data folder, and 130,000 photographs take
hours. Shapes: N images, H = W pixels, D features. Images are uint8 [N, H, W, 3].
"""

import functools
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from vpbench.common import hashing
from vpbench.common.errors import UserError
from vpbench.common.messages import one_line
from vpbench.common.paths import placed
from vpbench.data.photographs import EXTENSIONS
from vpbench.experiment.measurements import reference_files
from vpbench.models.backbone import load_backbone
from vpbench.spec.backbones import BACKBONES
from vpbench.spec.folder_names import hidden
from vpbench.spec.measurements import DRAWS, seen_by
from vpbench.spec.preprocessing import Preprocessing, read_image, straight_to
from vpbench.spec.settings import Settings
from vpbench.training.evaluate import BATCH

Pictures = Callable[[slice], Tensor]
WORLD = "labelled"  # the version of the lab's world that is the lab's ImageNet
FEWEST = 2  # images that a covariance needs
FILES = {  # network -> the name of its weights where `weights` is a folder
    "inception_v3": "weights-inception-2015-12-05-6726825d.pth",
    "lpips_alex": "lpips_alex.safetensors",
    "lpips_vgg": "lpips_vgg.safetensors",
}
SUMS = ("real_features_sum", "real_features_cov_sum", "real_features_num_samples")  # of a metric
INCEPTION_SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


class Reference(NamedTuple):
    """A reference in place in the distance, and what its bias is measured on."""

    metric: Any  # torchmetrics' Frechet distance
    further: Tensor  # features [M, D] of the pictures that come next, M at most DRAWS x images
    about: dict[str, Any] = {}  # all that they depend on; of the lab's world nothing


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
        if path.name == FILES[network]:
            wrong = "is a folder, not a file" if path.is_dir() else "is missing"
            raise UserError(f"{path} {wrong}; {network} needs it")
        raise UserError(f"{path} is missing; {network} needs a folder with {FILES[network]}")
    return str(path)


def preprocessing_of(extractor: str) -> Preprocessing:
    """Returns what images go through before `extractor` sees them."""
    backbone, side = seen_by(extractor)
    return straight_to(side) if side else Preprocessing(*BACKBONES[str(backbone)].preprocessing)


def reference_of(settings: Settings, device: torch.device) -> Reference:
    """Returns the `Reference` that the settings of a measurement name.

    It is read from the cache if it was made before; equal settings share one in this process.
    """
    extractor = settings["extractor"]
    return load_reference(
        extractor,
        weights_file(extractor, settings["weights"]),
        settings["reference"],
        preprocessing_of(extractor),
        settings["reference_images"],
        settings["images"],
        device,
    )


@functools.cache
def load_reference(
    extractor: str,
    weights: str | None,
    folder: str | None,
    preprocessing: Preprocessing,
    reference_images: int,
    images: int,
    device: torch.device,
) -> Reference:
    """Returns the `Reference` of the first `reference_images` pictures of a folder of photographs.

    They come in a random order that is fixed. Without a folder they are those of the world as the
    lab's classifiers saw them in pretraining. Further features are those of the next DRAWS times
    `images` pictures, or as many as there are.
    """
    metric = load_metric(extractor, weights, preprocessing.crop, device).to(device)
    wanted = reference_images + DRAWS * images
    if folder is None:
        return gathered(metric, world(wanted), reference_images, images, wanted)
    files = photographs(placed(folder))
    check_enough(folder, FEWEST, reference_images)
    about = {
        "extractor": extractor,
        "weights": hashing.sha256(weights) if weights else load_backbone(extractor).weights_hash,
        "preprocessing": preprocessing.key,
        "reference_images": reference_images,
        "images": images,
        "files": reference_files.fingerprint(files, files[:wanted]),
        "device": device.type,  # another kind of device rounds otherwise
    }

    def make() -> dict[str, Tensor]:
        pictures, count = decoded(files, preprocessing), min(wanted, len(files))
        made = gathered(metric, pictures, reference_images, images, count)
        return {name: getattr(metric, name) for name in SUMS} | {"further": made.further}

    kept = reference_files.shared(about, make)
    further = kept.pop("further")
    for name, values in kept.items():
        setattr(metric, name, values.to(device))
    return Reference(metric, further, about)


def gathered(
    metric: Any, pictures: Pictures, reference_images: int, images: int, count: int
) -> Reference:
    """Returns the `Reference` of the first `reference_images` of `count` pictures.

    The others are looked at in draws of `images`, as those of a dataset are: the last bits of
    features are those of their batch.
    """
    for part in batches(0, reference_images):
        update(metric, pictures(part), real=True)
    draws = range(reference_images, count, images)
    parts = [part for start in draws for part in batches(start, min(start + images, count))]
    return Reference(metric, torch.cat([features(metric, pictures(part)) for part in parts]))


def batches(start: int, end: int) -> list[slice]:
    """Returns the slices of at most BATCH pictures from `start` to `end`."""
    return [slice(first, min(first + BATCH, end)) for first in range(start, end, BATCH)]


def world(count: int) -> Pictures:
    """Returns a function from a slice to those of the first `count` pictures of the lab's world."""
    from vpbench.twins.world_pictures import paint_world

    painted = torch.from_numpy(paint_world(count, WORLD)[0])
    return lambda part: painted[part]


@functools.cache
def photographs(folder: Path) -> Sequence[str]:
    """Returns all photographs in and below a folder, in a random order that is fixed."""
    if not folder.is_dir():
        raise UserError(f"dataset_properties: the reference {folder} is not a folder")
    try:
        files = list(images_in(str(folder)))
    except OSError as error:
        raise UserError(
            f"dataset_properties: the reference: {one_line(error.filename)} not read, "
            f"{error.strerror}"
        ) from None
    return [files[place] for place in np.random.default_rng(0).permutation(len(files))]


def images_in(folder: str) -> Iterator[str]:
    """Yields the paths of the images in and below a folder, in the order of its names.

    Hidden folders hold copies and thumbnails. There may be a million images, so a path is a text.
    """
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if hidden(entry.name):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from images_in(entry.path)
        elif entry.name.lower().endswith(EXTENSIONS):
            yield entry.path


def check_enough(folder: str, images: int, reference_images: int) -> None:
    """Raises UserError if a folder has too few photographs for a dataset of so many images."""
    there, needed = len(photographs(placed(folder))), reference_images + DRAWS * images
    if there < needed:
        raise UserError(
            f"dataset_properties: {placed(folder)} has {there} images, {needed} are needed: "
            f"reference_images and {DRAWS} times the images of a dataset; ask for fewer"
        )


def decoded(files: Sequence[str], preprocessing: Preprocessing) -> Pictures:
    """Returns a function from a slice to those of the photographs, read when asked for."""

    def read(path: str) -> np.ndarray:
        return read_image(path, preprocessing)

    def pictures(part: slice) -> Tensor:
        with ThreadPoolExecutor(torch.get_num_threads()) as pool:
            return torch.from_numpy(np.stack(list(pool.map(read, files[part]))))

    return pictures


def load_metric(extractor: str, weights: str | None, size: int, device: torch.device) -> Any:
    """Returns torchmetrics' Frechet distance on the features of `extractor`."""
    from torchmetrics.image.fid import FrechetInceptionDistance

    if extractor != "inception_v3":
        return FrechetInceptionDistance(
            Features(load_backbone(extractor, device)),
            reset_real_features=False,
            input_img_size=(3, size, size),
        )
    if find_spec("torch_fidelity") is None:
        raise UserError("inception_v3 needs the package torch-fidelity: pip install torch-fidelity")
    assert weights is not None  # see weights_file
    digest = hashing.sha256(weights)
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
def features(metric: Any, images: Tensor) -> Tensor:
    """Returns the features [N, D] of a batch of images, on the CPU."""
    found: Tensor = metric.inception(images.permute(0, 3, 1, 2).to(metric.device))
    return found.cpu()


@torch.no_grad()
def update(metric: Any, images: Tensor, real: bool) -> None:
    """Adds `images` to one side of the distance."""
    for batch in images.split(BATCH):
        metric.update(batch.permute(0, 3, 1, 2).to(metric.device), real=real)


def frechet_distance(metric: Any, images: Tensor) -> tuple[float, int]:
    """Returns (distance, rank): of `images` from the reference, and that of their covariance."""
    metric.reset()
    update(metric, images, real=False)
    return computed(metric)


def biases(reference: Reference, images: int) -> list[float]:
    """Returns the distances of DRAWS further samples of the reference, of so many images each."""
    metric, further, _ = reference
    found = []
    extractor, metric.inception = metric.inception, nn.Identity()  # they are features already
    for draw in further[: DRAWS * images].split(images):
        metric.reset()
        for batch in draw.split(BATCH):
            metric.update(batch.to(metric.device), real=False)
        found.append(computed(metric)[0])
    metric.inception = extractor
    return found


def computed(metric: Any) -> tuple[float, int]:
    """Returns (distance, rank) of what was added to the distance."""
    for images in (metric.real_features_num_samples, metric.fake_features_num_samples):
        if images < FEWEST:
            raise UserError(
                f"a Frechet distance compares covariances, which need {FEWEST} images or more on "
                f"each side; there is {int(images)}"
            )
    total, squares = metric.fake_features_sum, metric.fake_features_cov_sum
    scatter = squares - torch.outer(total, total) / metric.fake_features_num_samples
    rounding = len(total) * torch.finfo(squares.dtype).eps * squares.diagonal().max()
    rank = torch.linalg.matrix_rank(scatter, atol=rounding, hermitian=True)
    return metric.compute().item(), int(rank)
