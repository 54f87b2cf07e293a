"""EuroSAT's twin. The real set is 64x64 Sentinel-2 crops at 10 m a pixel, ten land covers.

Kept: the ten classes, muted colours, texture rather than objects, roads and rivers that cross
fields, and a low diversity of looks. Left out: clouds, terrain shadows and mixed borders.
"""

import numpy as np

from vpbench.twins.painting.aerial import (
    building,
    canopy,
    course,
    fields,
    furrows,
    ground,
    houses,
    road,
    scatter,
    tiles,
    water,
)
from vpbench.twins.painting.canvas import X, Y, circle, cover, develop, lay, noise, turn, vary

CLASS_NAMES = (
    "Annual Crop Land",
    "Forest",
    "Herbaceous Vegetation Land",
    "Highway or Road",
    "Industrial Buildings",
    "Pasture Land",
    "Permanent Crop Land",
    "Residential Buildings",
    "River",
    "Sea or Lake",
)
CROPS = ((0.47, 0.40, 0.31), (0.42, 0.34, 0.27), (0.36, 0.38, 0.26), (0.53, 0.47, 0.37))
MIXED = ((0.36, 0.37, 0.28), (0.30, 0.36, 0.26), (0.42, 0.38, 0.30))


def annual_crop(rng):
    """Returns a few large ploughed fields."""
    picture = fields(rng, CROPS, 0.015, int(rng.integers(4, 9)))
    return furrows(picture, rng.uniform(25, 45), rng.uniform(0, np.pi), 0.05)


def forest(rng):
    """Returns dark closed woodland."""
    return canopy(rng, vary(rng, (0.18, 0.25, 0.19), 0.012), 0.5)


def herbaceous(rng):
    """Returns uneven open land with shrubs."""
    picture = ground(rng, vary(rng, (0.36, 0.36, 0.26), 0.025), 11, 0.45)
    return picture * (0.85 + 0.3 * noise(rng, 26))[..., None]


def highway(rng):
    """Returns a pale road, sometimes with a second one, between fields."""
    picture = fields(rng, MIXED, 0.015, int(rng.integers(4, 8)))
    for _ in range(1 + (rng.random() < 0.3)):
        distance, _ = course(rng, rng.uniform(0, 0.3))
        road(picture, distance, rng.uniform(0.05, 0.09), vary(rng, (0.57, 0.55, 0.54), 0.03))
    return picture


def industrial(rng):
    """Returns large bright roofs on grey ground."""
    picture = ground(rng, vary(rng, (0.42, 0.42, 0.41), 0.02), 9, 0.25)
    angle = rng.uniform(0, np.pi)
    for cx, cy in scatter(rng, int(rng.integers(6, 10))):
        roof = vary(rng, rng.uniform(0.6, 0.88) * np.ones(3), 0.02)
        width, height = rng.uniform(0.15, 0.42), rng.uniform(0.1, 0.26)
        building(picture, cx, cy, width, height, angle, roof, 0.05)
    return picture


def pasture(rng):
    """Returns smooth green meadows, often with a hedge."""
    colour = vary(rng, (0.34, 0.44, 0.27), 0.02)
    picture = fields(rng, (colour,), 0.025, 4) * (0.93 + 0.14 * noise(rng, 5))[..., None]
    if rng.random() < 0.5:
        distance, _ = course(rng, 0.1, 0.7)
        road(picture, distance, 0.04, vary(rng, (0.22, 0.28, 0.18), 0.02))
    return picture


def permanent_crop(rng):
    """Returns an orchard: a regular grid of dark trees on pale soil."""
    picture = ground(rng, vary(rng, (0.46, 0.42, 0.32), 0.025), 5, 0.2)
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    size = rng.uniform(0.18, 0.28)
    _, _, u, v = tiles(x, y, size, size * rng.uniform(0.8, 1.2))
    lay(picture, 0.8 * cover(circle(u, v, 0.3) * size), vary(rng, (0.26, 0.30, 0.20), 0.02))
    return picture


def residential(rng):
    """Returns small houses in rows, with streets and gardens."""
    picture = ground(rng, vary(rng, (0.35, 0.39, 0.31), 0.02), 16, 0.4)
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    houses(rng, picture, x, y, rng.uniform(0.2, 0.28), ((0.62, 0.49, 0.43), (0.57, 0.53, 0.5)))
    street = (x + rng.uniform(0, 1)) % rng.uniform(0.6, 0.9) - 0.3
    road(picture, street, 0.05, vary(rng, (0.55, 0.54, 0.53), 0.02))
    return picture


def river(rng):
    """Returns a wide bent river between fields."""
    picture = fields(rng, MIXED, 0.015, int(rng.integers(4, 8)))
    distance, _ = course(rng, rng.uniform(0.1, 0.4))
    road(picture, distance, rng.uniform(0.13, 0.26), vary(rng, (0.22, 0.30, 0.36), 0.025))
    return picture


def sea(rng):
    """Returns open water."""
    return water(rng, vary(rng, (0.16, 0.25, 0.36), 0.015), 0.12)


PAINTERS = (
    annual_crop,
    forest,
    herbaceous,
    highway,
    industrial,
    pasture,
    permanent_crop,
    residential,
    river,
    sea,
)


def paint(rng, label, domain=0):
    """Returns a satellite crop, uint8 [56, 56, 3], of the land cover `label`."""
    return develop(rng, PAINTERS[label](rng) * rng.uniform(0.88, 1.12), 0.05)
