"""The pretraining world as arrays of pictures."""

import numpy as np
from tqdm import tqdm

from vpbench.twins import world
from vpbench.twins.painting.canvas import SIZE

WORLD_SEED = 2203


def paint_world(
    count: int, version: str, seed: int = WORLD_SEED
) -> tuple[np.ndarray, list[world.Sample]]:
    """Returns (images uint8 [count, SIZE, SIZE, 3], samples): the first `count` of a version."""
    number = list(world.VERSIONS).index(version)
    images: np.ndarray = np.empty((count, SIZE, SIZE, 3), np.uint8)
    samples: list[world.Sample] = []
    for index in tqdm(range(count), desc=f"painting {version}", mininterval=5):
        sample = world.sample(np.random.default_rng([seed, number, index]), version)
        assert sample.image is not None
        images[index] = sample.image
        samples.append(sample._replace(image=None))
    return images, samples
