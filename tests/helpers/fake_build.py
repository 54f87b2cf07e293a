"""Makes the cache of the fake dataset in a process of its own: `python fake_build.py [SECONDS]`.

With SECONDS every image takes that long to read.
"""

import sys
import time
from operator import setitem

from tests.helpers import fake_dataset
from vpbench.common import locks
from vpbench.data import cache
from vpbench.spec.preprocessing import Preprocessing

locks.BEAT, locks.POLL, locks.GONE = 0.1, 0.02, 0.5


def slow_image(path, read=fake_dataset.open_image):
    """Returns the image after a while."""
    time.sleep(float(sys.argv[1]))
    return read(path)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        fake_dataset.open_image = slow_image
    cache.prepare(fake_dataset.register(setitem), None, Preprocessing(16, 8))
