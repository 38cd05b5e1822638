"""The order of images in the training stream."""

import functools

import numpy as np

from keras_t2t.data.draws import Purpose, generator

# The size of the groups that are repeated.
ROUND = 16


def shuffled_indices(positions, count, seed, repeats=1):
    """The images, (n,) int64 in 0..count-1, at global positions (n,); each epoch has a
    new random order.

    With repeats, an epoch of as many positions holds fewer images; see `repeated`.
    """
    epochs, offsets = np.divmod(positions, count)
    offsets = repeated(offsets, repeats)
    indices = np.empty(len(offsets), "int64")
    for epoch in np.unique(epochs):
        there = epochs == epoch
        indices[there] = _permutation(count, seed, int(epoch))[offsets[there]]
    return indices


def repeated(offsets, repeats):
    """Which images an epoch shows, if groups of 16 are shown `repeats` times.

    Each time every second image has another neighbour, since neighbours are mixed.
    """
    rounds, inside = np.divmod(offsets, ROUND * repeats)
    times, slots = np.divmod(inside, ROUND)
    slots = np.where(slots % 2, (slots + 2 * times) % ROUND, slots)
    return rounds * ROUND + slots


@functools.lru_cache(maxsize=2)  # 10 MB each for ImageNet
def _permutation(count, seed, epoch):
    return generator(Purpose.ORDER, seed, epoch).permutation(count)
