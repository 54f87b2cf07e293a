"""DTD twin: 12 of the 47 textures, bent, unevenly lit and in closer colours than the world's."""

import numpy as np

from vpbench.twins.painting.canvas import SIZE, any_colour, develop, noise
from vpbench.twins.painting.textures import texture_field

CLASS_NAMES = (
    "bubbly", "chequered", "cracked", "crosshatched", "dotted", "grid", "honeycombed", "marbled",
    "scaly", "spiralled", "striped", "zigzagged",
)  # fmt: skip


def paint(rng, label, domain=0):
    """Returns a uint8 picture [SIZE, SIZE, 3] of class `label`."""
    ground = any_colour(rng)
    figure = np.clip(ground + rng.choice([-1, 1]) * rng.uniform(0.25, 0.6, 3), 0, 1)
    field = texture_field(rng, CLASS_NAMES[label], rng.uniform(0.25, 0.7), rng.uniform(-0.8, 0.8))
    strength = rng.uniform(0, 4)
    rows, columns = np.mgrid[:SIZE, :SIZE]
    rows = np.clip(rows + (noise(rng, 4) - 0.5) * strength, 0, SIZE - 1).astype(int)
    columns = np.clip(columns + (noise(rng, 4) - 0.5) * strength, 0, SIZE - 1).astype(int)
    picture = ground + (figure - ground).astype(np.float32) * field[rows, columns][..., None]
    return develop(rng, picture * (0.7 + 0.5 * noise(rng, 3))[..., None], 0.06)
