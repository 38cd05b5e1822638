"""Encoded examples to batches: decoded, augmented and mixed in parallel."""

import os

import numpy as np

from keras_t2t._ground.arguments import check_choice, check_share
from keras_t2t._ground.optional_imports import import_tensorflow
from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.draws.crop import NUMBERS
from keras_t2t.data.draws.erasing import noise
from keras_t2t.data.draws.image_draws import ImageDraws, batch_mixing, image_draws
from keras_t2t.data.draws.mixing import kept_share
from keras_t2t.data.sharding import (
    local_batch_size,
    num_batches,
    num_local_images,
)
from keras_t2t.data.tensorflow_reader.mixing import mix_pair
from keras_t2t.data.tensorflow_reader.random_erasing import erase
from keras_t2t.data.tensorflow_reader.resize import KERNELS
from keras_t2t.data.tensorflow_reader.transforms import (
    evaluation_image,
    training_image,
)

tf = import_tensorflow()

FOREVER = tf.int64.max
PARALLEL_CALLS = os.cpu_count()
# Positions that NumPy works on at a time: entering Python takes as long as to draw.
BLOCK = 64

DRAW_TYPES = ImageDraws(
    crop="float64",
    bicubic="bool",
    flipped="bool",
    operations="int32",
    levels="float32",
    signs="float32",
    operations_bicubic="bool",
    erased="int32",
)
DRAW_SHAPES = ImageDraws(
    crop=(NUMBERS,),
    bicubic=(),
    flipped=(),
    operations=(None,),
    levels=(None,),
    signs=(None,),
    operations_bicubic=(None,),
    erased=(4,),
)


def train_batches(
    examples,
    *,
    num_classes,
    image_size,
    batch_size,
    seed,
    augmentation,
    first_step,
    shard,
):
    """Batches of augmented images.

    Args:
        examples: infinite tf.data.Dataset of (encoded image, integer label) scalars
            or, with EXIF's orientation, of three, those of this shard from
            `first_step` on.
        num_classes: length of a target.
        image_size: height and width of the images, in pixels.
        batch_size: images per batch, of all shards together.
        seed: integer.
        augmentation: an `Augmentation`, or None for random crop and flip.
        first_step: number of the first batch.
        shard: (index, count).

    Returns:
        Infinite tf.data.Dataset of images (local batch, height, width, 3) in 0..255,
        float32 if they are mixed or erased, else uint8, and of targets (local batch,
        num_classes) float32.
    """
    augmentation = augmentation or AUGMENTATIONS["light"]
    local = local_batch_size(batch_size, shard, augmentation.mixes)

    def load(drawn, example):
        (position, draws, mixing), (encoded, label, *turn) = drawn, example
        image = training_image(encoded, image_size, draws, augmentation, *turn)
        if not augmentation.mixes:
            image = erased(position, image, draws.erased)
        target = tf.one_hot(label, num_classes)
        return position, image, target, draws.erased, mixing

    def mix(positions, images, targets, boxes, mixings):
        mixing = (column[0] for column in mixings)
        images, targets = mix_pair(images, targets, *mixing)
        images = [
            erased(positions[i], image, boxes[i]) for i, image in enumerate(images)
        ]
        return tf.stack(images), targets

    def erased(position, image, box):
        if not augmentation.erasing_probability:
            return image
        return erase(image, box, lambda: _noise(seed, position, box[2:]))

    def flat(images, targets):
        shape = (local, image_size, image_size, 3)
        return tf.reshape(images, shape), tf.reshape(targets, (local, num_classes))

    drawn = _drawn(
        positions(first_step * local, FOREVER, batch_size, shard),
        batch_size,
        seed,
        image_size,
        augmentation,
    )
    images = tf.data.Dataset.zip(drawn, examples)
    images = images.map(load, num_parallel_calls=PARALLEL_CALLS)
    rows = local
    if augmentation.mixes:
        images = images.batch(2, drop_remainder=True)
        images = images.map(mix, num_parallel_calls=PARALLEL_CALLS)
        rows = local // 2
    else:
        images = images.map(lambda position, image, target, *_: (image, target))
    return _finished(images.batch(rows, drop_remainder=True).map(flat))


def validation_batches(
    examples,
    *,
    num_examples,
    num_classes,
    image_size,
    batch_size,
    shard,
    pad,
    crop,
    interpolation,
):
    """One pass over resized and centre-cropped images.

    Args:
        examples: tf.data.Dataset of this shard, `num_local_images` long, of encoded
            images and labels, an integer each, or (labels,) of any number of them; and
            of EXIF's orientations where the images are turned.
        num_examples: images of all shards.
        num_classes, image_size, batch_size, shard: as for `train_batches`.
        pad: whether every batch has the same size, on all shards the same number.
        crop, interpolation: as for `evaluation_image`.

    Returns:
        tf.data.Dataset of images (local batch, height, width, 3) uint8 and targets
        (local batch, num_classes) float32. With `pad` also weights (local batch,)
        float32: 1, and 0 of black images that fill up.
    """
    local = local_batch_size(batch_size, shard)
    count = num_local_images(num_examples, batch_size, shard)
    check_share("crop", crop)
    check_choice("interpolation", interpolation, KERNELS)

    def load(encoded, label, *turn):
        image = evaluation_image(encoded, image_size, crop, interpolation, *turn)
        target = tf.one_hot(label, num_classes)
        if label.shape.rank == 1:
            target = tf.reduce_max(tf.pad(target, [(1, 0), (0, 0)]), axis=0)
        return image, target, 1.0

    images = examples.map(load, num_parallel_calls=PARALLEL_CALLS)
    images = images.apply(tf.data.experimental.assert_cardinality(count))
    if not pad:
        batches = images.batch(local).map(lambda image, target, _: (image, target))
        return _finished(batches)
    filling = tf.data.Dataset.from_tensors(
        (
            tf.zeros((image_size, image_size, 3), "uint8"),
            tf.zeros((num_classes,)),
            0.0,
        )
    )
    missing = num_batches(num_examples, batch_size) * local - count
    images = images.concatenate(filling.repeat(missing))
    return _finished(images.batch(local, drop_remainder=True))


def watched(batches, function):
    """The same batches; the function is called as each is handed over."""

    def call():
        function()
        return np.int64(0)

    def waiting(*batch):
        with tf.control_dependencies([tf.numpy_function(call, [], tf.int64)]):
            return tf.nest.map_structure(tf.identity, batch)

    return batches.map(waiting)


def positions(start, stop, batch_size, shard):
    """Global positions of a shard's images number `start` up to `stop`, in order.

    Returns:
        tf.data.Dataset of int64 scalars.
    """
    local = local_batch_size(batch_size, shard)

    def position(number):
        return number // local * batch_size + shard[0] * local + number % local

    return tf.data.Dataset.range(start, stop).map(position)


def in_blocks(positions, function, types):
    """What a function of positions (n,) gives for each, computed in NumPy.

    Args:
        positions: tf.data.Dataset of int64 scalars.
        function: maps an array (n,) to a list of arrays (n, ...).
        types: their dtypes.

    Returns:
        tf.data.Dataset of tensors, whose shapes are not known; one of zeros in place of
        an empty one.
    """

    def not_empty(positions):
        columns = function(positions)
        # tf.data crashes where it cuts an array (n, 0) up (TensorFlow 2.21).
        return [c if c.size else np.zeros((len(c), 1), c.dtype) for c in columns]

    def block(positions):
        return tf.numpy_function(not_empty, [positions], types, stateful=False)

    return positions.batch(BLOCK).map(block, num_parallel_calls=2).unbatch()


def _drawn(positions, batch_size, seed, image_size, augmentation):
    """tf.data.Dataset of (position, `ImageDraws`, what `mix_pair` takes)."""

    def draw(positions):
        mixings = [
            batch_mixing(int(batch), seed, image_size, augmentation)
            for batch in positions // batch_size
        ]
        return [
            positions,
            *image_draws(positions, seed, image_size, augmentation),
            *map(np.stack, zip(*mixings, strict=True)),
            np.stack([kept_share(m, image_size, image_size) for m in mixings]),
        ]

    def named(position, *columns):
        *draws, kept, box, share = columns
        draws = ImageDraws(*map(tf.ensure_shape, draws, DRAW_SHAPES))
        return position, draws, (kept, tf.ensure_shape(box, (4,)), share)

    types = ["int64", *DRAW_TYPES, "float32", "int32", "float32"]
    return in_blocks(positions, draw, types).map(named)


def _noise(seed, position, size):
    """(height, width, 3) float32, for an image at a position."""

    def draw(position, size):
        return noise(seed, int(position), (*size, 3))

    return tf.ensure_shape(
        tf.numpy_function(draw, [position, size], tf.float32, stateful=False),
        (None, None, 3),
    )


def _finished(batches):
    options = tf.data.Options()
    options.deterministic = True
    # Images are handled in parallel; parallel operations inside them only add switches.
    options.threading.max_intra_op_parallelism = 1
    # Else closing a stream waits for the tuner's next round, up to a minute (TensorFlow
    # 2.21).
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)
