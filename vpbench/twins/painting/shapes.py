"""Plain shapes as signed distance fields in their own frame, about -1..1."""

import numpy as np

from vpbench.twins.painting.canvas import box, circle, ellipse, polygon, star, triangle


def _heart(x, y):
    y = -y + 0.2
    return (x * x + (y - 0.75 * np.sqrt(np.abs(x))) ** 2 - 0.75) * 0.5


def _arrow(x, y):
    return np.minimum(box(x, y - 0.35, 0.25, 0.55), triangle(x, y + 0.45, 0.7, 0.45))


SHAPES = {
    "arrow": _arrow,
    "circle": circle,
    "cross": lambda x, y: np.minimum(box(x, y, 0.9, 0.3), box(x, y, 0.3, 0.9)),
    "diamond": lambda x, y: (np.abs(x) / 0.65 + np.abs(y) - 1) * 0.55,
    "heart": _heart,
    "hexagon": lambda x, y: polygon(x, y, 6),
    "moon": lambda x, y: np.maximum(circle(x, y), 0.85 - np.sqrt((x - 0.5) ** 2 + y * y)),
    "oval": lambda x, y: ellipse(x, y, 1.0, 0.55),
    "ring": lambda x, y: np.abs(np.sqrt(x * x + y * y) - 0.75) - 0.22,
    "square": lambda x, y: box(x, y, 0.85, 0.85),
    "star": lambda x, y: star(x, y, 5, 1.1),
    "triangle": lambda x, y: triangle(x, y, 1.0, 0.85),
}
