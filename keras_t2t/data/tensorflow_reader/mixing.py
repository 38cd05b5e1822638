"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019), one of them per batch.

The authors mix each image with the one at its place in the reversed batch. The order
is random, so any pairs are as good: here they are neighbours, which can be mixed before
they are batched, in parallel, and stay together when the batch is cut into shards.
"""

from keras_t2t._ground.optional_imports import import_tensorflow

tf = import_tensorflow()


def mix_pair(images, targets, kept, box, share):
    """Mix two images with each other; the first keeps the share that the second does.

    Args:
        images: (2, height, width, 3) uint8.
        targets: (2, classes) float32, each of sum 1.
        kept: float32 scalar, what an image keeps of its own outside the box.
        box: (4,) int32: top, left, height, width, where it keeps nothing.
        share: float32 scalar, what a target keeps.

    Returns:
        The two images, (height, width, 3) float32 in 0..255, not rounded, and targets
        (2, classes) float32, each of sum 1.
    """
    height, width = images.shape[1:3]
    targets = share * targets + (1 - share) * targets[::-1]
    top, left, rows, columns = tf.unstack(box)
    # Channels in one axis with columns: broadcasting along a short axis is slow.
    inside = _between(height, top, rows)[:, None]
    inside *= tf.repeat(_between(width, left, columns), 3)[None, :]
    kept *= 1 - inside
    images = tf.reshape(tf.cast(images, "float32"), (2, height, 3 * width))
    first, second = tf.unstack(images)
    moved = kept * (first - second)
    images = [
        tf.reshape(image, (height, width, 3))
        for image in (second + moved, first - moved)
    ]
    return images, targets


def _between(length, first, number):
    """(length,) float32: 1 for so many pixels from the first on, else 0."""
    pixels = tf.range(length)
    return tf.cast((pixels >= first) & (pixels < first + number), "float32")
