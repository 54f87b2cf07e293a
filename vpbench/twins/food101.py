"""Food101 twin: 12 of the 101 dishes on a plate or a board, warm light, cluttered."""

from vpbench.twins.painting.canvas import (
    X,
    Y,
    circle,
    cover,
    develop,
    ellipse,
    lay,
    named_colour,
    noise,
    plain,
    vary,
)
from vpbench.twins.painting.foods import draw_food

CLASS_NAMES = (
    "cup_cakes", "donuts", "dumplings", "french_fries", "hamburger", "hot_dog", "ice_cream",
    "omelette", "pancakes", "pizza", "sushi", "waffles",
)  # fmt: skip


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    table = named_colour(rng, ("brown", "gray", "white", "black")[rng.integers(4)], 0.08)
    picture = plain(table) * (0.8 + 0.3 * noise(rng, 5))[..., None]
    if rng.random() < 0.7:
        lay(picture, cover(ellipse(X, Y - 0.1, 0.98, 0.88)), vary(rng, (0.9, 0.9, 0.88), 0.04))
    for _ in range(int(rng.integers(0, 4))):  # glasses and garnish at the edges
        cx, cy = rng.choice([-0.85, 0.85]), rng.uniform(-0.9, 0.9)
        lay(picture, cover(circle(X - cx, Y - cy, rng.uniform(0.08, 0.18))), vary(rng, table, 0.3))
    cx, cy = rng.normal(0, 0.07, 2)
    draw_food(rng, picture, CLASS_NAMES[label].replace("_", " "), cx, cy, rng.uniform(0.6, 0.9))
    return develop(rng, picture * vary(rng, (1.0, 0.94, 0.84), 0.03), 0.05)
