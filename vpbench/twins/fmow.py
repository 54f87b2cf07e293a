"""FMoW's twin. The real set is satellite pictures of 62 land uses, over continents and years.

Kept: ten classes, and a shift with two causes: the region sets the ground, the plants and the
roofs, the era sets the sensor (sharpness, tint, haze) and how densely people have built.
Validation and test are later eras than training. Left out: the other classes and off-nadir views.
"""

import numpy as np

from vpbench.twins.painting.aerial import (
    ASPHALT,
    airplane,
    building,
    canopy,
    course,
    fields,
    furrows,
    ground,
    parked,
    road,
    scatter,
    tiles,
    trees,
    water,
)
from vpbench.twins.painting.canvas import (
    X,
    Y,
    blur_to,
    box,
    circle,
    cover,
    develop,
    ellipse,
    lay,
    noise,
    segment,
    turn,
    vary,
)
from vpbench.twins.painting.windows import window

CLASS_NAMES = (
    "airport",
    "amusement_park",
    "crop_field",
    "dam",
    "golf_course",
    "lake_or_pond",
    "parking_lot_or_garage",
    "race_track",
    "solar_farm",
    "stadium",
)
REGIONS = ("Asia", "Europe", "Africa", "Americas", "Oceania")
DOMAINS = {"train": tuple(range(15)), "val": tuple(range(15, 20)), "test": tuple(range(20, 25))}
GROUPS = {domain: REGIONS[domain % 5] for domain in range(25)}
# Ground, plants, roofs and water of each region.
LANDS = (
    ((0.47, 0.45, 0.36), (0.22, 0.34, 0.19), (0.44, 0.50, 0.60), (0.30, 0.38, 0.36)),
    ((0.38, 0.44, 0.29), (0.20, 0.32, 0.18), (0.63, 0.38, 0.29), (0.18, 0.28, 0.34)),
    ((0.67, 0.52, 0.37), (0.36, 0.38, 0.21), (0.66, 0.60, 0.50), (0.36, 0.37, 0.31)),
    ((0.45, 0.46, 0.31), (0.25, 0.37, 0.20), (0.60, 0.58, 0.55), (0.17, 0.29, 0.36)),
    ((0.60, 0.45, 0.32), (0.31, 0.37, 0.24), (0.76, 0.77, 0.76), (0.13, 0.33, 0.42)),
)
# Stored side, sensor tint, haze and building density of each era.
SENSORS = (
    (32, (1.00, 0.97, 0.90), 0.10, 0.3),
    (38, (1.02, 1.00, 0.94), 0.05, 0.5),
    (44, (1.00, 1.00, 1.00), 0.08, 0.6),
    (50, (0.95, 1.00, 1.05), 0.15, 0.8),
    (56, (0.90, 1.00, 1.10), 0.22, 1.0),
)


def surroundings(rng, land, density):
    """Returns open ground with the trees and houses of a region, for things to stand on."""
    soil, plants, roofs, _ = land
    picture = ground(rng, vary(rng, soil, 0.03), 8, 0.25)
    trees(rng, picture, scatter(rng, int(rng.integers(6, 14)), 1.05), plants, 0.08)
    angle = rng.uniform(0, np.pi)
    for cx, cy in scatter(rng, rng.poisson(5 * density), 1.05):
        building(picture, cx, cy, 0.13, 0.09, angle, vary(rng, roofs, 0.04), 0.05, 0.15)
    return picture


def airport(rng, land, density):
    """Returns a long marked runway, a taxiway and an apron with small airplanes."""
    picture = ground(rng, vary(rng, land[0], 0.03), 6, 0.2)
    angle = rng.uniform(0, 2 * np.pi)
    x, y = turn(X, Y, angle)
    x = x + rng.uniform(0.3, 0.5)
    road(picture, x, 0.13, vary(rng, ASPHALT, 0.03))
    lay(picture, cover(np.maximum(np.abs(x) - 0.015, 0.06 - y % 0.2)), np.float32(0.92))
    road(picture, x - 0.4, 0.05, vary(rng, ASPHALT, 0.03))
    lay(picture, cover(box(x - 0.85, y, 0.32, 0.9)), vary(rng, (0.62, 0.62, 0.60), 0.03))
    lay(picture, cover(box(x - 1.1, y, 0.12, 0.8)), vary(rng, land[2], 0.04))
    for place in rng.choice([-0.6, -0.2, 0.2, 0.6], int(rng.integers(2, 5)), replace=False):
        cx, cy = turn(0.42, place, -angle)
        airplane(picture, cx, cy, 0.17, angle + np.pi, np.float32(0.95))
    return picture


def amusement_park(rng, land, density):
    """Returns winding coloured tracks and round bright roofs between trees."""
    picture = ground(rng, vary(rng, (0.62, 0.57, 0.50), 0.03), 9, 0.25)
    trees(rng, picture, scatter(rng, 22, 1.05), land[1], 0.11)
    for cx, cy in scatter(rng, 3, 0.6):
        x, y = turn(X - cx, Y - cy, rng.uniform(0, np.pi))
        loop = np.abs(ellipse(x, y, rng.uniform(0.3, 0.6), rng.uniform(0.2, 0.4))) - 0.025
        lay(picture, 0.4 * cover(np.roll(loop, (2, 2), (0, 1))), np.float32(0.1))
        lay(picture, cover(loop), rng.uniform(0.2, 0.95, 3).astype(np.float32))
    for cx, cy in scatter(rng, int(rng.integers(4, 8)), 0.9):
        size = rng.uniform(0.1, 0.18)
        view, x, y = window(picture, cx, cy, size)
        wedge = np.sin(4 * np.arctan2(y, x)) > 0
        hue = rng.uniform(0.2, 0.95, 3).astype(np.float32)
        lay(view, cover(circle(x, y, size)), np.where(wedge[..., None], hue, np.float32(0.93)))
    return picture


def crop_field(rng, land, density):
    """Returns large ploughed fields in the colours of a region."""
    soil, plants = np.asarray(land[0]), np.asarray(land[1])
    picture = fields(rng, (soil, 0.5 * soil + 0.5 * plants, plants * 1.3), 0.03, 6)
    return furrows(picture, rng.uniform(22, 40), rng.uniform(0, np.pi), 0.07)


def dam(rng, land, density):
    """Returns a pale wall with a lake on one side and a narrow river on the other."""
    picture = surroundings(rng, land, density / 2)
    x, y = turn(X, Y, rng.uniform(0, 2 * np.pi))
    wall = y + rng.uniform(0.1, 0.35) * x * x - rng.uniform(-0.1, 0.2)
    lake = water(rng, vary(rng, land[3], 0.03))
    shore = np.abs(x) - rng.uniform(0.7, 1.0) + 0.25 * noise(rng, 5)
    lay(picture, cover(np.maximum(wall, shore)), lake)
    stream = np.abs(x + 0.1 * np.sin(4 * y)) - rng.uniform(0.08, 0.16)
    lay(picture, cover(np.maximum(-wall, stream)), lake)
    band = np.maximum(np.abs(wall - 0.06) - 0.1, np.abs(x) - 0.85)
    lay(picture, cover(band), vary(rng, (0.76, 0.75, 0.72), 0.03))
    lay(picture, cover(np.maximum(np.abs(wall) - 0.025, np.abs(x) - 0.85)), np.float32(0.4))
    return picture


def golf_course(rng, land, density):
    """Returns pale fairways, sand bunkers and a pond among woods."""
    picture = canopy(rng, vary(rng, land[1], 0.02), 0.6)
    turf = vary(rng, (0.42, 0.58, 0.30), 0.03)
    for cx, cy in scatter(rng, 4, 0.7):
        angle = rng.uniform(0, 2 * np.pi)
        dx, dy = 0.5 * np.cos(angle), 0.5 * np.sin(angle)
        fairway = segment(X, Y, cx - dx, cy - dy, cx + dx, cy + dy, rng.uniform(0.13, 0.2))
        lay(picture, cover(fairway), turf * rng.uniform(0.9, 1.1))
        view, x, y = window(picture, cx + dx, cy + dy, 0.35)
        lay(view, cover(circle(x, y, 0.13)), turf * 1.25)
        u, v = turn(x, y, angle)
        bunkers = ellipse(u + 0.1, np.abs(v) - 0.21, 0.13, 0.07)
        lay(view, cover(bunkers), vary(rng, (0.88, 0.82, 0.67), 0.02))
    if rng.random() < 0.5:
        cx, cy = rng.uniform(-0.7, 0.7, 2)
        lay(picture, cover(ellipse(X - cx, Y - cy, 0.22, 0.15)), vary(rng, land[3], 0.03))
    return picture


def lake_or_pond(rng, land, density):
    """Returns one irregular sheet of water in open country."""
    picture = surroundings(rng, land, density)
    x, y = turn(X - rng.normal(0, 0.1), Y - rng.normal(0, 0.1), rng.uniform(0, np.pi))
    shore = circle(x, y * rng.uniform(1, 1.6), rng.uniform(0.45, 0.75))
    shore = shore + 0.5 * (noise(rng, 5) - 0.5)
    lay(picture, 0.7 * cover(shore - 0.05), vary(rng, land[1], 0.02))
    lay(picture, cover(shore), water(rng, vary(rng, land[3], 0.03)))
    return picture


def parking(rng, land, density):
    """Returns rows of parked cars next to a large roof."""
    picture = ground(rng, vary(rng, ASPHALT, 0.03), 6, 0.12)
    x, y = turn(X, Y, rng.uniform(0, 2 * np.pi))
    parked(rng, picture, x + 4, y + 4, 0.4 + 0.5 * density)
    edge = rng.uniform(0.4, 0.8)
    lay(picture, 0.5 * cover(edge - 0.07 - y), np.float32(0.1))
    lay(picture, cover(edge - y), vary(rng, land[2], 0.04))
    return picture


def race_track(rng, land, density):
    """Returns an oval track around a green infield."""
    picture = surroundings(rng, land, density)
    x, y = turn(X - rng.normal(0, 0.06), Y - rng.normal(0, 0.06), rng.uniform(0, np.pi))
    oval = segment(x, y, -0.38, 0, 0.38, 0, rng.uniform(0.36, 0.5))
    lay(picture, cover(oval - 0.06), vary(rng, land[0], 0.03))
    lay(picture, cover(oval), vary(rng, (0.36, 0.50, 0.27), 0.04))
    track = ((0.66, 0.36, 0.27), ASPHALT, (0.72, 0.62, 0.48))[rng.integers(3)]
    lay(picture, cover(np.abs(oval) - 0.085), vary(rng, track, 0.03))
    lay(picture, 0.6 * cover(np.abs(oval) - 0.01), np.float32(0.9))
    return picture


def solar_farm(rng, land, density):
    """Returns parallel rows of dark blue panels in blocks."""
    picture = ground(rng, vary(rng, land[0], 0.03), 8, 0.2)
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    pitch, width = rng.uniform(0.17, 0.26), rng.uniform(0.6, 1.0)
    column, row, u, v = tiles(x + 5 + rng.random(), y + 5, width, pitch)
    panels = np.maximum(np.abs(u) * width - 0.46 * width, np.abs(v) * pitch - 0.3 * pitch)
    built = (rng.random((23, 5)) < 0.7 + 0.3 * density)[column % 23, row // 8 % 5]
    shine = 0.9 + 0.4 * (v > 0)[..., None]
    lay(picture, cover(panels) * built, vary(rng, (0.13, 0.18, 0.34), 0.02) * shine)
    distance, _ = course(rng, 0.05, 0.9)
    road(picture, distance, 0.05, vary(rng, land[0], 0.03) * 1.15)
    return picture


def stadium(rng, land, density):
    """Returns a green pitch inside an oval of stands cut by stairs."""
    picture = surroundings(rng, land, density)
    x, y = turn(X - rng.normal(0, 0.06), Y - rng.normal(0, 0.06), rng.uniform(0, np.pi))
    stands = ellipse(x, y, rng.uniform(0.78, 0.92), rng.uniform(0.62, 0.76))
    lay(picture, 0.5 * cover(np.roll(stands, (3, 3), (0, 1)) - 0.03), np.float32(0.1))
    lay(picture, cover(stands), vary(rng, (0.80, 0.79, 0.78), 0.03))
    stairs = np.sin(rng.integers(14, 22) * np.arctan2(y, x)) > 0.75
    lay(picture, 0.45 * cover(stands + 0.06) * stairs, np.float32(0.2))
    lay(picture, 0.6 * cover(np.abs(stands + 0.13) - 0.05), vary(rng, land[2], 0.04) * 0.7)
    lay(picture, cover(stands + 0.27), vary(rng, (0.35, 0.52, 0.26), 0.03))
    lines = np.minimum(np.abs(box(x, y, 0.36, 0.22)), np.maximum(np.abs(x), np.abs(y) - 0.22))
    lay(picture, 0.8 * cover(lines - 0.008), np.float32(0.95))
    return picture


PAINTERS = (
    airport,
    amusement_park,
    crop_field,
    dam,
    golf_course,
    lake_or_pond,
    parking,
    race_track,
    solar_farm,
    stadium,
)


def paint(rng, label, domain=0):
    """Returns a satellite picture, uint8 [56, 56, 3], of `label` in era * 5 + region `domain`."""
    era, region = divmod(domain, 5)
    side, tint, haze, density = SENSORS[era]
    picture = PAINTERS[label](rng, LANDS[region], density)
    picture = picture * np.float32(tint) * (1 - haze) + haze * np.float32((0.75, 0.80, 0.86))
    return blur_to(develop(rng, picture, 0.04), side)
