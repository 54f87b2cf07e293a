"""A confusion matrix, as a table and as a picture."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vpbench.cli.outputs import write_csv
from vpbench.common import atomic_files
from vpbench.methods.class_matching import unlike

if TYPE_CHECKING:
    from vpbench.methods.model import Examined

FEW = 20  # classes whose numbers can be read in the picture
MOST = 60  # names along an axis


def write_confusion(name: str, examined: "Examined") -> None:
    """Writes `name`.csv, a line per class with the numbers of its images that are taken for each
    class, and the same as a picture, `name`.png."""
    counts, names = confusion(examined), unlike(examined.class_names)
    lines = [[own, *row] for own, row in zip(names, counts.tolist(), strict=True)]
    write_csv(f"{name}.csv", [["class", *names], *lines])
    draw(Path(f"{name}.png"), counts, names)


def confusion(examined: "Examined") -> np.ndarray:
    """Returns the numbers of images [K, K] by label and by the class that they are taken for."""
    labels = examined.images.labels.numpy()
    predicted = examined.evaluation.answers["prediction"].numpy()
    classes = len(examined.class_names)
    return np.bincount(classes * labels + predicted, minlength=classes**2).reshape(classes, classes)


def draw(path: Path, counts: np.ndarray, names: list[str]) -> None:
    """Writes the picture: the share of a class's images, white for none and blue for all."""
    from matplotlib.figure import Figure  # late: half a second

    classes = len(names)
    shares = counts / counts.sum(1, keepdims=True).clip(1)
    side = min(12.0, 2.5 + 0.35 * classes)
    figure = Figure(figsize=(side, side), layout="constrained")
    axes = figure.subplots()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    shown = range(0, classes, -(-classes // MOST))
    axes.set_xticks(shown, [names[i] for i in shown], rotation=90, fontsize=7, parse_math=False)
    axes.set_yticks(shown, [names[i] for i in shown], fontsize=7, parse_math=False)
    axes.set_xlabel("taken for")
    axes.set_ylabel("class")
    if classes <= FEW:
        for row, column in np.argwhere(counts):
            colour = "white" if shares[row, column] > 0.5 else "black"
            number = counts[row, column]
            axes.text(column, row, number, ha="center", va="center", fontsize=7, color=colour)
    options = {"format": "png", "dpi": 150, "metadata": {"Software": None}}
    atomic_files.write_with(path, lambda file: figure.savefig(file, **options))
