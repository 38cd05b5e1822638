"""Random numbers of training data, drawn in NumPy: the same for every reader.

Each draw is a function of the run's seed and of a global position, which counts the
images of all shards from the start of training, or of the number of the batch that it
lies in. So no parallelism changes a stream, and it can start anywhere.
"""

import enum

import numpy as np

# What numbers are drawn for. Each purpose has a stream of its own, so that no setting
# changes the numbers of another.
Purpose = enum.IntEnum(
    "Purpose", "ORDER CROP FLIP OPERATIONS ERASING NOISE MIXING COLORS"
)


def generator(purpose, seed, number):
    """A `numpy.random.Generator`, the same for the same three integers."""
    return np.random.default_rng([purpose, seed, number])
