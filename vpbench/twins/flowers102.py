"""Flowers102 twin: 12 of the 102 flowers, large and centred before dark foliage."""

from vpbench.twins.painting.canvas import develop, named_colour, noise, plain
from vpbench.twins.painting.flowers import draw_flower

CLASS_NAMES = (
    "tiger lily", "moon orchid", "yellow iris", "purple coneflower", "english marigold",
    "corn poppy", "sunflower", "oxeye daisy", "petunia", "rose", "hibiscus", "lotus",
)  # fmt: skip


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    leaves = (0.4 + 0.6 * noise(rng, 8)) * (0.8 + 0.4 * noise(rng, 22))
    picture = plain(named_colour(rng, "green", 0.1)) * leaves[..., None]
    cx, cy = rng.normal(0, 0.1, 2)
    draw_flower(rng, picture, CLASS_NAMES[label], cx, cy, rng.uniform(0.65, 0.95))
    return develop(rng, picture)
