"""Painting primitives: every picture of the lab is made of the functions of this file.

A picture is a float32 array [SIZE, SIZE, 3] with values in 0..1. X grows to the right and Y
downwards, both from -1 to 1. A shape is a signed distance field [SIZE, SIZE], negative inside;
`cover` turns it into the share of each pixel it covers.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIZE = 56  # the paper's 224 at quarter scale: patch 8 gives the 7x7 tokens of ViT-B/32
PIXEL = 2 / SIZE
_axis = ((np.arange(SIZE) + 0.5) / SIZE * 2 - 1).astype(np.float32)
Y, X = np.meshgrid(_axis, _axis, indexing="ij")

COLOURS = {
    "red": (0.85, 0.15, 0.15),
    "green": (0.15, 0.65, 0.20),
    "blue": (0.15, 0.30, 0.85),
    "yellow": (0.95, 0.85, 0.15),
    "orange": (0.95, 0.55, 0.10),
    "purple": (0.55, 0.20, 0.70),
    "pink": (0.95, 0.55, 0.70),
    "brown": (0.50, 0.32, 0.15),
    "gray": (0.50, 0.50, 0.50),
    "black": (0.08, 0.08, 0.08),
    "white": (0.95, 0.95, 0.95),
    "cyan": (0.20, 0.80, 0.85),
}


def named_colour(rng, name, spread=0.07):
    """Returns the colour `name` [3], varied by a normal of standard deviation `spread`."""
    return vary(rng, COLOURS[name], spread)


def vary(rng, colour, spread):
    """Returns `colour` [3] plus normal noise of standard deviation `spread`, clipped to 0..1."""
    return np.clip(np.asarray(colour, np.float32) + rng.normal(0, spread, 3), 0, 1).astype(
        np.float32
    )


def any_colour(rng):
    """Returns a uniformly drawn colour [3]."""
    return rng.random(3, dtype=np.float32)


def plain(colour):
    """Returns a picture of one colour."""
    return np.ones((SIZE, SIZE, 3), np.float32) * np.asarray(colour, np.float32)


def cover(distance):
    """Returns the share 0..1 of each pixel that the shape `distance` [SIZE, SIZE] covers."""
    return np.clip(0.5 - distance / PIXEL, 0, 1)


def lay(picture, alpha, colour):
    """Paints `colour` ([3] or a picture) over `picture` in place with opacity `alpha`."""
    picture += alpha[..., None] * (colour - picture)


def turn(x, y, angle):
    """Returns the coordinates x, y in a frame turned by `angle` radians."""
    c, s = np.cos(angle), np.sin(angle)
    return x * c + y * s, -x * s + y * c


def circle(x, y, radius=1.0):
    """Returns the distance field of a circle."""
    return np.sqrt(x * x + y * y) - radius


def ellipse(x, y, width, height):
    """Returns an approximate distance field of an ellipse with half axes width and height."""
    return (np.sqrt((x / width) ** 2 + (y / height) ** 2) - 1) * min(width, height)


def box(x, y, width, height):
    """Returns the distance field of a box with half sides width and height."""
    return np.maximum(np.abs(x) - width, np.abs(y) - height)


def triangle(x, y, width, height):
    """Returns the field of a triangle: apex at y = -height, base 2 * width at y = height."""
    return np.maximum(y - height, (np.abs(x) * 2 * height / width - (y + height)) * 0.45)


def polygon(x, y, sides, radius=1.0):
    """Returns the distance field of a regular polygon that points upwards."""
    step = 2 * np.pi / sides
    angle = np.arctan2(x, -y)
    offset = (angle + step / 2) % step - step / 2
    return np.sqrt(x * x + y * y) * np.cos(offset) - radius * np.cos(step / 2)


def star(x, y, points, radius=1.0, depth=0.55):
    """Returns the field of a star; `depth` is how far the notches go in, 0..1."""
    step = 2 * np.pi / points
    offset = np.abs((np.arctan2(x, -y) + step / 2) % step - step / 2) / (step / 2)
    return (np.sqrt(x * x + y * y) - radius * (1 - depth * offset)) * 0.7


def segment(x, y, x0, y0, x1, y1, thickness):
    """Returns the distance field of a thick line from (x0, y0) to (x1, y1)."""
    dx, dy = x1 - x0, y1 - y0
    t = np.clip(((x - x0) * dx + (y - y0) * dy) / (dx * dx + dy * dy + 1e-9), 0, 1)
    return np.sqrt((x - x0 - t * dx) ** 2 + (y - y0 - t * dy) ** 2) - thickness


def noise(rng, cells):
    """Returns smooth noise [SIZE, SIZE], about 0..1, with `cells` bumps along each side."""
    grid = Image.fromarray(rng.random((cells, cells), dtype=np.float32))
    return np.asarray(grid.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def nearest_two(rng, count, x=X, y=Y):
    """Returns the distances [SIZE, SIZE] to the nearest and second nearest of `count` points."""
    points = rng.random((count, 2), dtype=np.float32) * 2.4 - 1.2
    d = np.sqrt((x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2)
    d.partition(1, axis=-1)
    return d[..., 0], d[..., 1]


def cells(rng, count, x=X, y=Y):
    """Returns the index [SIZE, SIZE] of the nearest of `count` random points (a Voronoi map)."""
    points = rng.random((count, 2), dtype=np.float32) * 2.6 - 1.3
    return ((x[..., None] - points[:, 0]) ** 2 + (y[..., None] - points[:, 1]) ** 2).argmin(-1)


@cache
def glyph(text, font_file=None):
    """Returns `text` as opacity [80, 64], drawn in `font_file` or in Pillow's own font."""
    font = ImageFont.truetype(font_file, 72) if font_file else ImageFont.load_default(size=72)
    sheet = Image.new("L", (64, 80))
    ImageDraw.Draw(sheet).text((32, 40), text, font=font, fill=255, anchor="mm")
    return np.asarray(sheet, np.float32) / 255


def stamp(picture, opacity, cx, cy, scale, angle, colour, stretch=1.0, bold=0.0):
    """Lays a glyph (an opacity map [80, 64]) over `picture`, centred at (cx, cy)."""
    x, y = turn((X - cx) / scale / stretch, (Y - cy) / scale, angle)
    rows = np.clip((y * 0.4 + 0.5) * 80, 0, 79).astype(int)
    columns = np.clip((x * 0.5 + 0.5) * 64, 0, 63).astype(int)
    inside = (np.abs(x) < 1) & (np.abs(y) < 1.25)
    lay(picture, np.clip(opacity[rows, columns] * inside * (1 + bold), 0, 1), colour)


def blur_to(picture, side):
    """Returns the uint8 `picture` as if it had been stored at `side` x `side` pixels."""
    small = Image.fromarray(picture).resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def develop(rng, picture, grain=0.03):
    """Returns `picture` as uint8 after a random exposure, contrast, colour cast and grain."""
    contrast = np.exp(rng.normal(0, 0.12))
    cast = rng.normal(0, 0.06) + rng.normal(0, 0.03, 3)
    picture = (picture - 0.5) * contrast + 0.5 + cast.astype(np.float32)
    if grain:
        picture = picture + (rng.random((SIZE, SIZE, 1), dtype=np.float32) - 0.5) * (
            2 * grain * rng.random()
        )
    return (np.clip(picture, 0, 1) * 255).astype(np.uint8)
