"""CIFAR10 twin: the ten objects on any background, blurred to the 32 pixels of the real set."""

from vpbench.twins.painting.canvas import blur_to, develop
from vpbench.twins.painting.icons import draw_icon
from vpbench.twins.world import background, place

CLASS_NAMES = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip


def paint_object(rng, name):
    """Returns a uint8 picture of one object of the world, stored at 32 pixels."""
    picture, (cx, cy, scale) = background(rng), place(rng, 0.5, 0.95)
    draw_icon(rng, picture, name, cx, cy, scale, rng.normal(0, 0.15))
    return blur_to(develop(rng, picture), 32)


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    return paint_object(rng, CLASS_NAMES[label])
