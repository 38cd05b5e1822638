"""NumPy's generators of a run, one for each purpose and number."""

import enum

import numpy as np


class Purpose(enum.IntEnum):
    """The purposes that numbers are drawn for. Each has a stream of its own, so that no
    setting changes the numbers of another purpose."""

    ORDER = enum.auto()
    CROP = enum.auto()
    FLIP = enum.auto()
    OPERATIONS = enum.auto()
    ERASING = enum.auto()
    NOISE = enum.auto()
    MIXING = enum.auto()
    COLORS = enum.auto()


def generator(purpose, seed, number):
    """A `numpy.random.Generator`, the same for the same three integers."""
    return np.random.default_rng([purpose, seed, number])
