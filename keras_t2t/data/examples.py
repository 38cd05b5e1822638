"""What both readers do with an example, in NumPy."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_t2t.data.draws.image_draws import batch_mixing, draws_at
from keras_t2t.data.draws.mixing import kept_share
from keras_t2t.data.mixing import erase, mix_pair


def positions_of(numbers, batch_size, local, shard):
    """Global positions of a shard's images of these numbers.

    Args:
        numbers: int, or array of them.
        batch_size: images of all shards together.
        local: those of each.
        shard: (index, count).
    """
    return numbers // local * batch_size + shard[0] * local + numbers % local


def target_of(labels, num_classes):
    """(num_classes,) float32: 1 for each label."""
    target = np.zeros(num_classes, "float32")
    target[labels] = 1
    return target


def mixed_and_erased(images, targets, positions, batch_size, seed, augmentation):
    """What is done to images once they have their size.

    Args:
        images: (n, size, size, 3) uint8, two where images are mixed.
        targets: (n, classes) float32.
        positions: (n,) integers.
        batch_size: images of all shards together.
        seed: int.
        augmentation: an `Augmentation`.

    Returns:
        Images, float32 where they are mixed or erased, and targets.
    """
    size = images.shape[1]
    if augmentation.mixes:
        batch = int(positions[0]) // batch_size
        mixing = batch_mixing(batch, seed, size, augmentation)
        share = kept_share(mixing, size, size)
        images, targets = mix_pair(images, targets, *mixing, share)
    if augmentation.erasing_probability:
        images = images.astype("float32", copy=False)
        for image, position in zip(images, positions, strict=True):
            box = draws_at(position, seed, size, augmentation).erased
            erase(image, box, seed, int(position))
    return images, targets


def failing(split, function, errors, threads):
    """(images,) indices of those whose bytes a function raises one of some errors at,
    in ascending order."""

    def fails(index):
        try:
            function(split.read(index))
        except errors:
            return True
        return False

    with ThreadPoolExecutor(threads) as pool:
        return np.flatnonzero(list(pool.map(fails, range(len(split)))))
