"""SVHN's twin. The real set is 32x32 crops of house numbers seen from the street, ten digits.

Kept: the centre digit is the class, neighbours of the same number are cut by the border, plain
walls of similar colour, typefaces of real signs, low resolution. Left out: dirt, strong
perspective, shadows of trees and label noise.
"""

import numpy as np

from vpbench.twins.painting.canvas import (
    X,
    Y,
    any_colour,
    blur_to,
    box,
    cover,
    develop,
    lay,
    noise,
    plain,
    turn,
    vary,
)
from vpbench.twins.painting.digits import any_font, draw_digit

CLASS_NAMES = tuple("0123456789")


def ink(rng, wall):
    """Returns a digit colour whose brightness differs from that of `wall` by 0.3 to 0.65."""
    step = rng.uniform(0.3, 0.65)
    brightness = float(wall.mean())
    darker = rng.random() < (brightness - step > 0) / (1 + (brightness + step < 1))
    target = brightness - step if darker else brightness + step
    tint = any_colour(rng) - 0.5
    return np.clip(target + 0.5 * (tint - tint.mean()), 0, 1).astype(np.float32)


def paint(rng, label, domain=0):
    """Returns a house number, uint8 [56, 56, 3], whose centre digit is `label`."""
    grey = rng.uniform(0.15, 0.85)
    tint = any_colour(rng) - 0.5
    wall = np.clip(grey + 0.5 * (tint - tint.mean()), 0.05, 0.95).astype(np.float32)
    picture = plain(wall)
    angle, scale = rng.normal(0, 0.1), rng.uniform(0.7, 0.9)
    colour, font = ink(rng, wall), any_font(rng)
    if rng.random() < 0.25:  # the number stands on a plate
        x, y = turn(X, Y, angle)
        plate = np.clip(wall + 0.1 * (wall - colour), 0, 1)
        lay(picture, cover(box(x, y, 3, rng.uniform(0.9, 1.0))), vary(rng, plate, 0.03))
    for side in (-1, 1):
        if rng.random() < 0.6:
            gap = side * scale * rng.uniform(1.2, 1.45)
            cx, cy = gap * np.cos(angle), gap * np.sin(angle)
            draw_digit(rng, picture, int(rng.integers(10)), cx, cy, scale, angle, colour, font)
    cx, cy = rng.normal(0, 0.06, 2)
    draw_digit(rng, picture, label, cx, cy, scale, angle, colour, font)
    picture *= (0.88 + 0.24 * noise(rng, 3))[..., None]
    return blur_to(develop(rng, picture, 0.06), int(rng.integers(28, 33)))
