"""The 95 % interval of a share that was measured on so many images."""

import math

NORMAL = 1.959963984540054  # 97.5 % quantile


def wilson(percent: float, count: int) -> tuple[float, float]:
    """Returns the 95 % Wilson interval of a percentage measured on `count` images."""
    share, square = percent / 100, NORMAL**2
    centre = (share + square / (2 * count)) / (1 + square / count)
    half = NORMAL * math.sqrt(share * (1 - share) / count + square / (4 * count**2))
    half /= 1 + square / count
    # The percentage is inside, and 0 or 100 is an end; rounding alone would put it outside
    low, high = max(0.0, centre - half), min(1.0, centre + half)
    return min(percent, 100 * low), max(percent, 100 * high)
