"""Runs of full and of half length that nobody made: what the doubling gained is known."""

import numpy as np

from tests.helpers.fake_records import record
from tests.helpers.fake_sides import beside

IMAGES = 2000  # of validation
EPOCHS = 8


def run(
    folder, accuracy, validation=None, epochs=EPOCHS, task="svhn_twin", method="visual_prompt",
    backbone="clip_micro", seed=0, variant="default", images=IMAGES, **settings,
):  # fmt: skip
    """Returns a run with a test accuracy, and with one on validation if it looked at that.

    The first images are right, so of two runs the better one is right wherever the other one is.
    """
    made = record(task, backbone, method, accuracy, seed=seed, variant=variant)
    made["spec"]["settings"] = {"lr": 10, **settings}
    if method in ("visual_prompt", "fine_tune"):
        made["spec"]["settings"] |= {"epochs": epochs, "eval_epochs": []}
    return beside(made, folder, validation=validated(validation, images))


def validated(accuracy, images=IMAGES):
    """Returns the arrays of a run with that accuracy (%) on validation; none without one.

    It may also be an array that says which images are right.
    """
    if accuracy is None:
        return {}
    if np.ndim(accuracy):
        right = np.asarray(accuracy, bool)
    else:
        right = np.arange(images) < round(images * accuracy / 100)
    labels = np.arange(len(right)) % 10
    return {
        "validation_label": labels,
        "validation_prediction": np.where(right, labels, (labels + 1) % 10),
    }


def doubled(folder, accuracy, gain, variant="default", **changes):
    """Returns a run and its partner of half the length, which has `gain` points less on validation.

    They are called as a block of half lengths calls them.
    """
    longer = run(folder, accuracy, 50 + gain, variant=variant, **changes)
    half = changes | {"epochs": changes.get("epochs", EPOCHS) // 2}
    half |= {"variant": "half" if variant == "default" else f"half_{variant}"}
    return [longer, run(folder, accuracy - gain, 50, **half)]


def upper(gain, images=IMAGES):
    """Returns the upper end of the 95 % interval of a gain (points) without any loss."""
    share = abs(gain) / 100
    return gain + 196 * np.sqrt(share * (1 - share) / images)
