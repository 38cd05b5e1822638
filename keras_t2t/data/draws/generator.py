"""NumPy's generators of a run, one for each purpose and number."""

import enum

import numpy as np


class Purpose(enum.IntEnum):
    """What numbers are drawn for: no setting changes what is drawn for others."""

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
