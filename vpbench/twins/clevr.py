"""CLEVR/count's twin. The real set is rendered scenes of 3 to 10 solids; the class is their number.

Kept: spheres, cubes and cylinders in seven colours and two materials, two sizes, perspective,
shadows, a grey floor lit from one side. Left out: grey solids, which vanish on the floor at this
resolution, true reflections and heavy occlusion.
"""

import numpy as np

from vpbench.twins.painting.canvas import (
    X,
    Y,
    box,
    circle,
    cover,
    develop,
    ellipse,
    lay,
    plain,
    vary,
)
from vpbench.twins.painting.windows import window

CLASS_NAMES = ("three", "four", "five", "six", "seven", "eight", "nine", "ten")
SOLIDS = ("sphere", "cube", "cylinder")
PAINTS = (
    (0.68, 0.14, 0.14),
    (0.16, 0.29, 0.84),
    (0.11, 0.41, 0.08),
    (0.50, 0.29, 0.10),
    (0.51, 0.15, 0.75),
    (0.16, 0.82, 0.82),
    (1.00, 0.93, 0.20),
)


def places(rng, count):
    """Returns `count` places [count, 2] on the floor, far ones first, apart from each other."""
    chosen = []
    apart = 0.4
    while len(chosen) < count:
        candidates = rng.uniform((-0.85, -0.5), (0.85, 0.82), (40, 2))
        for place in candidates:
            gaps = (np.hypot(place[0] - other[0], place[1] - other[1]) for other in chosen)
            if len(chosen) < count and all(gap > apart for gap in gaps):
                chosen.append(place)
        apart *= 0.93  # a crowded floor needs closer neighbours
    return sorted(chosen, key=lambda place: place[1])


def solid(rng, picture, cx, cy, size, kind, colour, metal):
    """Paints one shaded solid of half height `size` and its shadow."""
    view, x, y = window(picture, cx, cy, 2.2 * size)
    x, y = x / size, y / size
    shadow = np.clip(1.3 - np.sqrt(((x - 0.75) / 1.25) ** 2 + ((y - 0.75) / 0.5) ** 2), 0, 0.55)
    lay(view, shadow, np.float32(0.05))
    if kind == "sphere":
        shape = circle(x, y)
        light = 0.95 - 0.3 * x - 0.4 * y
    elif kind == "cube":
        corner = rng.uniform(-0.35, 0.35)
        shape = np.maximum(box(x, y, 0.85, 0.95), np.abs(x - corner) * 0.35 - 0.9 - y)
        top = y + 0.45 + 0.25 * np.abs(x - corner) < 0
        light = np.where(top, 1.2, np.where(x < corner, 0.9, 0.6))
    else:
        shape = np.minimum(box(x, y, 0.75, 0.65), ellipse(x, y - 0.65, 0.75, 0.3))
        lid = ellipse(x, y + 0.65, 0.75, 0.3)
        shape = np.minimum(shape, lid)
        light = np.where(lid < 0, 1.2, 0.95 - 0.45 * x)
    lay(view, cover(shape * size), np.clip(light[..., None] * colour, 0, 1))
    shine = np.exp(-((x + 0.35) ** 2 + (y + 0.4) ** 2) * (14 if metal else 4))
    lay(view, (0.85 if metal else 0.2) * shine * (shape < 0), np.float32(1))


def paint(rng, label, domain=0):
    """Returns a scene, uint8 [56, 56, 3], of `label` + 3 solids."""
    light = 0.5 + 0.14 * Y + 0.05 * X * rng.normal() - 0.1 * (X * X + Y * Y)
    picture = plain((1, 1, 1)) * np.clip(light, 0, 1)[..., None]
    for cx, cy in places(rng, label + 3):
        size = (0.18 if rng.random() < 0.5 else 0.15) * (1 + 0.15 * cy)
        kind = SOLIDS[rng.integers(3)]
        colour = vary(rng, PAINTS[rng.integers(len(PAINTS))], 0.03)
        solid(rng, picture, cx, cy, size, kind, colour, rng.random() < 0.5)
    return develop(rng, picture, 0.03)
