"""SUN397 twin: 14 of the 397 scenes at ground level, with the haze and light of many days."""

from vpbench.twins.painting.canvas import Y, any_colour, develop
from vpbench.twins.painting.scenes import paint_scene

CLASS_NAMES = (
    "beach", "bedroom", "bridge", "castle", "sand desert", "highway", "kitchen", "lighthouse",
    "mountain", "office", "pasture", "river", "skyscraper", "street",
)  # fmt: skip


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    picture = paint_scene(rng, CLASS_NAMES[label])
    haze = (0.4 * rng.random() * (0.5 - 0.5 * Y))[..., None]
    light = 0.75 + 0.5 * rng.random()
    return develop(rng, (picture * (1 - haze) + any_colour(rng) * haze) * light, 0.05)
