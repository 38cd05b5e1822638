"""A split of encoded images to batches with tf.data, for hosts of many cores.

Python reads, draws and decides, once per image; TensorFlow decodes, resizes and
augments outside of Python's lock.
"""

import io
import os

import numpy as np

from keras_t2t._ground.images import Encoded
from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.draws.image_draws import draws_at
from keras_t2t.data.draws.order import shuffled_indices
from keras_t2t.data.examples import mixed_and_erased, target_of
from keras_t2t.data.sharding import Shard
from keras_t2t.data.tensorflow_reader.cut import BLACK, JPEG, Cut, cut_of, pixels
from keras_t2t.preprocessing import IMAGENET_CLASSES

tf = import_tensorflow()

FOREVER = tf.int64.max
THREADS = os.cpu_count()
DECODING_ERRORS = OSError, ValueError, tf.errors.OpError
CUT_TYPES = Cut(*"string uint8 int32 int32 float32 float32 int32 int32".split())
CUT_SHAPES = Cut((), (None, None, 3), (4,), (), (2,), (2,), (3,), (2,))


def train_batches(split, asked, num_classes, exif_orientation=False):
    """See `readers`, as of all below."""
    image_size, augmentation = asked.image_size, asked.augmentation
    shard = Shard(asked.batch_size, asked.shard, augmentation.mixes)
    together = 2 if augmentation.mixes else 1
    operations = augmentation.operations_per_image
    reduced = num_classes < IMAGENET_CLASSES

    def example(number):
        position = shard.positions(number)
        how = len(split), asked.seed, augmentation.repeats
        [index] = shuffled_indices(position[None], *how)
        draws = draws_at(position, asked)
        encoded, label = split.example(index)
        cut = cut_of(encoded, draws, asked, exif_orientation, reduced)
        target = target_of(label, num_classes, split, index)
        drawn = draws.operations, draws.levels, draws.signs
        return *cut, target, draws.bicubic, *drawn

    def load(number):
        cut, target, bicubic, *drawn = _called(
            example,
            number,
            ["float32", "bool", "int32", "float32", "float32"],
            [(num_classes,), (), (operations,), (operations,), (operations,)],
        )
        image = tf.cond(
            bicubic,
            lambda: pixels(cut, image_size, "bicubic"),
            lambda: pixels(cut, image_size, "bilinear"),
        )
        if operations:
            # Loads KerasCV.
            from keras_t2t.data.tensorflow_reader.operations import operated

            image = operated(image, *drawn)
        return number, tf.cast(tf.round(image), "uint8"), target

    def finish(numbers, images, targets):
        positions = shard.positions(numbers)
        return mixed_and_erased(images, targets, positions, asked)

    def finished(*columns):
        types = [tf.float32, tf.float32]
        images, targets = tf.numpy_function(finish, columns, types, stateful=False)
        return columns[0], images, targets

    def flat(_, images, targets):
        images = tf.reshape(images, (shard.batch_size, image_size, image_size, 3))
        return images, tf.reshape(targets, (shard.batch_size, num_classes))

    numbers = tf.data.Dataset.range(asked.first_step * shard.batch_size, FOREVER)
    batches = numbers.map(load, THREADS).batch(together, drop_remainder=True)
    if augmentation.mixes or augmentation.erasing_probability:
        batches = batches.map(finished, THREADS)
    batches = batches.batch(shard.batch_size // together, drop_remainder=True)
    return _ahead(batches.map(flat))


def validation_batches(split, asked, num_classes, exif_orientation=False):
    shard = Shard(asked.batch_size, asked.shard)
    reduced = num_classes < IMAGENET_CLASSES

    def example(number):
        index = shard.positions(number)
        if index >= len(split):
            return *BLACK, np.zeros(num_classes, "float32"), np.float32(0)
        encoded, label = split.example(index)
        draws = draws_at(index, asked)
        cut = cut_of(encoded, draws, asked, exif_orientation, reduced)
        return *cut, target_of(label, num_classes, split, index), np.float32(1)

    def load(number):
        shapes = [(num_classes,), ()]
        cut, target, weight = _called(example, number, ["float32", "float32"], shapes)
        image = pixels(cut, asked.image_size, asked.interpolation)
        image = tf.cast(tf.round(image), "uint8")
        return (image, target, weight) if asked.pad else (image, target)

    numbers = tf.data.Dataset.range(shard.num_rows(len(split), asked.pad))
    return _ahead(numbers.map(load, THREADS).batch(shard.batch_size))


def watched(batches, function):
    def call():
        function()
        return np.int64(0)

    def waiting(*batch):
        with tf.control_dependencies([tf.numpy_function(call, [], tf.int64)]):
            return tf.nest.map_structure(tf.identity, batch)

    return batches.map(waiting)


def decode_roughly(encoded):
    if Encoded(io.BytesIO(encoded)).is_jpeg:  # others are decoded by that
        tf.io.decode_jpeg(encoded, ratio=8, **JPEG)


def is_read_error(error):
    return isinstance(error, tf.errors.OpError)


def _called(example, number, types, shapes):
    """What a Python function returns for a number: a `Cut`, and further tensors."""
    columns = tf.numpy_function(
        example, [number], [*map(tf.as_dtype, (*CUT_TYPES, *types))], stateful=False
    )
    columns = list(map(tf.ensure_shape, columns, (*CUT_SHAPES, *shapes)))
    return Cut(*columns[: len(CUT_TYPES)]), *columns[len(CUT_TYPES) :]


def _ahead(batches):
    options = tf.data.Options()
    options.deterministic = True
    # Images are handled in parallel; parallel operations inside them only add switches.
    options.threading.max_intra_op_parallelism = 1
    # Else closing a stream waits for the tuner's next round, up to a minute (TensorFlow
    # 2.21).
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)
