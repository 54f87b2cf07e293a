"""RESISC45's twin. The real set is 256x256 aerial pictures from Google Earth, 45 scene classes.

Kept: 14 classes that can be told at 56 pixels, bright and sharp pictures, shadows to one side,
objects at any angle. Left out: the other 31 classes, several scales and cluttered borders.
"""

import numpy as np

from vpbench.twins.painting.aerial import (
    ASPHALT,
    airplane,
    building,
    canopy,
    course,
    ground,
    houses,
    parked,
    road,
    scatter,
    tiles,
    traffic,
    trees,
    water,
)
from vpbench.twins.painting.canvas import X, Y, box, circle, cover, develop, lay, noise, turn, vary

CLASS_NAMES = (
    "airplane",
    "baseball_diamond",
    "beach",
    "bridge",
    "church",
    "circular_farmland",
    "dense_residential",
    "forest",
    "freeway",
    "harbor",
    "island",
    "parking_lot",
    "storage_tank",
    "tennis_court",
)
GRASS, WOOD, SAND = (0.36, 0.48, 0.26), (0.17, 0.29, 0.15), (0.82, 0.74, 0.57)
SEA, SOIL, CONCRETE = (0.13, 0.34, 0.45), (0.62, 0.50, 0.36), (0.66, 0.65, 0.62)
ROOFS = ((0.62, 0.38, 0.30), (0.55, 0.52, 0.50), (0.70, 0.62, 0.54), (0.45, 0.36, 0.33))
WHITE = np.float32((0.93, 0.93, 0.92))


def airplane_scene(rng):
    """Returns one large airplane on an apron with a yellow line."""
    picture = ground(rng, vary(rng, CONCRETE, 0.05), 7, 0.15)
    distance, _ = course(rng, 0.05, 0.8)
    road(picture, distance, 0.02, np.float32((0.8, 0.7, 0.3)))
    cx, cy = rng.normal(0, 0.12, 2)
    airplane(picture, cx, cy, rng.uniform(0.6, 0.9), rng.uniform(0, 2 * np.pi), WHITE)
    return picture


def baseball_diamond(rng):
    """Returns a field with a brown infield wedge around a green square."""
    picture = ground(rng, vary(rng, GRASS, 0.04), 6, 0.2)
    u, v = turn(X - rng.normal(0, 0.1), Y - rng.normal(0, 0.1), rng.uniform(0, 2 * np.pi))
    u, v = u + 0.6, v + 0.6
    reach = circle(u, v, 0)
    wedge = np.maximum(-np.minimum(u, v) - 0.08, reach - rng.uniform(0.95, 1.1))
    soil = vary(rng, (0.66, 0.46, 0.32), 0.04)
    lay(picture, cover(np.maximum(-np.minimum(u, v) - 0.12, reach - 1.7)), vary(rng, GRASS, 0.03))
    lay(picture, cover(wedge), soil)
    u, v = u - 0.36, v - 0.36
    lay(picture, cover(box(u, v, 0.27, 0.27)), vary(rng, GRASS, 0.03))
    lay(picture, cover(circle(u, v, 0.09)), soil)
    return picture


def beach(rng):
    """Returns sea, foam and sand side by side, sometimes with a green hinterland."""
    picture = water(rng, vary(rng, SEA, 0.04))
    distance, _ = course(rng, 0.12)
    distance = distance + 0.06 * noise(rng, 12)
    lay(picture, 0.8 * cover(np.abs(distance + 0.07) - 0.05), WHITE)
    lay(picture, cover(-distance), vary(rng, SAND, 0.04) * (0.9 + 0.2 * noise(rng, 16))[..., None])
    if rng.random() < 0.6:
        lay(picture, cover(rng.uniform(0.45, 0.8) - distance), canopy(rng, WOOD))
    return picture


def bridge(rng):
    """Returns a straight road over a river, with its shadow on the water."""
    picture = ground(rng, vary(rng, GRASS, 0.04), 10, 0.4)
    u, v = turn(X, Y, rng.uniform(0, 2 * np.pi))
    bank = u + 0.1 * np.sin(3 * v + rng.uniform(0, 6))
    lay(picture, cover(np.abs(bank) - rng.uniform(0.4, 0.75)), water(rng, vary(rng, SEA, 0.05)))
    width, v = rng.uniform(0.1, 0.17), v - rng.uniform(-0.3, 0.3)
    lay(picture, 0.5 * cover(np.abs(v - 0.09) - width), np.float32(0.05))
    road(picture, v, width, vary(rng, CONCRETE, 0.04))
    road(picture, v, 0.6 * width, vary(rng, ASPHALT, 0.03))
    return picture


def church(rng):
    """Returns a cross-shaped roof with a tower among trees and houses."""
    picture = ground(rng, vary(rng, GRASS, 0.05), 8, 0.3)
    for cx, cy in scatter(rng, 5, 1.1):
        roof = vary(rng, ROOFS[rng.integers(4)], 0.04)
        building(picture, cx, cy, 0.17, 0.12, rng.uniform(0, 3), roof, ridge=0.2)
    lay(picture, 0.9 * cover(circle(X, Y, 0.75)), vary(rng, CONCRETE, 0.04))
    trees(rng, picture, scatter(rng, 9, 1.1), WOOD, 0.12)
    angle, (cx, cy) = rng.uniform(0, 2 * np.pi), rng.normal(0, 0.08, 2)
    roof, size = vary(rng, ROOFS[rng.integers(4)], 0.05), rng.uniform(0.9, 1.2)
    dx, dy = 0.22 * size * np.cos(angle), 0.22 * size * np.sin(angle)
    building(picture, cx, cy, 0.6 * size, 0.15 * size, angle, roof, 0.08, 0.3)
    building(picture, cx + dx, cy + dy, 0.15 * size, 0.42 * size, angle, roof, 0.08)
    building(picture, cx - 2.6 * dx, cy - 2.6 * dy, 0.13 * size, 0.13 * size, angle, WHITE, 0.2)
    return picture


def circular_farmland(rng):
    """Returns irrigated circles, each cut into sectors, on dry ground."""
    picture = ground(rng, vary(rng, SOIL, 0.05), 8, 0.2)
    radius = rng.choice([0.45, 0.62, 0.85])
    ox, oy = rng.uniform(-1, 1, 2) * (0.25 if radius > 0.8 else 1)
    x, y = (X - ox) / radius / 2.1, (Y - oy) / radius / 2.1
    column, row, u, v = tiles(x + 0.5, y + 0.5, 1, 1)
    greens = vary(rng, (0.30, 0.42, 0.22), 0.04) + rng.normal(0, 0.06, (5, 5, 2, 3))
    sector = (np.sin(np.arctan2(v, u) + column + 2 * row + 6 * rng.random()) > 0.3).astype(int)
    colours = np.clip(greens, 0, 1).astype(np.float32)[column % 5, row % 5, sector]
    lay(picture, cover(circle(u, v, 0.476) * 2.1 * radius), colours)
    return picture


def dense_residential(rng):
    """Returns blocks of close houses with streets between them."""
    picture = ground(rng, vary(rng, (0.36, 0.40, 0.30), 0.03), 18, 0.5)
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    houses(rng, picture, x + 5, y + 5, rng.uniform(0.28, 0.38), ROOFS)
    road(picture, (x + rng.uniform(0, 1)) % 0.9 - 0.45, 0.06, vary(rng, ASPHALT, 0.04))
    return picture


def forest(rng):
    """Returns closed woodland."""
    return canopy(rng, vary(rng, WOOD, 0.03), 0.9)


def freeway(rng):
    """Returns two carriageways with lane marks and vehicles."""
    picture = ground(rng, vary(rng, GRASS, 0.05), 12, 0.4)
    distance, along = course(rng, rng.uniform(0, 0.12), 0.25)
    road(picture, distance, 0.46, vary(rng, GRASS, 0.04))
    road(picture, np.abs(distance) - 0.23, 0.18, vary(rng, ASPHALT, 0.04))
    dashes = np.maximum(np.abs(np.abs(distance) - 0.23) - 0.012, 0.04 - along % 0.16)
    lay(picture, cover(dashes), WHITE)
    traffic(rng, picture, distance, along, (-0.32, -0.14, 0.14, 0.32))
    return picture


def harbor(rng):
    """Returns rows of moored boats along piers."""
    picture = water(rng, vary(rng, (0.12, 0.24, 0.30), 0.03))
    x, y = turn(X, Y, rng.uniform(0, 2 * np.pi))
    length = rng.uniform(0.17, 0.26)
    column, row, u, v = tiles(x + 4, y + 4, 0.15, 4 * length)
    row = (row * 2 + (v > 0)) % 23  # boats lie on both sides of a pier
    v = np.abs(v) * 4 * length
    hull = np.maximum(np.abs(u) * 0.15 - 0.05, np.abs(v - length - 0.03) - 0.85 * length)
    taper = hull + 0.25 * np.maximum(v - length, 0)
    moored = (rng.random((31, 23)) < 0.85)[column % 31, row]
    tones = rng.uniform(0.75, 1.0, (31, 23, 1)).astype(np.float32)[column % 31, row]
    lay(picture, cover(taper) * moored, WHITE * tones)
    lay(picture, cover(hull + 0.03) * moored * 0.5, np.float32((0.4, 0.45, 0.5)))
    lay(picture, cover(v - 0.035), vary(rng, CONCRETE, 0.04))
    lay(picture, cover(x + rng.uniform(0.6, 1.4)), vary(rng, CONCRETE, 0.05))
    return picture


def island(rng):
    """Returns wooded land inside rings of sand and shallow water."""
    picture = water(rng, vary(rng, SEA, 0.04) * 0.85)
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    radius = rng.uniform(0.35, 0.65)
    shore = circle(x, y * rng.uniform(1, 1.6), radius) + 0.5 * noise(rng, 5) - 0.25
    lay(picture, np.clip(0.6 - 3 * shore, 0, 0.7), np.float32((0.25, 0.58, 0.60)))
    lay(picture, cover(shore), vary(rng, SAND, 0.04))
    lay(picture, cover(shore + rng.uniform(0.06, 0.14)), canopy(rng, WOOD))
    return picture


def parking_lot(rng):
    """Returns rows of parked cars."""
    picture = ground(rng, vary(rng, ASPHALT, 0.05), 6, 0.12)
    x, y = turn(X, Y, rng.uniform(0, 2 * np.pi))
    parked(rng, picture, x + 4, y + 4, rng.uniform(0.5, 0.95))
    return picture


def storage_tank(rng):
    """Returns round tanks in a grid on bare ground, with shadows and bright lids."""
    picture = ground(rng, vary(rng, (0.50, 0.47, 0.42), 0.05), 9, 0.3)
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    pitch = rng.uniform(0.6, 1.1)
    column, row, u, v = tiles(x + 6 + rng.random(), y + 6 + rng.random(), pitch, pitch)
    u, v, radius = u * pitch, v * pitch, pitch * rng.uniform(0.33, 0.42)
    tank = (rng.random((17, 17)) < 0.85)[column % 17, row % 17]
    lay(picture, 0.8 * cover(circle(u, v, 1.12 * radius)) * tank, np.float32(0.2))
    lay(picture, cover(circle(u, v, radius)) * tank, vary(rng, WHITE * 0.95, 0.04))
    crescent = np.maximum(circle(u, v, 0.88 * radius), -circle(u - 0.1, v - 0.1, 0.9 * radius))
    lay(picture, 0.6 * cover(crescent) * tank, np.float32(0.3))
    return picture


def tennis_court(rng):
    """Returns one to several courts with white lines and a net."""
    picture = ground(rng, vary(rng, GRASS, 0.05), 9, 0.3)
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    size, count = rng.uniform(0.6, 0.85), int(rng.integers(1, 4))
    play = ((0.24, 0.40, 0.58), (0.30, 0.50, 0.36), (0.66, 0.40, 0.31))[rng.integers(3)]
    around = ((0.36, 0.52, 0.38), (0.62, 0.42, 0.34), (0.30, 0.42, 0.50))[rng.integers(3)]
    u, v = x / size, y / size
    lay(picture, cover(box(u, v, 0.75 * count, 1.15)), vary(rng, around, 0.04))
    u = u + 0.75 * (count - 1)
    u = u - 1.5 * np.clip(np.round(u / 1.5), 0, count - 1)
    lay(picture, cover(box(u, v, 0.5, 0.9)), vary(rng, play, 0.04))
    lines = np.minimum(np.abs(box(u, v, 0.5, 0.9)), np.abs(box(u, v, 0.37, 0.9)))
    lines = np.minimum(lines, np.abs(box(u, v, 0.37, 0.46)))
    lines = np.minimum(lines, np.maximum(np.abs(u), np.abs(v) - 0.46))
    lay(picture, cover(lines * size - 0.018), WHITE)
    lay(picture, 0.7 * cover(box(u, v, 0.58, 0.02) * size), np.float32(0.1))
    return picture


PAINTERS = (
    airplane_scene,
    baseball_diamond,
    beach,
    bridge,
    church,
    circular_farmland,
    dense_residential,
    forest,
    freeway,
    harbor,
    island,
    parking_lot,
    storage_tank,
    tennis_court,
)


def paint(rng, label, domain=0):
    """Returns an aerial picture, uint8 [56, 56, 3], of the scene `label`."""
    return develop(rng, PAINTERS[label](rng), 0.03)
