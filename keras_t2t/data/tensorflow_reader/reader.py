"""A split of encoded images, whatever it is read from, to batches."""

import io

import numpy as np

from keras_t2t._ground.exif import UPRIGHT, orientation_of
from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.draws.order import shuffled_indices
from keras_t2t.data.sharding import local_batch_size, num_local_images
from keras_t2t.data.tensorflow_reader import pipeline
from keras_t2t.data.tensorflow_reader.pipeline import watched
from keras_t2t.data.tensorflow_reader.scan import unreadable_images

tf = import_tensorflow()

__all__ = [
    "is_read_error",
    "train_batches",
    "unreadable_images",
    "validation_batches",
    "watched",
]


def train_batches(
    split,
    *,
    batch_size,
    seed,
    augmentation,
    first_step,
    shard,
    exif_orientation=False,
    **arguments,
):
    """An infinite stream; see `Dataset.train_batches`.

    Args:
        split: `Split`.
        batch_size, seed, augmentation, first_step, shard: as of
            `Dataset.train_batches`.
        exif_orientation: whether images are turned as their EXIF data says.
        **arguments: of `pipeline.train_batches`.
    """
    start = first_step * local_batch_size(batch_size, shard)
    positions = pipeline.positions(start, pipeline.FOREVER, batch_size, shard)

    augmentation = augmentation or AUGMENTATIONS["light"]

    def indices(positions):
        return [shuffled_indices(positions, len(split), seed, augmentation.repeats)]

    examples = pipeline.in_blocks(positions, indices, ["int64"]).map(
        _reader(split, exif_orientation), num_parallel_calls=pipeline.PARALLEL_CALLS
    )
    return pipeline.train_batches(
        examples,
        batch_size=batch_size,
        seed=seed,
        augmentation=augmentation,
        first_step=first_step,
        shard=shard,
        **arguments,
    )


def validation_batches(
    split, *, batch_size, shard, exif_orientation=False, **arguments
):
    """One pass; see `Dataset.validation_batches`.

    Args:
        split: `Split`.
        batch_size, shard: as of `Dataset.validation_batches`.
        exif_orientation: as of `train_batches`.
        **arguments: of `pipeline.validation_batches`.
    """
    count = num_local_images(len(split), batch_size, shard)
    examples = pipeline.positions(0, count, batch_size, shard).map(
        _reader(split, exif_orientation), num_parallel_calls=pipeline.PARALLEL_CALLS
    )
    return pipeline.validation_batches(
        examples,
        num_examples=len(split),
        batch_size=batch_size,
        shard=shard,
        **arguments,
    )


def is_read_error(error):
    """Whether reading or decoding an image raised it."""
    return isinstance(error, tf.errors.OpError)


def _reader(split, exif_orientation):
    """A function of an index tensor: the encoded image, its label or (labels,), and
    its orientation where it is turned."""
    types = [tf.string, tf.int64] + [tf.int64] * exif_orientation

    def example(index):
        encoded, label = split.example(index)
        if not exif_orientation:
            return encoded, label
        return encoded, label, np.int64(orientation_of(io.BytesIO(encoded)) or UPRIGHT)

    def read(index):
        encoded, label, *turn = tf.numpy_function(
            example, [index], types, stateful=False
        )
        label_shape = (None,) if split.several_labels else ()
        return (
            tf.ensure_shape(encoded, ()),
            tf.ensure_shape(label, label_shape),
            *(tf.ensure_shape(number, ()) for number in turn),
        )

    return read
