"""Pillow's operations on colours that KerasCV lacks or computes otherwise.

All take and give (height, width, 3) uint8.
"""

from keras_t2t._ground.optional_imports import import_tensorflow

tf = import_tensorflow()


def invert(image):
    return 255 - image


def equalize(image):
    """Spread each channel's values evenly, as `ImageOps.equalize`.

    KerasCV's finds its step without the rarest value; Pillow's without the brightest.
    """
    channels = tf.reshape(tf.cast(image, "int32"), (-1, 3))
    shifted = channels + 256 * tf.range(3)
    counts = tf.math.bincount(tf.reshape(shifted, [-1]), minlength=768, maxlength=768)
    brightest = tf.gather(counts, tf.reduce_max(shifted, axis=0))
    step = ((tf.shape(channels)[0] - brightest) // 255)[:, None]
    darker = tf.cumsum(tf.reshape(counts, (3, 256)), axis=1, exclusive=True)
    table = tf.minimum((darker + step // 2) // tf.maximum(step, 1), 255)
    table = tf.where(step > 0, table, tf.range(256))
    table = tf.cast(tf.reshape(table, [-1]), "uint8")
    return tf.reshape(tf.gather(table, shifted), tf.shape(image))


def posterize(image, bits):
    """Keep the highest bits, as `ImageOps.posterize`; with 0 bits, black.

    KerasCV's has its bits fixed when it is built.
    """
    return tf.bitwise.bitwise_and(image, tf.cast(256 - 2 ** (8 - bits), "uint8"))


def solarize_add(image, amount):
    """Make pixels below 128 brighter by an integer up to 127."""
    return tf.where(image < 128, image + tf.cast(amount, "uint8"), image)


def grey(image):
    """All channels the luma of ITU-R 601-2, as `Image.convert("L")` rounds it."""
    weights = tf.constant([19595, 38470, 7471])  # of 65,536
    luma = tf.reduce_sum(tf.cast(image, "int32") * weights, axis=-1, keepdims=True)
    return tf.broadcast_to(tf.cast((luma + 32768) // 65536, "uint8"), tf.shape(image))


def contrast(image, factor):
    """`ImageEnhance.Contrast`. KerasCV's keeps each channel's mean."""
    grey = tf.constant([0.299, 0.587, 0.114])
    means = tf.reduce_mean(tf.cast(image, "float32"), axis=(0, 1))
    return _blend(tf.floor(tf.reduce_sum(means * grey) + 0.5), image, factor)


def brightness(image, factor):
    """`ImageEnhance.Brightness`. KerasCV's adds, Pillow's multiplies."""
    return _blend(0.0, image, factor)


def _blend(degenerate, image, factor):
    image = degenerate + factor * (tf.cast(image, "float32") - degenerate)
    # Pillow cuts decimals off.
    return tf.cast(tf.clip_by_value(image, 0, 255), "uint8")
