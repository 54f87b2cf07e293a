"""Animals from the side, built from ellipses and thick lines out of one table of proportions."""

import numpy as np

from vpbench.twins.painting.canvas import circle, cover, ellipse, lay, segment, vary
from vpbench.twins.painting.windows import window

# Lengths in halves of the trunk's length; x runs to the head, y downwards from the trunk's middle.
# trunk and head: half axes. neck: its end and thickness. legs: length and thickness.
# tail: its end and thickness. size: half length of the trunk on the canvas.
ANIMALS = {
    "tayassu pecari": {
        "trunk": (1.0, 0.62),
        "neck": (1.15, -0.05, 0.42),
        "head": (0.5, 0.27),
        "legs": (0.95, 0.11),
        "tail": (-1.05, 0.0, 0.05),
        "size": (0.26, 0.36),
        "colour": (0.22, 0.18, 0.16),
        "coat": "pale jaw",
    },
    "dasyprocta punctata": {
        "trunk": (1.0, 0.6),
        "neck": (0.95, -0.35, 0.28),
        "head": (0.4, 0.25),
        "legs": (0.95, 0.07),
        "tail": (-1.0, 0.1, 0.03),
        "size": (0.24, 0.32),
        "colour": (0.62, 0.32, 0.13),
        "coat": "dark back",
    },
    "leopardus pardalis": {
        "trunk": (1.0, 0.36),
        "neck": (1.1, -0.3, 0.22),
        "head": (0.28, 0.24),
        "legs": (0.8, 0.11),
        "tail": (-1.75, 0.35, 0.08),
        "size": (0.28, 0.38),
        "colour": (0.68, 0.54, 0.36),
        "coat": "streaks",
    },
    "panthera onca": {
        "trunk": (1.0, 0.46),
        "neck": (1.1, -0.22, 0.33),
        "head": (0.36, 0.32),
        "legs": (0.85, 0.17),
        "tail": (-1.8, 0.5, 0.1),
        "size": (0.38, 0.5),
        "colour": (0.78, 0.55, 0.24),
        "coat": "rosettes",
    },
    "loxodonta africana": {
        "trunk": (1.0, 0.66),
        "neck": (1.05, -0.35, 0.42),
        "head": (0.42, 0.42),
        "legs": (1.2, 0.2),
        "tail": (-1.15, 0.5, 0.04),
        "size": (0.46, 0.62),
        "colour": (0.36, 0.34, 0.33),
        "coat": "proboscis",
    },
    "equus quagga": {
        "trunk": (1.0, 0.46),
        "neck": (1.35, -0.75, 0.24),
        "head": (0.42, 0.18),
        "legs": (1.2, 0.1),
        "tail": (-1.2, 0.6, 0.05),
        "size": (0.38, 0.48),
        "colour": (0.90, 0.88, 0.84),
        "coat": "stripes",
    },
    "giraffa camelopardalis": {
        "trunk": (1.0, 0.55),
        "neck": (1.6, -2.3, 0.2),
        "head": (0.42, 0.17),
        "legs": (1.9, 0.12),
        "tail": (-1.1, 0.7, 0.04),
        "size": (0.27, 0.36),
        "colour": (0.84, 0.68, 0.42),
        "coat": "patches",
    },
}
DARK, PALE = np.float32((0.10, 0.08, 0.07)), np.float32((0.88, 0.85, 0.78))


def outline(rng, u, v, animal):
    """Returns the distance field of an animal in its own frame, standing or walking."""
    length, thick = animal["legs"]
    across, up, neck = animal["neck"]
    trunk = animal["trunk"][1]
    shape = ellipse(u, v, *animal["trunk"])
    for hip in (-0.68, 0.62):
        for stride in rng.uniform(-0.3, 0.3, 2):
            foot = hip + stride * length
            shape = np.minimum(shape, segment(u, v, hip, 0.3 * trunk, foot, length, thick))
    shape = np.minimum(shape, segment(u, v, 0.7, -0.2 * trunk, across, up, neck))
    reach = animal["head"][0]
    tilt = turn_down(u - across - 0.6 * reach, v - up)
    shape = np.minimum(shape, ellipse(*tilt, *animal["head"]))
    tail_x, tail_y, tail = animal["tail"]
    shape = np.minimum(shape, segment(u, v, -0.9, -0.2 * trunk, tail_x, tail_y, tail))
    ear = circle(u - across + 0.1, v - up + animal["head"][1] * 1.2, 0.35 * animal["head"][1])
    return np.minimum(shape, ear)


def turn_down(u, v, slope=0.35):
    """Returns the coordinates in the frame of a head that looks a little downwards."""
    return u + slope * v, v - slope * u


def coat(rng, view, u, v, alpha, animal):
    """Paints the marks of the animal's coat, within its outline `alpha`, over `view`."""
    across, up, _ = animal["neck"]
    kind = animal["coat"]
    warp = v + 0.1 * np.sin(rng.uniform(3, 5) * u + rng.uniform(0, 6))  # coats are irregular
    row = np.floor(warp / 0.3)
    a, b = (u / 0.36 + 0.5 * row) % 1 - 0.5, warp / 0.3 - row - 0.5
    if kind == "pale jaw":
        lay(view, alpha * cover(circle(u - across - 0.25, v - up - 0.22, 0.24) * 0.3), PALE)
    elif kind == "dark back":
        lay(view, 0.8 * alpha * np.clip(-0.6 * u - 0.3 - v * 0.5, 0, 1), DARK)
    elif kind == "streaks":
        marks = (np.abs(b) < 0.24) & (np.abs(a) < 0.34) & (u > -1.1)
        lay(view, 0.7 * alpha * marks, DARK)
        rings = (u < -1.0) & (np.sin(16 * u) > 0)
        lay(view, 0.8 * alpha * rings, DARK)
        lay(view, 0.8 * alpha * np.clip(3 * v - 0.6, 0, 1) * (v < 0.45), PALE)
    elif kind == "rosettes":
        ring = np.hypot(a, b)
        lay(view, 0.7 * alpha * ((ring < 0.46) & (ring > 0.2)), DARK)
    elif kind == "stripes":
        lean = u + 0.35 * v * (u > 0.6)
        lay(view, 0.95 * alpha * (np.sin(rng.uniform(13, 16) * lean) > 0.1), DARK)
    elif kind == "patches":
        patches = (np.abs(a) < 0.36) & (np.abs(b) < 0.34) & (v < 0.9)
        lay(view, 0.9 * alpha * patches, np.float32((0.45, 0.26, 0.12)))


def elephant_face(view, u, v, size, colour, animal):
    """Paints the proboscis, ear and tusk of an elephant over `view`."""
    across, up, _ = animal["neck"]
    nose = np.minimum(
        segment(u, v, across + 0.3, up + 0.1, across + 0.55, up + 0.8, 0.16),
        segment(u, v, across + 0.55, up + 0.8, across + 0.45, up + 1.4, 0.11),
    )
    lay(view, cover(nose * size), colour)
    lay(view, cover(ellipse(u - across + 0.3, v - up - 0.12, 0.34, 0.46) * size), colour * 0.78)
    tusk = segment(u, v, across + 0.3, up + 0.4, across + 0.75, up + 0.65, 0.05)
    lay(view, cover(tusk * size), PALE)


def draw_animal(rng, picture, name, cx, feet, scale=1.0):
    """Returns `picture` with the animal `name` standing at (cx, feet), facing left or right."""
    animal = ANIMALS[name]
    size = scale * rng.uniform(*animal["size"])
    cy = feet - animal["legs"][0] * size
    view, x, y = window(picture, cx, cy, 3.0 * size)
    u, v = x / size * (1 if rng.random() < 0.5 else -1), y / size
    shadow = ellipse(u, v - animal["legs"][0], 1.2, 0.18)
    lay(view, 0.4 * cover(shadow * size), DARK)
    colour = vary(rng, animal["colour"], 0.03)
    alpha = cover(outline(rng, u, v, animal) * size)
    lay(view, alpha, colour * np.clip(1.0 - 0.5 * v, 0.5, 1.4)[..., None])
    if animal["coat"] == "proboscis":
        elephant_face(view, u, v, size, colour, animal)
    else:
        coat(rng, view, u, v, alpha, animal)
    return picture
