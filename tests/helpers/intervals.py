"""Intervals as they are put together, from formulas of others."""

import math

import numpy as np
from scipy.stats import norm, t


def wilson(percent, images):
    """Returns the centre and half of the 95 % Wilson interval of a percentage."""
    share, z = percent / 100, norm.ppf(0.975)
    centre = (share + z**2 / 2 / images) / (1 + z**2 / images)
    half = z * math.sqrt(share * (1 - share) / images + z**2 / 4 / images**2) / (1 + z**2 / images)
    return 100 * centre, 100 * half


def with_seeds(values, images=1000, freedom=None):
    """Returns the interval of the mean of `values`, one per seed: the two parts' squares added.

    Their variance has as many degrees of freedom as they say, or `freedom`.
    """
    mean, count = np.mean(values), len(values)
    part = t.ppf(0.975, freedom or count - 1) * np.std(values, ddof=1) / math.sqrt(count)
    centre, half = wilson(mean, images)
    return mean - math.hypot(mean - centre + half, part), mean + math.hypot(
        centre + half - mean, part
    )
