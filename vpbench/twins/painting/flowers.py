"""Twelve flowers, each a few rows of numbers that one painter turns into a picture.

Petals lie around the centre at equal steps. `depth` is how far the gaps between them go in,
`blunt` how wide the petals stay (1 a pointed star, 4 nearly square petals), `layers` the radii of
the whorls from the back to the front.
"""

import numpy as np

from vpbench.twins.painting.canvas import (
    COLOURS,
    PIXEL,
    X,
    Y,
    circle,
    cover,
    lay,
    segment,
    turn,
    vary,
)

FLOWERS = {
    "sunflower": dict(
        petals=17, blunt=1.3, depth=0.45, layers=(1.0, 0.85), petal=(0.98, 0.80, 0.08),
        inner=(0.95, 0.62, 0.05), centre=(0.28, 0.16, 0.08), heart=0.52, mark="seeds",
    ),
    "rose": dict(
        petals=5, blunt=2.5, depth=0.16, layers=(1.0, 0.8, 0.6, 0.4, 0.22),
        petal=(0.80, 0.06, 0.14), inner=(0.50, 0.02, 0.08),
        centre=(0.35, 0.01, 0.05), heart=0.08, mark=None,
    ),
    "lotus": dict(
        petals=8, blunt=1.7, depth=0.55, layers=(1.0, 0.8, 0.58), petal=(0.95, 0.45, 0.68),
        inner=(1.0, 0.92, 0.95), centre=(0.90, 0.85, 0.25), heart=0.2, mark=None,
    ),
    "tiger lily": dict(
        petals=6, blunt=1.5, depth=0.82, layers=(1.0,), petal=(0.98, 0.45, 0.06),
        inner=(0.90, 0.35, 0.05), centre=(0.45, 0.50, 0.10), heart=0.1, mark="spots",
    ),
    "yellow iris": dict(
        petals=3, blunt=2.6, depth=0.85, layers=(1.0, 0.55), petal=(0.97, 0.90, 0.20),
        inner=(0.90, 0.72, 0.05), centre=(0.55, 0.30, 0.08), heart=0.12, mark="veins",
    ),
    "oxeye daisy": dict(
        petals=15, blunt=3.0, depth=0.6, layers=(1.0,), petal=(0.97, 0.97, 0.97),
        inner=(0.85, 0.85, 0.88), centre=(0.97, 0.78, 0.10), heart=0.33, mark=None,
    ),
    "corn poppy": dict(
        petals=4, blunt=3.5, depth=0.3, layers=(1.0,), petal=(0.93, 0.16, 0.08),
        inner=(0.75, 0.08, 0.05), centre=(0.12, 0.14, 0.10), heart=0.14, mark="blotches",
    ),
    "english marigold": dict(
        petals=22, blunt=3.0, depth=0.3, layers=(1.0, 0.78, 0.56, 0.36), petal=(0.99, 0.56, 0.04),
        inner=(0.92, 0.40, 0.02), centre=(0.60, 0.26, 0.03), heart=0.16, mark=None,
    ),
    "moon orchid": dict(
        petals=5, blunt=2.6, depth=0.62, layers=(1.0,), petal=(0.96, 0.93, 0.97),
        inner=(0.98, 0.88, 0.95), centre=(0.80, 0.10, 0.50), heart=0.12, mark="lip",
    ),
    "purple coneflower": dict(
        petals=11, blunt=2.2, depth=0.75, layers=(1.0,), petal=(0.78, 0.35, 0.68),
        inner=(0.65, 0.22, 0.55), centre=(0.72, 0.33, 0.08), heart=0.38, mark="seeds",
    ),
    "hibiscus": dict(
        petals=5, blunt=3.0, depth=0.38, layers=(1.0,), petal=(0.97, 0.42, 0.55),
        inner=(0.93, 0.30, 0.45), centre=(0.50, 0.02, 0.15), heart=0.28, mark="column",
    ),
    "petunia": dict(
        petals=5, blunt=2.5, depth=0.14, layers=(1.0,), petal=(0.48, 0.16, 0.72),
        inner=(0.36, 0.08, 0.58), centre=(0.85, 0.85, 0.55), heart=0.1, mark="star",
    ),
}  # fmt: skip
UPRIGHT = {"moon orchid", "yellow iris"}  # they hang from the stem and never lie on their side


def draw_flower(rng, picture, name, cx, cy, scale):
    """Returns `picture` after painting the flower `name` on it, centred at (cx, cy)."""
    flower = FLOWERS[name]
    if rng.random() < 0.6:
        foot = cx + rng.normal(0, 0.3)
        stem = segment(X, Y, cx, cy, foot, max(1.1, cy + scale * 1.3), 0.05 * scale + PIXEL / 2)
        lay(picture, cover(stem), vary(rng, COLOURS["green"], 0.07))
    tilt = rng.uniform(0.72, 1.0)
    x, y = turn((X - cx) / scale, (Y - cy) / scale, np.float32(rng.uniform(-0.6, 0.6)))
    y = y / tilt
    spread = 0.35 if name in UPRIGHT else np.pi
    x, y = turn(x, y, np.float32(rng.uniform(-spread, spread)))
    radius, angle = circle(x, y, 0), np.arctan2(x, -y)
    petal, inner = vary(rng, flower["petal"], 0.05), vary(rng, flower["inner"], 0.05)
    step = 2 * np.pi / flower["petals"]
    depth, shade = np.ones_like(x), np.ones_like(x)
    for index, size in enumerate(flower["layers"]):
        spine = _spine(angle + index * step / 2, step)
        reach = size * (1 - flower["depth"] * spine ** flower["blunt"])
        if name == "moon orchid":
            reach = reach * (0.78 + 0.27 * np.abs(x) / (radius + 1e-3))
        share = cover((radius - reach) * 0.8 * scale)
        # The whorls nest, so the one at the back is the outline of the whole flower.
        if index == 0:
            outline, back_spine = share, spine
        depth += share * (radius / size - depth)
        shade += share * ((1 - 0.3 * spine * spine) * (0.86 + 0.14 * (index % 2)) - shade)
    toned = np.minimum(depth, 1)[..., None] * (petal - inner) + inner
    lay(picture, outline, toned * shade[..., None])
    _mark(rng, picture, flower["mark"], radius, angle, back_spine, scale)
    heart = flower["heart"] * rng.uniform(0.9, 1.12)
    centre = (
        vary(rng, flower["centre"], 0.04) * (0.7 + 0.5 * np.clip(radius / heart, 0, 1))[..., None]
    )
    if flower["mark"] == "seeds":
        centre = centre * (1 + 0.3 * np.sin(radius * 30) * np.sin(angle * 11))[..., None]
    lay(picture, cover((radius - heart) * scale), centre)
    if flower["mark"] == "column":
        column = segment(x, y, 0, 0, 0.35, -0.5, 0.07)
        lay(picture, cover(column * scale), vary(rng, (0.98, 0.88, 0.25), 0.04))
    return picture


def _spine(angle, step):
    turns = angle / step
    return np.abs(turns - np.round(turns)) * 2


def _mark(rng, picture, mark, radius, angle, spine, scale):
    if mark == "spots":
        rows = np.sin(radius * 24 + np.round(spine * 2) * 1.6) * np.cos(spine * 12)
        alpha = (rows > 0.35) * (np.abs(radius - 0.45) < 0.25) * (spine < 0.7)
        colour = (0.25, 0.06, 0.02)
    elif mark == "veins":
        alpha = np.clip(1.5 - np.abs(radius - 0.42) * 8, 0, 1) * (spine < 0.4) * 0.85
        colour = (0.48, 0.22, 0.05)
    elif mark == "blotches":
        alpha = np.clip((0.42 - radius) * 8, 0, 1) * (spine < 0.62)
        colour = (0.06, 0.04, 0.06)
    elif mark == "star":
        alpha = np.clip((0.3 - spine) * 6, 0, 1) * cover((radius - 0.9) * scale) * 0.95
        colour = (0.97, 0.95, 0.98)
    elif mark == "lip":
        hanging = np.maximum(np.abs(angle) - np.pi, -np.pi) + 0.75
        alpha = cover((radius - 0.5) * scale) * np.clip(hanging * 4, 0, 1)
        colour = (0.85, 0.15, 0.55)
    else:
        return
    lay(picture, alpha.astype(np.float32), vary(rng, colour, 0.03))
