"""Times that can be compared: everything in turn in one process, round after round."""

import time

import numpy as np


def interleaved(functions, rounds, warm_up=1, clock=time.perf_counter):
    """Returns name -> seconds of each of `rounds` calls of `functions[name]`, which takes nothing.

    In a round each function is called once; every round begins with another one, so that none is
    always the first after the same other. Calls of the first `warm_up` rounds are not timed.
    """
    names, seconds = list(functions), {name: [] for name in functions}
    for number in range(warm_up + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            started = clock()
            functions[name]()
            taken = clock() - started
            if number >= warm_up:
                seconds[name].append(taken)
    return seconds


def ratios(numerators, denominators):
    """Returns the ratio of each round, in which a disturbance of the machine mostly cancels."""
    return [above / below for above, below in zip(numerators, denominators, strict=True)]


def spread(values):
    """Returns the median and the quartiles, low and high, of `values`."""
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return {"median": median, "low": low, "high": high}


def speed_ups(seconds, reference):
    """Returns name -> spread of how many times as fast as `reference` each other function is."""
    return {
        name: spread(ratios(seconds[reference], taken))
        for name, taken in seconds.items()
        if name != reference
    }
