"""SVHN and CLEVR of a few images, in the files that their makers publish."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Labels = Mapping[str, Sequence[int]]  # split -> what an image of it shows


def write_svhn(root: Path, digits: Labels) -> Path:
    """Returns the folder of an SVHN in which pixel (row, column) of image n is that and n.

    `digits` are as MATLAB counts: ten is zero.
    """
    from scipy.io import savemat  # for this file alone: half a second

    folder = root / "svhn"
    folder.mkdir(parents=True, exist_ok=True)
    for split, labels in digits.items():
        images = np.zeros((32, 32, 3, len(labels)), np.uint8)
        images[:, :, 0, :] = np.arange(32)[:, None, None]
        images[:, :, 1, :] = np.arange(32)[None, :, None]
        images[:, :, 2, :] = np.arange(len(labels))
        content = {"X": images, "y": np.array(labels, np.uint8)[:, None]}
        savemat(folder / f"{split}_32x32.mat", content, do_compression=True)
    return folder


def write_clevr(root: Path, counts: Labels) -> Path:
    """Returns the folder of a CLEVR in which image n of a split has `counts[split][n]` objects."""
    folder = root / "clevr" / "CLEVR_v1.0"
    (folder / "scenes").mkdir(parents=True)
    for split, numbers in counts.items():
        (folder / "images" / split).mkdir(parents=True)
        scenes: list[dict[str, Any]] = []
        for number, count in enumerate(numbers):
            file = f"CLEVR_{split}_{number:06}.png"
            picture = Image.new("RGBA", (480, 320), (10 * number, count, 77, 255))
            picture.save(folder / "images" / split / file)
            scenes.append({"image_filename": file, "objects": [{"color": "red"}] * count})
        document = {"info": {"split": split}, "scenes": scenes[::-1]}  # not in the files' order
        (folder / "scenes" / f"CLEVR_{split}_scenes.json").write_text(json.dumps(document))
    # The official test images come without scenes.
    (folder / "images" / "test").mkdir()
    Image.new("RGBA", (480, 320)).save(folder / "images" / "test" / "CLEVR_test_000000.png")
    return folder
