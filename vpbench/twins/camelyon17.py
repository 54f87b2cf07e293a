"""Camelyon17's twin. The real set is 96x96 patches of lymph node slides of five hospitals.

Kept: the label says whether the centre holds tumour, whose nuclei are larger, paler, irregular
and crowded; hospitals differ in stain, brightness and sharpness, and the hospitals of
validation and test are unseen in training. Left out: glands, folds, ink and scanner stripes.
"""

import numpy as np

from vpbench.twins.painting.canvas import (
    blur_to,
    circle,
    cover,
    develop,
    lay,
    noise,
    plain,
    turn,
    vary,
)
from vpbench.twins.painting.windows import discs, window

CLASS_NAMES = ("not containing", "containing")
DOMAINS = {"train": (0, 1, 2), "val": (3,), "test": (4,)}
GROUPS = {hospital: f"hospital {hospital}" for hospital in range(5)}
# Tissue, nucleus, brightness and stored side of each hospital.
STAINS = (
    ((0.88, 0.70, 0.82), (0.44, 0.24, 0.55), 1.00, 56),
    ((0.86, 0.64, 0.80), (0.37, 0.19, 0.48), 0.95, 48),
    ((0.93, 0.78, 0.86), (0.50, 0.31, 0.62), 1.04, 56),
    ((0.84, 0.70, 0.88), (0.38, 0.26, 0.60), 0.98, 40),
    ((0.74, 0.62, 0.86), (0.29, 0.24, 0.60), 0.93, 36),
)


def nuclei(rng, picture, places, size, colour):
    """Paints small round dark nuclei at `places` over `picture`."""
    radii = size * rng.uniform(0.8, 1.2, len(places))
    shades = colour + 0.2 * (noise(rng, 12) - 0.5)[..., None]
    lay(picture, 0.85 * cover(discs(places, radii)), np.clip(shades, 0, 1))


def tumour(rng, picture, cx, cy, size, colour):
    """Paints one large pale irregular nucleus with a dark rim and a nucleolus."""
    view, x, y = window(picture, cx, cy, 1.3 * size)
    x, y = turn(x, y, rng.uniform(0, np.pi))
    lobes = np.sin(rng.integers(2, 5) * np.arctan2(y, x) + rng.uniform(0, 6))
    shape = np.hypot(x, y / rng.uniform(0.6, 0.95)) / (1 + 0.12 * lobes) - size
    lay(view, 0.85 * cover(shape), colour * 0.88)
    lay(view, 0.85 * cover(shape + 0.035), np.clip(colour + 0.15, 0, 1))
    lay(view, 0.8 * cover(circle(x - 0.2 * size, y, 0.03)), colour * 0.55)


def paint(rng, label, domain=0):
    """Returns a slide patch, uint8 [56, 56, 3], of hospital `domain`, with tumour if `label`."""
    tissue, nucleus, brightness, side = STAINS[domain]
    tissue, nucleus = vary(rng, tissue, 0.02), vary(rng, nucleus, 0.025)
    picture = plain(tissue) * (0.85 + 0.3 * noise(rng, 9))[..., None]
    gaps = np.clip(noise(rng, 4) * 2.5 - 1.6, 0, 1)
    lay(picture, 0.7 * gaps, np.float32((0.96, 0.94, 0.96)))
    count = int(rng.integers(14, 34))
    nuclei(rng, picture, rng.uniform(-1, 1, (count, 2)), 0.065, nucleus)
    if label:
        for cx, cy in rng.normal(0, 0.33, (int(rng.integers(5, 11)), 2)):
            tumour(rng, picture, cx, cy, rng.uniform(0.12, 0.19), vary(rng, nucleus, 0.04))
    elif rng.random() < 0.4:  # a crowd of normal cells, so that darkness alone tells nothing
        places = rng.normal(0, 0.3, (int(rng.integers(8, 18)), 2))
        nuclei(rng, picture, places, 0.065, nucleus)
    patch = develop(rng, picture * brightness, 0.04)
    return patch if side == 56 else blur_to(patch, side)
