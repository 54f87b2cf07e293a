"""What a visual prompt is worth once the prompted image is a picture that can be sent to an API.

A prompt is added in unbounded space (section 3.2); a picture has whole numbers from 0 to 255. So
the prompted image is turned into one, and the model sees that picture and no prompt beside it.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vpbench.common.errors import UserError
from vpbench.data.task import Task
from vpbench.experiment.measurements.measured import Measured
from vpbench.experiment.side_files import run_prompt
from vpbench.methods.prompted_classifier import PromptedClassifier
from vpbench.models.backbone import load_backbone
from vpbench.spec.preprocessing import Preprocessing
from vpbench.spec.settings import Settings
from vpbench.training.evaluate import predict

SUBSAMPLING = "4:2:0"  # of the colours in a JPEG file: what Pillow does unless told otherwise

backbone_of = cache(load_backbone)


def measure(
    load: Callable[[Preprocessing], Task],
    settings: Settings,
    runs: list[dict[str, Any]],
    device: torch.device,
) -> Measured:
    """Returns the accuracy of every run's prompt under every condition (see `seen`).

    It is measured on the first `settings["images"]` test images. The array correct [rows, images]
    says for each row which of them were classified correctly.
    """
    rows, correct = [], []
    for run in runs:
        spec = run["spec"]
        backbone = backbone_of(spec["backbone"], str(device))
        task = load(backbone.preprocessing)
        test = task.splits["test"]
        images, labels = (values[: settings["images"]] for values in (test.images, test.labels))
        images = backbone.pictures(images).cpu()  # what is sent: not the small original
        classifier = run_prompt(run, backbone)
        if classifier.prompt.copies > 1:
            raise UserError(
                f"deployability: {run['file']}: an ensemble of prompts is several pictures for an "
                "image; leave it out of the measurement's runs"
            )
        for condition, quality, logits in seen(images, classifier, settings["jpeg_qualities"]):
            hits = logits.argmax(1) == labels
            rows.append(
                {key: spec[key] for key in ("backbone", "variant", "seed")}
                | {"condition": condition, "quality": quality}
                | {"accuracy": 100 * hits.double().mean().item(), "images": len(labels)}
            )
            correct.append(hits.numpy())
    return Measured(task, rows, {"correct": np.array(correct)})


def seen(
    images: Tensor, classifier: PromptedClassifier, qualities: Sequence[int]
) -> Iterator[tuple[str, int | None, Tensor]]:
    """Yields (condition, JPEG quality or None, logits [N, K]) of uint8 images [N, S, S, C].

    unprompted and unbounded are the image without and with the prompt, as it was learned; clamped
    is the latter cut to the range of a picture, 8_bit also rounded, jpeg_95 also compressed. To
    tell what JPEG does to the prompt from what it does to the image, unprompted_jpeg_95 is the
    image alone. A prompt that shrinks the image does so before it is sent.
    """

    backbone, label_map = classifier.backbone, classifier.label_map

    def api(pictures: Tensor) -> Tensor:
        return label_map(backbone.prepare(pictures))

    # Prompted once: a random patch would be elsewhere the next time.
    x = predict(classifier.prompted, images)
    clamped = (x * backbone.std.cpu() + backbone.mean.cpu()).clamp(0, 1)
    pictures = clamped.mul(255).round().byte().permute(0, 2, 3, 1)
    yield "unprompted", None, predict(api, images)
    yield "unbounded", None, predict(lambda batch: label_map(batch.to(backbone.device)), x)
    clamped = clamped.to(backbone.device)
    yield "clamped", None, predict(lambda batch: label_map(backbone.normalize(batch)), clamped)
    yield "8_bit", None, predict(api, pictures)
    for quality in qualities:
        yield f"jpeg_{quality}", quality, predict(api, jpeg(pictures, quality))
        yield f"unprompted_jpeg_{quality}", quality, predict(api, jpeg(images, quality))


def jpeg(pictures: Tensor, quality: int) -> Tensor:
    """Returns uint8 pictures [N, H, W, 3] as they come back from JPEG files of this quality.

    Raises UserError at a quality that JPEG does not have, which Pillow would take for another.
    """
    if not 1 <= quality <= 100:
        raise UserError(f"deployability: JPEG has the qualities 1 to 100, not {quality}")
    decoded = []
    for picture in pictures.numpy():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=SUBSAMPLING)
        decoded.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(decoded))
