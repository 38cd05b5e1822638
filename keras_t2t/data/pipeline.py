"""Encoded examples to batches: decoded and transformed in parallel, prefetched."""

from keras_t2t.data.optional_imports import import_tensorflow
from keras_t2t.data.transforms import evaluation_image, training_image

tf = import_tensorflow()


def train_batches(examples, num_classes, image_size, batch_size, seed):
    """Batches of augmented images.

    Args:
        examples: infinite tf.data.Dataset of (encoded image, integer label) scalars.
        num_classes: length of a one-hot label.
        image_size: height and width of the images, in pixels.
        batch_size: images per batch.
        seed: integer; every random draw is a function of it and of the image's
            position in the stream, so no parallelism can change the stream.

    Returns:
        Infinite tf.data.Dataset of images (batch, height, width, 3) uint8 and labels
        (batch, num_classes) float32.
    """

    def load(position, example):
        encoded, label = example
        image = training_image(encoded, image_size, seed=tf.stack([seed, position]))
        return image, tf.one_hot(label, num_classes)

    images = examples.enumerate().map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(batch_size, drop_remainder=True).prefetch(tf.data.AUTOTUNE)


def validation_batches(examples, num_classes, image_size, batch_size):
    """Batches of resized and centre-cropped images; the last one may be smaller.

    Arguments and result are those of `train_batches`, for one pass over `examples`.
    """

    def load(encoded, label):
        return evaluation_image(encoded, image_size), tf.one_hot(label, num_classes)

    images = examples.map(load, num_parallel_calls=tf.data.AUTOTUNE)
    return images.batch(batch_size).prefetch(tf.data.AUTOTUNE)


def shuffled_indices(count, seed):
    """Indices 0..count-1 in a new random order each epoch, for ever.

    A permutation that is computed, not stored, needs no shuffle buffer, and a stream
    can start anywhere in it.

    Returns:
        Infinite tf.data.Dataset of int64 scalars.
    """

    def index_at(position):
        epoch, offset = position // count, position % count
        return tf.random.experimental.index_shuffle(
            offset, seed=tf.stack([seed, epoch]), max_index=count - 1
        )

    return tf.data.Dataset.range(tf.int64.max).map(index_at)
