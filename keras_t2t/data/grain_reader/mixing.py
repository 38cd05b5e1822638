"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019), one of them per batch.

Neighbours in a batch are mixed with each other, as by TensorFlow's reader.
"""

import numpy as np


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
        moved = np.float32(kept) * (first - second)
        images = np.stack([second + moved, first - moved])
    top, left, rows, columns = box
    inside = np.s_[:, top : top + rows, left : left + columns]
    images[inside] = images[inside][::-1].copy()
    return images, targets
