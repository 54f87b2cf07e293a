"""Twelve dishes, each painted by its own small function in a frame of its own."""

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
    segment,
    turn,
    vary,
)

CRUST = (0.80, 0.55, 0.25)
CREAM = (0.97, 0.92, 0.80)


def draw_food(rng, picture, name, cx, cy, scale):
    """Returns `picture` after painting the dish `name` on it, centred at (cx, cy)."""
    x, y = turn((X - cx) / scale, (Y - cy) / scale, np.float32(rng.normal(0, 0.15)))
    if rng.random() < 0.5:
        x = -x

    def paint(distance, colour, spread=0.03):
        lay(picture, cover(distance * scale), vary(rng, colour, spread))

    if rng.random() < 0.4:
        plate = vary(rng, (0.88, 0.88, 0.9), 0.08)
        lay(picture, cover(ellipse(x, y - 0.25, 1.25, 0.95) * scale), plate)
        lay(picture, cover(ellipse(x, y - 0.25, 0.95, 0.7) * scale), plate * 0.9)
    PAINTERS[name](rng, paint, x, y)
    return picture


def _dots(rng, x, y, count, size, reach):
    places = rng.random(count) * 2 * np.pi, np.sqrt(rng.random(count)) * reach
    across = (np.cos(places[0]) * places[1]).astype(np.float32)
    down = (np.sin(places[0]) * places[1]).astype(np.float32)
    squared = (x - across[:, None, None]) ** 2 + (y - down[:, None, None]) ** 2
    return np.sqrt(squared.min(0)) - size


def _pizza(rng, paint, x, y):
    x, y = turn(x, y, np.float32(rng.uniform(0, 6.28)))
    slice_missing = np.maximum(-np.abs(np.arctan2(x, y)) + rng.uniform(0, 0.6), -1)
    paint(np.maximum(circle(x, y, 0.98), slice_missing), CRUST)
    paint(np.maximum(circle(x, y, 0.82), slice_missing), (0.97, 0.78, 0.30))
    paint(np.maximum(_dots(rng, x, y, 8, 0.15, 0.7), slice_missing), (0.78, 0.14, 0.10))
    paint(np.maximum(_dots(rng, x, y, 6, 0.07, 0.7), slice_missing), (0.20, 0.45, 0.12))


def _hamburger(rng, paint, x, y):
    bun = vary(rng, (0.82, 0.52, 0.20), 0.04)
    paint(np.maximum(ellipse(x, y + 0.1, 0.9, 0.72), y + 0.12), bun)
    paint(box(x, y - 0.5, 0.8, 0.16), bun * 0.95)
    paint(box(x, y - 0.26, 0.9, 0.13), (0.30, 0.15, 0.07))
    paint(box(x, y + 0.08 + 0.05 * np.sin(14 * x), 0.95, 0.09), (0.35, 0.72, 0.18))
    paint(box(x, y - 0.09, 0.88, 0.06), (0.98, 0.75, 0.12))
    if rng.random() < 0.7:
        paint(np.maximum(_dots(rng, x, y + 0.45, 7, 0.05, 0.35), y + 0.3), CREAM)


def _sushi(rng, paint, x, y):
    fish = [(0.97, 0.50, 0.35), (0.85, 0.20, 0.22), (0.98, 0.80, 0.25)][rng.integers(3)]
    for middle in (-0.5, 0.5):
        shift = rng.normal(0, 0.06)
        if rng.random() < 0.6:
            paint(circle(x - middle, y - shift, 0.45), (0.08, 0.13, 0.10))
            paint(circle(x - middle, y - shift, 0.34), (0.96, 0.96, 0.94))
            paint(circle(x - middle, y - shift, 0.16), fish)
        else:
            paint(ellipse(x - middle, y - shift - 0.1, 0.4, 0.4), (0.96, 0.96, 0.94))
            paint(ellipse(x - middle, y - shift + 0.16, 0.46, 0.24), fish)
            paint(box(x - middle, y - shift, 0.09, 0.4), (0.08, 0.13, 0.10))


def _donuts(rng, paint, x, y):
    icing = [(0.95, 0.50, 0.68), (0.35, 0.18, 0.10), (0.96, 0.94, 0.90)][rng.integers(3)]
    radius = np.sqrt(x * x + y * y)
    wave = 0.05 * np.sin(7 * np.arctan2(y, x) + rng.uniform(0, 6))
    paint(np.abs(radius - 0.6) - 0.36, (0.82, 0.58, 0.30))
    paint(np.abs(radius - 0.6) - 0.25 - wave, icing, 0.05)
    for _ in range(3):
        sprinkles = _dots(rng, x, y, 5, 0.05, 0.8)
        paint(np.maximum(sprinkles, np.abs(radius - 0.6) - 0.22), any_colour(rng))


def _pancakes(rng, paint, x, y):
    layers = int(rng.integers(3, 6))
    for layer in range(layers):
        height = 0.55 - 0.22 * layer
        shift = rng.normal(0, 0.05)
        paint(ellipse(x - shift, y - height, 0.88, 0.32), (0.62, 0.36, 0.14))
        paint(ellipse(x - shift, y - height + 0.08, 0.86, 0.29), (0.92, 0.70, 0.36))
    top = y - 0.45 + 0.22 * (layers - 1)
    syrup = np.minimum(ellipse(x, top, 0.5, 0.18), box(x - 0.3, top - 0.3, 0.08, 0.32))
    paint(syrup, (0.50, 0.22, 0.04))
    paint(box(x, top + 0.06, 0.17, 0.11), (0.99, 0.92, 0.45))


def _french_fries(rng, paint, x, y):
    for golden, count in (((0.86, 0.60, 0.15), 3), ((0.97, 0.80, 0.30), 4)):
        start = np.linspace(-0.45, 0.45, count, dtype=np.float32)[:, None, None]
        tip = start * 1.2 + rng.normal(0, 0.1, (count, 1, 1)).astype(np.float32)
        top = -rng.uniform(0.45, 0.95, (count, 1, 1)).astype(np.float32)
        paint(segment(x, y, start, 0.4, tip, top, 0.08).min(0), golden)
    tub = (0.85, 0.10, 0.10) if rng.random() < 0.75 else (0.90, 0.90, 0.92)
    scoop = -y + 0.05 + 0.22 * (1 - x * x * 2.5)
    paint(np.maximum(np.maximum(np.abs(x) - 0.68 + 0.2 * y, scoop), y - 0.9), tub)


def _ice_cream(rng, paint, x, y):
    cone = np.maximum(np.abs(x) - (0.95 - y) * 0.36, -y) * 0.9
    paint(np.maximum(cone, y - 0.98), (0.85, 0.60, 0.28))
    lines = np.maximum(np.abs(np.sin(9 * (x + y * 0.7))) - 0.2, cone) * 0.15
    paint(np.maximum(lines, cone), (0.65, 0.40, 0.15))
    flavours = ((0.97, 0.60, 0.72), (0.40, 0.22, 0.12), (0.98, 0.93, 0.75), (0.62, 0.88, 0.68))
    for middle, height in ((-0.25, -0.12), (0.25, -0.14), (0.0, -0.5)):
        paint(circle(x - middle, y - height, 0.34), flavours[rng.integers(4)], 0.04)
    if rng.random() < 0.4:
        paint(circle(x, y + 0.86, 0.11), (0.80, 0.05, 0.12))


def _hot_dog(rng, paint, x, y):
    x, y = turn(x, y, np.float32(rng.normal(0, 0.5)))
    y = y + 0.1 * x * x
    paint(segment(x, y, -0.68, 0.0, 0.68, 0.0, 0.36), (0.86, 0.60, 0.28))
    paint(segment(x, y, -0.84, 0.0, 0.84, 0.0, 0.18), (0.70, 0.22, 0.12))
    sauce = (0.98, 0.85, 0.10) if rng.random() < 0.7 else (0.90, 0.08, 0.06)
    paint(np.maximum(np.abs(y - 0.09 * np.sin(13 * x)) - 0.06, np.abs(x) - 0.75), sauce)


def _omelette(rng, paint, x, y):
    fold = np.maximum(ellipse(x, y + 0.35, 1.0, 0.95), -y - 0.35)
    yellow = vary(rng, (0.98, 0.82, 0.28), 0.03)
    paint(fold - 0.05, yellow * 0.82)
    paint(np.maximum(fold, -y - 0.22), yellow)
    paint(np.maximum(_dots(rng, x, y, 6, 0.11, 0.7), fold + 0.1), (0.85, 0.55, 0.15))
    paint(np.maximum(_dots(rng, x, y, 9, 0.06, 0.75), fold + 0.06), (0.22, 0.52, 0.14))


def _waffles(rng, paint, x, y):
    x, y = turn(x, y, np.float32(rng.normal(0, 0.3)))
    outline = circle(x, y, 0.95) if rng.random() < 0.5 else box(x, y, 0.82, 0.82)
    pitch = rng.uniform(0.3, 0.36)
    pits = (
        np.maximum(np.abs(x / pitch - np.round(x / pitch)), np.abs(y / pitch - np.round(y / pitch)))
        - 0.32
    )
    paint(outline, (0.88, 0.62, 0.26))
    paint(np.maximum(pits * pitch, outline + 0.06), (0.52, 0.29, 0.08))
    if rng.random() < 0.5:
        paint(box(x, y, 0.2, 0.2), (0.99, 0.93, 0.55))


def _cup_cakes(rng, paint, x, y):
    case = np.maximum(np.abs(x) - 0.62 + 0.22 * y, np.abs(y - 0.5) - 0.42)
    colour = any_colour(rng)
    paint(case, colour, 0)
    paint(np.maximum(case, np.sin(22 * x) * 0.1), colour * 0.6, 0)
    icing = ((0.98, 0.65, 0.80), (0.95, 0.95, 0.95), (0.65, 0.85, 0.97), (0.45, 0.25, 0.14))
    swirl = vary(rng, icing[rng.integers(4)], 0.05)
    for height, width in ((0.02, 0.72), (-0.25, 0.54), (-0.5, 0.34)):
        paint(ellipse(x, y - height, width, 0.24), swirl * (0.85 + 0.3 * abs(height)), 0.01)
    paint(circle(x, y + 0.78, 0.14), named_colour(rng, "red"))


def _dumplings(rng, paint, x, y):
    dough = vary(rng, (0.93, 0.86, 0.70), 0.04)
    for across, down in ((-0.45, -0.3), (0.45, -0.25), (0.0, 0.35)):
        right, low = turn(x - across, y - down, np.float32(rng.normal(0, 0.25)))
        moon = np.maximum(ellipse(right, low - 0.22, 0.52, 0.56), low - 0.24)
        paint(moon - 0.04, dough * 0.62, 0)
        pleats = np.maximum(0.035 - np.abs(np.sin(11 * right)) * 0.12, -0.02 - low)
        paint(np.maximum(moon, np.minimum(pleats, low + 0.05)), dough, 0)


PAINTERS = {
    "pizza": _pizza,
    "hamburger": _hamburger,
    "sushi": _sushi,
    "donuts": _donuts,
    "pancakes": _pancakes,
    "french fries": _french_fries,
    "ice cream": _ice_cream,
    "hot dog": _hot_dog,
    "omelette": _omelette,
    "waffles": _waffles,
    "cup cakes": _cup_cakes,
    "dumplings": _dumplings,
}
FOODS = tuple(PAINTERS)
