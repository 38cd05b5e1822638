"""Mixup (Zhang et al., 2018) or CutMix (Yun et al., 2019), and random erasing.

The authors mix each image with the one at its place in the reversed batch. The order
is random, so any pairs are as good: here they are neighbours, which can be mixed before
they are batched, in parallel, and stay together when the batch is cut into shards.
"""

import numpy as np

from keras_t2t._ground.normalizations import IMAGENET_MEAN, IMAGENET_STD
from keras_t2t.data.draws.erasing import noise


def mix_pair(images, targets, kept, box, share):
    """Mix two images with each other; the first keeps the share that the second does.

    Args:
        images: (2, height, width, 3) uint8.
        targets: (2, classes) float32, each of sum 1.
        kept: float32, what an image keeps of its own outside the box.
        box: (4,) integers: top, left, height, width, where it keeps nothing.
        share: float32, what a target keeps.

    Returns:
        Images (2, height, width, 3) float32 in 0..255, not rounded, and targets
        (2, classes) float32, each of sum 1.
    """
    targets = share * targets + (1 - share) * targets[::-1]
    first, second = images = images.astype("float32")
    if kept != 1:
        moved = first - second
        moved *= np.float32(kept)
        images = np.empty_like(images)
        np.add(second, moved, out=images[0])
        np.subtract(first, moved, out=images[1])
    top, left, rows, columns = box
    inside = np.s_[:, top : top + rows, left : left + columns]
    images[inside] = images[inside][::-1].copy()
    return images, targets


def erase(image, box, seed, position):
    """Replace one rectangle by noise that is N(0, 1) once the image is normalised.

    Args:
        image: (height, width, 3) float32 in 0..255, which is changed.
        box: (4,) integers: top, left, height, width; of no pixels for nothing.
        seed, position: of the noise, which is neither rounded nor cut to 0..255.
    """
    top, left, height, width = map(int, box)
    if height and width:
        image[top : top + height, left : left + width] = 255 * (
            np.float32(IMAGENET_MEAN)
            + np.float32(IMAGENET_STD) * noise(seed, position, (height, width, 3))
        )
