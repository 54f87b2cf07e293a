"""What a visual prompt is worth once the prompted image is a picture that can be sent to an API.

A prompt is added in unbounded space (section 3.2); a picture has whole numbers from 0 to 255. So
the prompted image is turned into one, and the model sees that picture and no prompt beside it.
"""

import io
from functools import cache

import numpy as np
import torch
from PIL import Image

from vpbench.common.errors import UserError
from vpbench.experiment.measurements.measured import Measured
from vpbench.methods import visual_prompt
from vpbench.models.backbone import load_backbone
from vpbench.prompts.files import load_run_prompt
from vpbench.training.evaluate import predict

SUBSAMPLING = "4:2:0"  # of the colours in a JPEG file: what Pillow does unless told otherwise

backbone_of = cache(load_backbone)


def measure(load, settings, runs, device):
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
        prompt, card = load_run_prompt(run, backbone)
        if prompt.copies > 1:
            raise UserError(
                f"deployability: {run['file']}: an ensemble of prompts is several pictures for an "
                "image; leave it out of the measurement's runs"
            )
        head = visual_prompt.head(backbone, task, spec["settings"], state=card["label_map"])
        how = spec["settings"]["prompt_space"], spec["settings"]["image_side"]
        for condition, quality, logits in seen(
            images, prompt, backbone, head, *how, settings["jpeg_qualities"]
        ):
            hits = logits.argmax(1) == labels
            rows.append(
                {key: spec[key] for key in ("backbone", "variant", "seed")}
                | {"condition": condition, "quality": quality}
                | {"accuracy": 100 * hits.double().mean().item(), "images": len(labels)}
            )
            correct.append(hits.numpy())
    return Measured(task, rows, {"correct": np.array(correct)})


def seen(images, prompt, backbone, head, prompt_space, side, qualities):
    """Yields (condition, JPEG quality or None, logits [N, K]) of uint8 images [N, S, S, C].

    unprompted and unbounded are the image without and with the prompt, as it was learned; clamped
    is the latter cut to the range of a picture, 8_bit also rounded, jpeg_95 also compressed. To
    tell what JPEG does to the prompt from what it does to the image, unprompted_jpeg_95 is the
    image alone. A prompt that shrinks the image to `side` pixels does so before it is sent.
    """

    def api(pictures):
        return head(backbone.normalize(backbone.scale_pixels(pictures)))

    def same(x):
        return x

    # Prompted once: a random patch would be elsewhere the next time.
    x = predict(visual_prompt.prompted(prompt, backbone, same, prompt_space, side), images)
    clamped = (x * backbone.std.cpu() + backbone.mean.cpu()).clamp(0, 1)
    pictures = clamped.mul(255).round().byte().permute(0, 2, 3, 1)
    yield "unprompted", None, predict(api, images)
    yield "unbounded", None, predict(lambda batch: head(batch.to(backbone.device)), x)
    clamped = clamped.to(backbone.device)
    yield "clamped", None, predict(lambda batch: head(backbone.normalize(batch)), clamped)
    yield "8_bit", None, predict(api, pictures)
    for quality in qualities:
        yield f"jpeg_{quality}", quality, predict(api, jpeg(pictures, quality))
        yield f"unprompted_jpeg_{quality}", quality, predict(api, jpeg(images, quality))


def jpeg(pictures, quality):
    """Returns uint8 pictures [N, H, W, 3] as they come back from JPEG files of this quality."""
    decoded = []
    for picture in pictures.numpy():
        file = io.BytesIO()
        Image.fromarray(picture).save(file, "JPEG", quality=quality, subsampling=SUBSAMPLING)
        decoded.append(np.asarray(Image.open(file)))
    return torch.from_numpy(np.stack(decoded))
