"""iWildCam's twin. The real set is camera trap pictures of 182 species at 323 cameras.

Kept: eight classes including empty frames, a fixed background for every camera, infrared
pictures at night, animals half hidden by grass or cut by the frame; validation and test
cameras are unseen in training. Left out: the long tail of species, bursts and time stamps.
"""

from functools import cache

import numpy as np

from vpbench.twins.painting.animals import draw_animal
from vpbench.twins.painting.canvas import X, Y, cover, develop, lay, noise, plain, segment, vary

CLASS_NAMES = (
    "empty",
    "tayassu pecari",
    "dasyprocta punctata",
    "leopardus pardalis",
    "panthera onca",
    "loxodonta africana",
    "equus quagga",
    "giraffa camelopardalis",
)
DOMAINS = {
    "train": tuple(range(12)),
    "val": tuple(range(12, 16)),
    "test": tuple(range(16, 20)),
}
GROUPS = {camera: f"camera {camera}" for camera in range(20)}
GROUNDS = ((0.40, 0.33, 0.22), (0.33, 0.38, 0.20), (0.62, 0.52, 0.34), (0.45, 0.42, 0.36))


@cache
def scene(camera):
    """Returns the empty daylight picture of a camera, its grass opacity and its share of night."""
    rng = np.random.default_rng([17, camera])
    forest = rng.random() < 0.5
    horizon = rng.uniform(-0.5, 0.05) + rng.uniform(-0.3, 0.3) * X
    back = vary(rng, (0.20, 0.30, 0.16) if forest else (0.66, 0.74, 0.80), 0.05)
    picture = plain(back) * (0.6 + 0.8 * noise(rng, 14 if forest else 3))[..., None]
    soil = vary(rng, GROUNDS[rng.integers(4)], 0.05)
    litter = 0.75 + 0.3 * noise(rng, 22) + 0.2 * noise(rng, 6)
    lay(picture, cover(horizon - Y), soil * litter[..., None])
    for _ in range(int(rng.integers(3, 7)) if forest else int(rng.integers(0, 3))):
        foot, lean, width = rng.uniform(-1, 1), rng.uniform(-0.15, 0.15), rng.uniform(0.04, 0.13)
        trunk = segment(X, Y, foot, rng.uniform(0, 0.3), foot + lean, -1.3, width)
        lay(picture, cover(trunk), vary(rng, (0.30, 0.24, 0.18), 0.04) * litter[..., None])
    blades = np.sin(X * rng.uniform(40, 60) + 9 * noise(rng, 9)) * 0.12
    grass = 0.9 * cover(rng.uniform(0.5, 0.85) + blades + 0.3 * noise(rng, 6) - 0.15 - Y)
    return picture * vary(rng, (1, 1, 1), 0.06), grass, rng.uniform(0.25, 0.6)


def night(rng, picture):
    """Returns `picture` as an infrared flash would show it: grey, bright in the middle."""
    grey = picture @ np.float32((0.45, 0.35, 0.20))
    flash = np.clip(1.15 - 0.55 * (X * X + (Y - 0.2) ** 2), 0.15, 1.2)
    return np.repeat((grey * flash * rng.uniform(0.7, 1.0))[..., None], 3, -1).astype(np.float32)


def paint(rng, label, domain=0):
    """Returns a camera trap picture, uint8 [56, 56, 3], of `label` at camera `domain`."""
    empty, grass, dark = scene(domain)
    picture = empty * rng.uniform(0.8, 1.2)
    blades = picture * np.float32((0.85, 1.0, 0.75))
    name = CLASS_NAMES[label]
    if name != "empty":
        count = int(rng.integers(2, 4)) if name == "tayassu pecari" and rng.random() < 0.5 else 1
        for place in range(count):
            cx = rng.normal(0, 0.22) + (place - (count - 1) / 2) * 0.7
            draw_animal(rng, picture, name, cx, rng.uniform(0.45, 0.8), 0.8 if count > 1 else 1.0)
    lay(picture, grass * rng.uniform(0.6, 1.0), blades)
    if rng.random() < dark:
        picture = night(rng, picture)
    return develop(rng, picture, 0.05)
