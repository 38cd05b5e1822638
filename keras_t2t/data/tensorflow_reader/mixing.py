"""Mixup (Zhang et al., 2018) and CutMix (Yun et al., 2019), one of them per batch.

The authors mix each image with the one at its place in the reversed batch. The order
is random, so any pairs are as good: here they are neighbours, which can be mixed before
they are batched, in parallel, and stay together when the batch is cut into shards.
"""

from keras_t2t.optional_imports import import_tensorflow

tf = import_tensorflow()


def mix_pair(images, targets, seed, augmentation):
    """Mix two images with each other; the first keeps the share that the second does.

    Args:
        images: (2, height, width, 3) uint8.
        targets: (2, classes) float32, each of sum 1.
        seed: (2,) integers; what is drawn is a function of it: one seed per batch.
        augmentation: an `Augmentation`.

    Returns:
        The two images, (height, width, 3) float32 in 0..255, not rounded, and targets
        (2, classes) float32, each of sum 1.
    """
    height, width = images.shape[1:3]
    kept = draw_kept(height, width, seed, augmentation)
    share = tf.reduce_mean(kept)
    targets = share * targets + (1 - share) * targets[::-1]
    # Channels in one axis with columns: broadcasting along a short axis is slow.
    kept = tf.repeat(kept, 3, axis=1)
    images = tf.reshape(tf.cast(images, "float32"), (2, height, 3 * width))
    first, second = tf.unstack(images)
    moved = kept * (first - second)
    images = [
        tf.reshape(image, (height, width, 3))
        for image in (second + moved, first - moved)
    ]
    return images, targets


def draw_kept(height, width, seed, augmentation):
    """Draw how much each pixel keeps of its own image.

    Mixup keeps one share everywhere. CutMix keeps nothing inside a box, which may lie
    partly outside the image, and all outside; the share is then the mean, so that it
    is of the box as cut off by the image's border.

    Returns:
        (height, width) float32 in 0..1; of ones where the batch is not mixed.
    """
    mixup = float(augmentation.mixup_alpha)
    cutmix = float(augmentation.cutmix_alpha)
    uniform_seed, beta_seed = tf.unstack(tf.random.split(seed, 2))
    mixed, switched, *centre = tf.unstack(
        tf.random.stateless_uniform((4,), uniform_seed)
    )
    cuts = cutmix > 0
    if mixup and cutmix:
        cuts = switched < augmentation.switch_probability
    alpha = tf.where(cuts, cutmix, mixup)
    # The share of one of two gamma variables in their sum is Beta(alpha, alpha).
    gammas = tf.random.stateless_gamma((2,), beta_seed, alpha=alpha)
    share = gammas[0] / tf.maximum(tf.reduce_sum(gammas), 1e-30)

    side = tf.sqrt(1 - share)
    in_rows, in_columns = (
        _in_box(length, side, place)
        for length, place in zip((height, width), centre, strict=True)
    )
    outside = 1 - in_rows[:, None] * in_columns[None, :]
    kept = tf.where(cuts, outside, share)
    return tf.where(mixed < augmentation.mixing_probability, kept, 1.0)


def _in_box(length, side, place):
    """(length,): 1 for rows (or columns) inside the box, else 0."""
    half = tf.floor(side * length) // 2
    centre = tf.floor(place * length)
    pixels = tf.range(length, dtype="float32")
    return tf.cast((pixels >= centre - half) & (pixels < centre + half), "float32")
