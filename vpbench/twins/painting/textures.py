"""Textures with the names of DTD, as opacity fields [SIZE, SIZE] in 0..1."""

import numpy as np

from vpbench.twins.painting.canvas import X, Y, any_colour, cells, nearest_two, noise, turn


def _stripes(x, y, rng, pitch):
    return np.sin(2 * np.pi * x / pitch) > 0


def _dots(x, y, rng, pitch):
    return ((x / pitch) % 1 - 0.5) ** 2 + ((y / pitch) % 1 - 0.5) ** 2 < 0.09


def _chequers(x, y, rng, pitch):
    return np.sin(2 * np.pi * x / pitch) * np.sin(2 * np.pi * y / pitch) > 0


def _zigzag(x, y, rng, pitch):
    return (y / pitch + 1.4 * np.abs((0.6 * x / pitch) % 1 - 0.5)) % 1 > 0.5


def _grid(x, y, rng, pitch):
    return np.maximum((x / pitch) % 1 < 0.22, (y / pitch) % 1 < 0.22)


def _crosshatch(x, y, rng, pitch):
    lines = np.zeros_like(x)
    for angle in (0.4, -0.4, 0.0):
        u, v = turn(x, y, angle)
        lines = np.maximum(lines, ((u / pitch * 1.3) % 1 < 0.18) * rng.uniform(0.6, 1.0))
    return lines


def _spiral(x, y, rng, pitch):
    radius, angle = np.sqrt(x * x + y * y), np.arctan2(y, x)
    return np.sin(2 * np.pi * radius / pitch - angle) > 0


def _cracks(x, y, rng, pitch):
    first, second = nearest_two(rng, int(6 / pitch) + 3, x, y)
    return second - first < 0.07


def _bubbles(x, y, rng, pitch):
    field = np.zeros_like(x)
    for _ in range(int(5 / pitch) + 4):
        radius = rng.uniform(0.08, 0.3)
        d = np.sqrt((x - rng.uniform(-1, 1)) ** 2 + (y - rng.uniform(-1, 1)) ** 2)
        field = np.maximum(field, (d < radius) * (0.35 + 0.65 * d / radius))
    return field


def _honeycomb(x, y, rng, pitch):
    u, v = x / pitch, y / pitch / 0.866
    row = np.floor(v)
    u = u + 0.5 * (row % 2)
    across, along = np.abs(u % 1 - 0.5), np.abs(v % 1 - 0.5)
    return np.maximum(across, along * 0.7 + across * 0.5) > 0.38


def _marble(x, y, rng, pitch):
    warp = noise(rng, 5) * 5 + noise(rng, 10) * 2
    return 0.5 + 0.5 * np.sin(3 * x / pitch * 0.5 + warp * 2)


def _scales(x, y, rng, pitch):
    v = y / pitch * 1.6
    row = np.floor(v)
    u = (x / pitch + 0.5 * (row % 2)) % 1 - 0.5
    return np.clip(1.4 * np.sqrt(u * u * 1.6 + (v % 1) ** 2), 0, 1)


def _weave(x, y, rng, pitch):
    column, row = np.floor(x / pitch), np.floor(y / pitch)
    over = (column + row) % 2
    across = 1 - 2 * np.abs((x / pitch) % 1 - 0.5)
    along = 1 - 2 * np.abs((y / pitch) % 1 - 0.5)
    return np.where(over > 0, across, along) ** 0.7


def _blotches(x, y, rng, pitch):
    return np.clip((noise(rng, 6) - 0.5) * 6 + 0.3, 0, 1)


def _strata(x, y, rng, pitch):
    bend = y + 0.25 * noise(rng, 4)
    levels = rng.random(24, dtype=np.float32)
    return levels[np.clip((bend + 1.6) / pitch * 1.5, 0, 23).astype(int)]


def _flecks(x, y, rng, pitch):
    return noise(rng, 28) > 0.72


TEXTURES = {
    "blotchy": _blotches,
    "bubbly": _bubbles,
    "chequered": _chequers,
    "cracked": _cracks,
    "crosshatched": _crosshatch,
    "dotted": _dots,
    "flecked": _flecks,
    "grid": _grid,
    "honeycombed": _honeycomb,
    "marbled": _marble,
    "scaly": _scales,
    "spiralled": _spiral,
    "stratified": _strata,
    "striped": _stripes,
    "woven": _weave,
    "zigzagged": _zigzag,
}


def texture_field(rng, name, pitch=None, angle=None):
    """Returns the texture `name` as opacity [SIZE, SIZE], turned and shifted at random.

    `pitch` is the period in canvas units (the picture is 2 wide), 0.25 to 0.8 if not given.
    """
    pitch = rng.uniform(0.25, 0.8) if pitch is None else pitch
    angle = rng.uniform(-0.6, 0.6) if angle is None else angle
    x, y = turn(X + rng.uniform(-0.4, 0.4), Y + rng.uniform(-0.4, 0.4), angle)
    return TEXTURES[name](x, y, rng, pitch).astype(np.float32)


def paint_texture(rng, name, pitch=None):
    """Returns a picture of the texture `name` in two random colours that differ visibly."""
    ground, figure = any_colour(rng), any_colour(rng)
    while np.abs(ground - figure).sum() < 0.6:
        figure = any_colour(rng)
    return ground + (figure - ground) * texture_field(rng, name, pitch)[..., None]


def patchwork(rng, colours):
    """Returns a picture of irregular patches, one for each colour of `colours`."""
    return np.stack(colours).astype(np.float32)[cells(rng, len(colours))]
