"""Which files of a list are not images: each is read and decoded once, in parallel."""

from keras_t2t.data.decode import decode
from keras_t2t.optional_imports import import_tensorflow

tf = import_tensorflow()


def unreadable_files(paths):
    """Find the files that cannot be read or decoded.

    Args:
        paths: list of str.

    Returns:
        The sub-list of `paths` that are empty, cut off, no image, or of a format that
        `decode` does not know.
    """

    survivors = (
        tf.data.Dataset.from_tensor_slices(paths)
        .enumerate()
        .map(_decoded, num_parallel_calls=tf.data.AUTOTUNE)
        .ignore_errors()
    )
    readable = {int(index) for index, _ in survivors.as_numpy_iterator()}
    return [path for index, path in enumerate(paths) if index not in readable]


@tf.function  # traced once, which takes longer than to decode some files
def _decoded(index, path):
    # Returning a pixel count keeps TensorFlow from pruning the unused decoding.
    return index, tf.size(decode(tf.io.read_file(path)))
