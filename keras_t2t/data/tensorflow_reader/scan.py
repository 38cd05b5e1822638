"""A search for files that are no images: each is decoded once, in parallel."""

import numpy as np

from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.tensorflow_reader.decode import decode

tf = import_tensorflow()


def unreadable_images(split):
    """Find the images that cannot be read or decoded.

    Args:
        split: `Split`.

    Returns:
        Array of the indices of those that are empty, cut off, no image, or of a format
        that `decode` does not know.
    """

    @tf.function  # traced once, which takes longer than to decode some files
    def decoded(index):
        encoded = tf.numpy_function(split.read, [index], tf.string, stateful=False)
        # Returning a pixel count keeps TensorFlow from pruning the unused decoding.
        return index, tf.size(decode(tf.ensure_shape(encoded, ())))

    survivors = (
        tf.data.Dataset.range(len(split))
        .map(decoded, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
    )
    readable = [int(index) for index, _ in survivors.as_numpy_iterator()]
    return np.delete(np.arange(len(split)), readable)
