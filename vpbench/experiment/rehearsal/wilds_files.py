"""The three distribution shifts of a few images, with their tables as WILDS publishes them."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from PIL import Image


def paint(path: Path, number: int, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> None:
    """Saves a picture that is plain in a shade of its number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    shade = (10 * number + 5) % 256
    colours: dict[str, Any] = {
        "L": shade,
        "RGB": (shade, 40, 200),
        "RGBA": (shade, 40, 200, 255),
    }
    Image.new(mode, size, colours[mode]).save(path)


def write_table(path: Path, heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Writes a table as CSV."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([heads, *rows])


def write_iwildcam(
    root: Path,
    traps: Sequence[tuple[str, str, int, int, str]],
    categories: Sequence[tuple[int, int, str]],
) -> Path:
    """Returns the folder of an iWildCam; the images of all splits lie in train/.

    `traps` has split, file, label, camera and colour mode of each image, `categories` label, number
    and name of each species.
    """
    folder = root / "iwildcam_v2.0"
    for number, (_, file, _, _, mode) in enumerate(traps):
        paint(folder / "train" / file, number, mode)
    heads = ["split", "filename", "y", "location_remapped", "mode", "sequence_remapped", "datetime"]
    rows = [(*trap, number, "2013-06-05 05:44:19.000") for number, trap in enumerate(traps)]
    write_table(folder / "metadata.csv", heads, rows)
    write_table(folder / "categories.csv", ["y", "category_id", "name"], categories)
    (folder / "RELEASE_v2.0.txt").touch()
    return folder


def write_fmow(
    root: Path, land_uses: Sequence[tuple[str, str, str, str]], countries: Mapping[str, str]
) -> Path:
    """Returns the folder of an FMoW; an image is named after its row, all rows counted.

    `land_uses` has split, category, time stamp and country of each image, `countries` the region
    of the world of each country.
    """
    folder = root / "fmow_v1.1"
    for number in range(len(land_uses)):
        paint(folder / "images" / f"rgb_img_{number}.png", number, size=(224, 224))
    heads = ["split", "category", "timestamp", "country_code"]
    write_table(folder / "rgb_metadata.csv", heads, land_uses)
    write_table(folder / "country_code_mapping.csv", ["alpha-3", "region"], countries.items())
    (folder / "RELEASE_v1.1.txt").touch()
    return folder


def write_camelyon17(root: Path, patches: Sequence[tuple[str, int, int, int, int, int]]) -> Path:
    """Returns the folder of a Camelyon17.

    `patches` has patient, node, tumor, slide, centre and split of each image.
    """
    folder = root / "camelyon17_v1.0"
    rows = []
    for number, patch in enumerate(patches):
        place = f"patient_{patch[0]}_node_{patch[1]}"
        x, y = 3328, 21792
        paint(
            folder / "patches" / place / f"patch_{place}_x_{x}_y_{y}.png", number, "RGBA", (96, 96)
        )
        rows.append((number, *patch, x, y))
    heads = ["", "patient", "node", "tumor", "slide", "center", "split", "x_coord", "y_coord"]
    write_table(folder / "metadata.csv", heads, rows)  # row numbers in a column without a name
    (folder / "RELEASE_v1.0.txt").touch()
    return folder
