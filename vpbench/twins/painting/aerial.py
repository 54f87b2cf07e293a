"""Things seen from above, shared by the satellite and aerial twins."""

import numpy as np

from vpbench.twins.painting.canvas import (
    X,
    Y,
    box,
    cells,
    cover,
    lay,
    noise,
    plain,
    segment,
    turn,
    vary,
)
from vpbench.twins.painting.windows import discs, window

ASPHALT = (0.42, 0.42, 0.43)


def ground(rng, colour, bumps=9, strength=0.3):
    """Returns a picture of `colour` ground, mottled by noise of `bumps` per side."""
    return plain(colour) * (1 - strength / 2 + strength * noise(rng, bumps))[..., None]


def canopy(rng, colour, strength=0.7):
    """Returns a picture of closed forest: crowns, their shadows and large pale patches."""
    crowns = 0.75 * noise(rng, 24) + 0.25 * noise(rng, 5)
    return plain(colour) * (1 - strength / 2 + strength * crowns)[..., None]


def water(rng, colour, strength=0.12):
    """Returns a picture of water with weak waves and a slow change of depth."""
    waves = 0.5 * noise(rng, 20) + 0.5 * noise(rng, 3)
    return plain(colour) * (1 - strength / 2 + strength * waves)[..., None]


def fields(rng, colours, spread=0.03, count=6):
    """Returns a picture of `count` fields with straight borders, each near one of `colours`."""
    x, y = turn(X, Y, rng.uniform(0, np.pi))
    palette = np.asarray(colours, np.float32)[rng.integers(len(colours), size=count)]
    palette = palette + rng.normal(0, spread, (count, 3)).astype(np.float32)
    return palette[cells(rng, count, x, y * rng.uniform(0.6, 1.6))]


def furrows(picture, frequency, angle, strength):
    """Returns `picture` with parallel plough lines of the given `strength`."""
    x, _ = turn(X, Y, angle)
    return picture * (1 + strength * np.sin(frequency * x))[..., None]


def course(rng, bend, offset=0.3):
    """Returns the signed distance to a curved line through the picture and the way along it."""
    x, y = turn(X, Y, rng.uniform(0, 2 * np.pi))
    curve = bend * np.sin(rng.uniform(1.5, 3.0) * y + rng.uniform(0, 2 * np.pi))
    return x - curve - rng.uniform(-offset, offset), y


def road(picture, distance, half_width, colour):
    """Paints a road along the signed `distance` over `picture`."""
    lay(picture, cover(np.abs(distance) - half_width), colour)


def building(picture, cx, cy, width, height, angle, colour, shadow=0.06, ridge=0.0):
    """Paints a roof with a shadow to its lower right; `ridge` darkens one half of the roof."""
    view, x, y = window(picture, cx, cy, np.hypot(width, height) + shadow)
    if not view.size:
        return
    u, v = turn(x - shadow, y - shadow, angle)
    lay(view, 0.55 * cover(box(u, v, width, height)), np.float32(0.08))
    u, v = turn(x, y, angle)
    shade = 1 - ridge * (v > 0)
    lay(view, cover(box(u, v, width, height)), shade[..., None] * colour)


def trees(rng, picture, places, colour, radius=0.07):
    """Paints round trees with a shadow at `places` [count, 2] over `picture`."""
    radii = radius * rng.uniform(0.7, 1.3, len(places))
    crowns = cover(discs(places, radii))
    lay(picture, 0.45 * np.roll(crowns, (2, 2), (0, 1)), np.float32(0.05))  # shadows to lower right
    lay(picture, crowns, canopy(rng, colour, 0.4))


def scatter(rng, count, reach=1.0):
    """Returns `count` random places [count, 2] within `reach` of the centre."""
    return rng.uniform(-reach, reach, (count, 2))


def tiles(x, y, width, height):
    """Returns the column, row, and position -0.5..0.5 in each tile of a grid over x, y."""
    u, v = x / width, y / height
    column, row = np.floor(u), np.floor(v)
    return column.astype(int), row.astype(int), u - column - 0.5, v - row - 0.5


def houses(rng, picture, x, y, size, roofs, share=0.9):
    """Paints rows of houses in a grid of tiles of width `size`, with shadows and varied roofs."""
    column, row, u, v = tiles(x, y, size, size * 0.9)
    column, row = column % 13, row % 13
    palette = np.asarray(roofs, np.float32)[rng.integers(len(roofs), size=(13, 13))]
    palette = palette * rng.uniform(0.8, 1.2, (13, 13, 1)).astype(np.float32)
    built = (rng.random((13, 13)) < share)[column, row]
    width = rng.uniform(0.24, 0.36, (13, 13))[column, row]
    height = rng.uniform(0.22, 0.32, (13, 13))[column, row]
    shadow = cover(box(u - 0.1, v - 0.1, width, height) * size)
    lay(picture, 0.5 * shadow * built, np.float32(0.1))
    roof = palette[column, row] * (1 - 0.2 * (v > 0))[..., None].astype(np.float32)
    lay(picture, cover(box(u, v, width, height) * size) * built, roof)


def parked(rng, picture, x, y, share=0.7):
    """Paints rows of parked cars and the lines between their bays, in the frame x, y."""
    column, row, u, v = tiles(x, y, 0.115, 0.42)
    column, row = column % 31, row % 31
    lines = cover(np.maximum(0.0575 - np.abs(u) * 0.115 - 0.012, np.abs(v) * 0.42 - 0.13))
    lay(picture, 0.45 * lines, np.float32(0.85))
    grey = rng.choice([0.12, 0.3, 0.55, 0.85, 0.92], (31, 62, 1))
    palette = np.clip(grey + rng.normal(0, 0.09, (31, 62, 3)), 0, 1).astype(np.float32)
    taken = (rng.random((31, 62)) < share)[column, row * 2 + (v > 0)]
    cars = cover(np.maximum(np.abs(u) * 0.115 - 0.036, np.abs(np.abs(v) * 0.42 - 0.085) - 0.065))
    lay(picture, cars * taken, palette[column, row * 2 + (v > 0)])


def traffic(rng, picture, distance, along, lanes, colour_spread=0.1):
    """Paints vehicles on lanes whose signed offsets from the road's middle are `lanes`."""
    for lane in lanes:
        place = tiles(along + rng.uniform(0, 1), along, 0.3, 1)
        taken = (rng.random(31) < 0.6)[place[0] % 31]
        car = np.maximum(np.abs(distance - lane) - 0.03, np.abs(place[2]) * 0.3 - 0.06)
        grey = float(rng.choice([0.15, 0.5, 0.9]))
        lay(picture, cover(car) * taken, vary(rng, (grey,) * 3, colour_spread))


def airplane(picture, cx, cy, size, angle, colour):
    """Paints an airplane of half length `size` with swept wings and its shadow."""
    view, x, y = window(picture, cx, cy, 1.4 * size)
    if not view.size:
        return
    for shift, opacity, paint in ((0.1, 0.45, np.float32(0.1)), (0.0, 1.0, colour)):
        u, v = turn((x - shift * size) / size, (y - shift * size) / size, angle)
        v = np.abs(v)
        shape = np.minimum(segment(u, v, -0.85, 0, 0.85, 0, 0.13), box(u, v, 0.1, 0.05))
        shape = np.minimum(shape, segment(u, v, 0.15, 0, -0.3, 0.9, 0.09))
        shape = np.minimum(shape, segment(u, v, -0.75, 0, -0.95, 0.35, 0.07))
        lay(view, opacity * cover(shape * size), paint)
