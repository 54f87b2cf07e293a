"""Sixteen places seen from the ground, outdoors below a sky and indoors between wall and floor."""

import numpy as np

from vpbench.twins.painting.canvas import (
    X,
    Y,
    any_colour,
    box,
    circle,
    cover,
    ellipse,
    lay,
    named_colour,
    noise,
    plain,
    segment,
    triangle,
    vary,
)

SKIES = ((0.45, 0.68, 0.95), (0.70, 0.82, 0.95), (0.70, 0.74, 0.80), (0.97, 0.72, 0.50))
GRASS = (0.32, 0.60, 0.22)
WATER = (0.15, 0.42, 0.68)
WOOD = (0.52, 0.34, 0.18)
STONE = (0.60, 0.58, 0.55)


def paint_scene(rng, name):
    """Returns a new picture of the place `name`."""
    if name in INDOORS:
        picture = plain(vary(rng, (0.80, 0.76, 0.68), 0.1))
        edge = rng.uniform(0.25, 0.5)
        lay(picture, cover(edge - Y), vary(rng, (0.50, 0.38, 0.28), 0.07))
        painter = INDOORS[name]
    else:
        sky = vary(rng, SKIES[rng.choice(4, p=(0.45, 0.25, 0.15, 0.15))], 0.04)
        picture = sky + (np.float32(0.95) - sky) * np.clip(Y * 0.4 + 0.3, 0, 1)[..., None]
        edge = rng.uniform(-0.2, 0.25)
        painter = OUTDOORS[name]

    def paint(distance, colour, spread=0.04):
        lay(picture, cover(distance), vary(rng, colour, spread) if spread else colour)

    painter(rng, paint, edge)
    picture *= (0.93 + 0.14 * noise(rng, 14))[..., None]
    return picture


def _tile(x, pitch):
    """Returns how far 0..0.5 each x is from the middle of its tile, in tiles of width `pitch`."""
    turns = x / pitch
    return np.abs(turns - np.floor(turns) - 0.5)


def _beach(rng, paint, edge):
    slope = rng.normal(0, 0.2)
    shore = (
        Y - edge - rng.uniform(0.25, 0.45) - slope * X - 0.04 * np.sin(5 * X + rng.uniform(0, 6))
    )
    paint(edge - Y, (0.10, 0.55, 0.72), 0.05)
    paint(-shore, (0.93, 0.84, 0.62))
    paint(np.abs(shore) - 0.035, (0.97, 0.98, 0.98), 0.01)
    if rng.random() < 0.5:
        middle, height = rng.uniform(-0.7, 0.7), rng.uniform(0.4, 0.6)
        paint(box(X - middle, Y - height, 0.025, 0.3), WOOD)
        cap = np.maximum(ellipse(X - middle, Y - height + 0.22, 0.36, 0.28), Y - height + 0.22)
        paint(cap, any_colour(rng))


def _bridge(rng, paint, edge):
    paint(edge + 0.15 - Y, WATER, 0.06)
    deck, top = edge - rng.uniform(0.0, 0.1), edge - rng.uniform(0.5, 0.75)
    colour = ((0.75, 0.22, 0.15), (0.45, 0.47, 0.50), (0.62, 0.52, 0.40))[rng.integers(3)]
    paint(np.abs(Y - deck) - 0.06, colour)
    if rng.random() < 0.65:
        reach = rng.uniform(0.4, 0.6)
        paint(
            box(np.abs(X) - reach, Y - (top + edge + 0.3) / 2, 0.06, (edge + 0.3 - top) / 2), colour
        )
        sag = deck - 0.08 + (top - deck) * np.minimum((X / reach) ** 2, 2 - np.abs(X) / reach)
        paint((np.abs(Y - sag) - 0.03) * 0.6, colour)
        hangers = np.maximum(_tile(X, 0.14) * 0.14 - 0.012, sag - Y)
        paint(np.maximum(hangers, Y - deck), colour)
    else:
        pitch = rng.uniform(0.6, 0.8)
        across = _tile(X, pitch) * pitch
        wall = np.maximum(
            np.abs(Y - deck - 0.2) - 0.22, pitch * 0.4 - circle(across, Y - deck - 0.5, 0)
        )
        paint(wall, colour)


def _castle(rng, paint, edge):
    middle, size = rng.uniform(-0.25, 0.25), rng.uniform(0.75, 1.0)
    x, y = (X - middle) / size, (Y - edge - 0.1) / size
    paint(edge - Y - 0.1 * np.cos(2 * x), GRASS)
    stone = vary(rng, STONE, 0.07)
    roof = ((0.25, 0.30, 0.55), (0.62, 0.18, 0.15), (0.30, 0.28, 0.30))[rng.integers(3)]
    teeth = np.where(np.sin(22 * x) > 0, 0.08, 0.0).astype(np.float32)
    paint(np.maximum(np.abs(x) - 0.65, np.abs(y + 0.15) - 0.35 - teeth) * size, stone, 0.01)
    towers = np.minimum(box(np.abs(x) - 0.65, y + 0.3, 0.17, 0.55), box(x, y + 0.4, 0.16, 0.55))
    paint(towers * size, stone * 0.9, 0.01)
    points = np.minimum(
        triangle(np.abs(x) - 0.65, y + 1.02, 0.24, 0.2), triangle(x, y + 1.12, 0.22, 0.2)
    )
    paint(points * size, roof)
    paint(
        np.minimum(box(x, y - 0.05, 0.11, 0.15), circle(x, y + 0.1, 0.11)) * size,
        (0.15, 0.10, 0.08),
    )


def _sand_desert(rng, paint, edge):
    for layer in range(4):
        height = edge - 0.15 + 0.28 * layer
        phase, speed = rng.uniform(0, 6), rng.uniform(1.5, 3.5)
        ridge = height + 0.13 * np.abs(np.sin(speed * X + phase)) - Y
        paint(ridge, (0.93, 0.68, 0.36), 0.03)
        paint(
            np.maximum(ridge, np.sin(2 * speed * X + 2 * phase + 2.5 * Y) * 0.1),
            (0.72, 0.45, 0.20),
            0.02,
        )


def _highway(rng, paint, edge):
    paint(edge - Y, GRASS, 0.08)
    depth = np.maximum(Y - edge, 0)
    centre = X - rng.uniform(-0.3, 0.3) * (1 - depth) - rng.normal(0, 0.3) * depth
    road = np.maximum(edge - Y, np.abs(centre) - 0.05 - 0.85 * depth)
    paint(road, (0.33, 0.33, 0.35))
    dashes = np.maximum(
        np.abs(centre) - 0.06 * depth, np.sin(9 / (depth + 0.35) + rng.uniform(0, 6)) * 0.05
    )
    paint(np.maximum(dashes, road), (0.97, 0.95, 0.85))
    paint(
        np.maximum(np.abs(np.abs(centre) - 0.78 * depth) - 0.035 * depth - 0.005, road),
        (0.95, 0.9, 0.6),
    )
    if rng.random() < 0.6:
        side = 0.25 if rng.random() < 0.5 else -0.25
        paint(box(centre - side, Y - edge - 0.4, 0.13, 0.1), any_colour(rng))
        paint(box(centre - side, Y - edge - 0.5, 0.09, 0.07), (0.15, 0.18, 0.22))


def _lighthouse(rng, paint, edge):
    paint(edge - Y, WATER, 0.06)
    middle, size = rng.uniform(-0.5, 0.5), rng.uniform(0.75, 1.05)
    x, y = (X - middle) / size, (Y - edge) / size
    paint((ellipse(x, y - 0.3, 0.75, 0.3)) * size, (0.40, 0.35, 0.30), 0.06)
    tower = np.maximum(np.abs(x) - 0.17 - 0.09 * y, np.abs(y + 0.3) - 0.5)
    band = ((0.85, 0.12, 0.12), (0.10, 0.12, 0.25))[int(rng.random() < 0.3)]
    paint(tower * size, (0.96, 0.96, 0.95), 0.02)
    paint(np.maximum(tower, np.sin(rng.uniform(14, 18) * y) * 0.1) * size, band)
    paint(box(x, y + 0.82, 0.18, 0.04) * size, (0.15, 0.15, 0.18))
    paint(box(x, y + 0.92, 0.1, 0.1) * size, (1.0, 0.93, 0.45), 0.03)
    paint(triangle(x, y + 1.1, 0.17, 0.1) * size, band)


def _mountain(rng, paint, edge):
    rock = vary(rng, (0.45, 0.44, 0.48), 0.06)
    for start in (-0.65, 0.65, 0.0):
        middle, height = start + rng.normal(0, 0.12), rng.uniform(0.42, 0.62)
        x, y = X - middle, Y - edge + height
        peak = triangle(x, y, rng.uniform(0.75, 1.1), height)
        paint(peak, rock, 0.03)
        paint(np.maximum(peak, x * 0.5 + 0.06 * np.sin(9 * y)), rock * 0.78, 0.02)
        paint(np.maximum(peak, y + height * 0.45 + 0.07 * np.sin(14 * x)), (0.97, 0.97, 0.99), 0.01)
    paint(edge - 0.1 - Y + 0.05 * np.sin(3 * X + rng.uniform(0, 6)), (0.22, 0.42, 0.22), 0.05)


def _pasture(rng, paint, edge):
    paint(edge - Y + 0.05 * np.sin(2 * X + rng.uniform(0, 6)), (0.45, 0.72, 0.25))
    for _ in range(int(rng.integers(3, 5))):
        x, y = X - rng.uniform(-0.8, 0.8), Y - rng.uniform(edge + 0.15, 0.7)
        size = rng.uniform(0.7, 1.1)
        cow = ((0.95, 0.94, 0.92), (0.15, 0.12, 0.12), (0.50, 0.28, 0.15))[rng.integers(3)]
        legs = box(np.abs(x) - 0.13 * size, y - 0.13 * size, 0.035, 0.1 * size)
        body = np.minimum(ellipse(x, y, 0.23 * size, 0.12 * size), legs)
        paint(np.minimum(body, circle(x - 0.26 * size, y + 0.08, 0.075 * size)), cow)
    if rng.random() < 0.7:
        height = rng.uniform(0.72, 0.85)
        rails = np.abs(np.abs(Y - height) - 0.06) - 0.02
        posts = np.maximum(_tile(X, 0.4) * 0.4 - 0.03, np.abs(Y - height) - 0.14)
        paint(np.minimum(rails, posts), WOOD)


def _river(rng, paint, edge):
    paint(edge - Y, GRASS, 0.05)
    depth = np.maximum(Y - edge, 0)
    bend = rng.normal(0, 0.15) + (0.3 if rng.random() < 0.5 else -0.3) * np.sin(
        3.5 * depth + rng.uniform(0, 1.5)
    )
    stream = np.maximum(edge - Y, np.abs(X - bend) - 0.05 - 0.5 * depth) * 0.8
    paint(stream - 0.04, (0.58, 0.52, 0.36))
    paint(stream, (0.18, 0.50, 0.78), 0.05)
    paint(
        np.maximum(stream + 0.05, np.sin(26 * Y + 4 * X) * 0.05 + 0.035), (0.75, 0.88, 0.95), 0.02
    )
    for side in (-1, 1):
        x, y = X - side * rng.uniform(0.55, 0.9), Y - edge
        paint(ellipse(x, y, rng.uniform(0.2, 0.4), rng.uniform(0.1, 0.25)), (0.16, 0.40, 0.15))


def _skyscraper(rng, paint, edge):
    skyline = np.ones_like(X)
    for start in (-0.75, 0.75, -0.35, 0.35, 0.0):
        middle, width = start + rng.normal(0, 0.06), rng.uniform(0.17, 0.28)
        roof = rng.uniform(-0.6, 0.0) if start else rng.uniform(-0.95, -0.75)
        tower = np.maximum(np.abs(X - middle) - width, roof - Y)
        glass = ((0.30, 0.42, 0.55), (0.48, 0.50, 0.55), (0.55, 0.45, 0.38))[rng.integers(3)]
        paint(tower, glass)
        np.minimum(skyline, tower, out=skyline)
    panes = np.maximum(_tile(X + rng.random(), 0.14), _tile(Y + rng.random(), 0.16)) - 0.3
    paint(np.maximum(panes * 0.13, skyline + 0.03), (0.85, 0.90, 0.80), 0.06)
    paint(0.88 - Y, (0.35, 0.35, 0.37))


def _firs(rng, paint, edge, count, colour, cap):
    for _ in range(count):
        x, y = X - rng.uniform(-0.95, 0.95), Y - edge - rng.uniform(-0.1, 0.3)
        size = rng.uniform(0.16, 0.32)
        paint(triangle(x, y, size * 0.8, size), colour)
        if cap:
            paint(triangle(x, y + size * 0.45, size * 0.45, size * 0.55), (0.96, 0.97, 1.0), 0.01)


def _snowfield(rng, paint, edge):
    paint(edge - Y + 0.06 * np.sin(2.5 * X + rng.uniform(0, 6)), (0.94, 0.95, 0.98), 0.02)
    paint(edge + 0.5 - Y + 0.1 * np.sin(2 * X + rng.uniform(0, 6)), (0.84, 0.88, 0.96), 0.02)
    _firs(rng, paint, edge - 0.15, int(rng.integers(2, 6)), (0.18, 0.33, 0.28), True)


def _street(rng, paint, edge):
    paint(edge - Y, (0.62, 0.60, 0.58))
    vanish = rng.uniform(-0.25, 0.25)
    x = X - vanish
    depth = np.maximum(Y - edge, 0)
    paint(np.maximum(edge - Y, np.abs(x) - 0.05 - 0.75 * depth), (0.28, 0.28, 0.30))
    paint(
        np.maximum(np.abs(x) - 0.04 * depth, np.maximum(edge - Y, np.sin(22 * depth) * 0.05)),
        (0.95, 0.93, 0.8),
    )
    along = np.abs(x) - 0.22
    house = np.clip((along / rng.uniform(0.2, 0.32)).astype(int), 0, 3) + 4 * (x > 0)
    high, low = edge - 0.4 - 0.75 * along, edge + 0.1 + 0.2 * along
    facade = np.maximum(np.maximum(-along, high - Y), Y - low)
    walls = (0.2 + 0.65 * rng.random((8, 1)) + rng.normal(0, 0.1, (8, 3))).astype(np.float32)
    paint(facade, walls[house], 0)
    panes = np.maximum(_tile(along, 0.17), _tile((Y - edge) / (0.5 + along), 0.3)) - 0.28
    paint(np.maximum(panes * 0.2, facade + 0.03), (0.22, 0.28, 0.36), 0.03)


def _forest(rng, paint, edge):
    paint(-1.2 - Y, (0.20, 0.42, 0.17), 0.06)
    paint(edge + 0.2 - Y, (0.34, 0.30, 0.16), 0.05)
    for layer in range(6):
        middle, near = rng.uniform(-1, 1), layer / 6
        bottom = edge + 0.2 + 0.5 * near
        trunk = np.abs(X - middle - rng.normal(0, 0.05) * Y) - 0.035 - 0.07 * near
        paint(np.maximum(trunk, Y - bottom), (0.34, 0.23, 0.14), 0.04)
    leaves = (
        Y + rng.uniform(0.4, 0.65) + 0.12 * np.sin(9 * X + rng.uniform(0, 6)) + 0.1 * np.sin(17 * X)
    )
    paint(leaves, (0.13, 0.34, 0.10), 0.04)
    paint(leaves + 0.22 + 0.1 * np.sin(13 * X + 1), (0.22, 0.48, 0.14), 0.04)


def _bedroom(rng, paint, edge):
    middle, low = rng.uniform(-0.25, 0.25), rng.uniform(0.45, 0.65)
    x, y = X - middle, Y - low
    if rng.random() < 0.7:
        window = box(X + (0.5 if middle > 0 else -0.5), Y + 0.55, 0.25, 0.25)
        paint(window, (0.92, 0.92, 0.92))
        paint(window + 0.05, (0.55, 0.75, 0.95))
    paint(box(x + 0.6, y + 0.2, 0.08, 0.5), WOOD, 0.06)
    paint(box(x, y - 0.12, 0.66, 0.22), WOOD, 0.06)
    paint(box(x, y, 0.66, 0.17), (0.95, 0.94, 0.92), 0.02)
    blanket = any_colour(rng)
    paint(box(x - 0.16, y, 0.52, 0.2), blanket)
    paint(ellipse(x + 0.36, y + 0.2, 0.2, 0.11), (0.98, 0.98, 0.98), 0.02)
    if rng.random() < 0.6:
        paint(box(x - 0.85, y + 0.1, 0.025, 0.35), WOOD)
        paint(triangle(x - 0.85, y + 0.5, 0.2, 0.14), (1.0, 0.88, 0.5))


def _kitchen(rng, paint, edge):
    cupboard = vary(rng, ((0.92, 0.92, 0.90), WOOD, (0.35, 0.50, 0.55))[rng.integers(3)], 0.05)
    tiles = np.maximum(_tile(X, 0.2), _tile(Y, 0.2))
    paint(np.maximum((0.42 - tiles) * 0.2, np.abs(Y) - 0.3), (0.95, 0.95, 0.93), 0.02)
    counter = rng.uniform(0.1, 0.25)
    pitch = rng.uniform(0.42, 0.55)
    doors = _tile(X + rng.uniform(0, 1), pitch) * pitch
    gap = doors - pitch / 2 + 0.03
    for top, low in ((-0.95, -0.4), (counter, 0.85)):
        paint(np.abs(Y - (top + low) / 2) - (low - top) / 2, cupboard * 0.6, 0)
        paint(np.maximum(gap, np.abs(Y - (top + low) / 2) - (low - top) / 2 + 0.04), cupboard, 0)
    paint(np.abs(Y - counter) - 0.06, (0.25, 0.24, 0.24), 0.05)
    oven = rng.uniform(-0.6, 0.6)
    paint(box(X - oven, Y - counter - 0.33, 0.26, 0.3), (0.75, 0.76, 0.78), 0.03)
    paint(box(X - oven, Y - counter - 0.38, 0.19, 0.17), (0.08, 0.08, 0.10), 0.02)
    pan = oven + rng.normal(0, 0.08)
    paint(box(X - pan, Y - counter + 0.15, 0.14, 0.1), (0.55, 0.12, 0.12), 0.1)


def _office(rng, paint, edge):
    paint(Y + 0.7, (0.90, 0.91, 0.92), 0.02)
    lights = np.maximum(_tile(X, 0.7) * 0.7 - 0.22, np.abs(Y + 0.85) - 0.06)
    paint(lights, (1.0, 1.0, 0.97), 0)
    paint(edge - Y, (0.42, 0.45, 0.52), 0.04)
    low = rng.uniform(0.25, 0.4)
    for middle in (-0.5, 0.5):
        x, y = X - middle - rng.normal(0, 0.06), Y - low
        paint(box(x, y + 0.32, 0.27, 0.19), (0.10, 0.10, 0.12), 0.02)
        paint(box(x, y + 0.32, 0.22, 0.14), (0.45, 0.68, 0.92), 0.1)
        paint(box(x, y + 0.08, 0.05, 0.08), (0.10, 0.10, 0.12), 0.02)
    desk = np.minimum(np.abs(Y - low) - 0.05, box(np.abs(X) - 0.85, Y - low - 0.3, 0.05, 0.3))
    paint(desk, (0.78, 0.66, 0.48), 0.06)
    chair = rng.uniform(-0.5, 0.5)
    seat = np.minimum(
        box(X - chair, Y - low - 0.15, 0.18, 0.25), box(X - chair, Y - low - 0.5, 0.03, 0.2)
    )
    paint(
        np.minimum(seat, segment(X, Y, chair - 0.18, low + 0.7, chair + 0.18, low + 0.7, 0.03)),
        named_colour(rng, "black", 0.08),
    )


OUTDOORS = {
    "beach": _beach,
    "bridge": _bridge,
    "castle": _castle,
    "sand desert": _sand_desert,
    "highway": _highway,
    "lighthouse": _lighthouse,
    "mountain": _mountain,
    "pasture": _pasture,
    "river": _river,
    "skyscraper": _skyscraper,
    "snowfield": _snowfield,
    "street": _street,
    "forest": _forest,
}
INDOORS = {"bedroom": _bedroom, "kitchen": _kitchen, "office": _office}
SCENES = tuple(sorted(OUTDOORS | INDOORS))
