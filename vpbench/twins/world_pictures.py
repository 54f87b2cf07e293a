"""The pretraining world as arrays of pictures."""

import numpy as np
from tqdm import tqdm

from vpbench.twins import world
from vpbench.twins.painting.canvas import SIZE

WORLD_SEED = 2203


def paint_world(count, version, seed=WORLD_SEED):
    """Returns (images uint8 [count, SIZE, SIZE, 3], samples): the first `count` of a version."""
    number = list(world.VERSIONS).index(version)
    images, samples = np.empty((count, SIZE, SIZE, 3), np.uint8), []
    for index in tqdm(range(count), desc=f"painting {version}", mininterval=5):
        sample = world.sample(np.random.default_rng([seed, number, index]), version)
        images[index] = sample.image
        samples.append(sample._replace(image=None))
    return images, samples
