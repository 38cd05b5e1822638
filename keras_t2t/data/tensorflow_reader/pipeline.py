"""Encoded examples to batches: decoded, augmented and mixed in parallel.

A global position counts the images of all shards from the start of training. Every
random draw is a function of the seed and of a position, or of the number of the batch
that it lies in. So no parallelism changes a stream, and it can start anywhere.
"""

import os

from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.sharding import (
    local_batch_size,
    num_batches,
    num_local_images,
)
from keras_t2t.data.tensorflow_reader.mixing import mix_pair
from keras_t2t.data.tensorflow_reader.random_erasing import random_erasing
from keras_t2t.data.tensorflow_reader.transforms import (
    check_evaluation,
    evaluation_image,
    training_image,
)
from keras_t2t.optional_imports import import_tensorflow

tf = import_tensorflow()

FOREVER = tf.int64.max
PARALLEL_CALLS = os.cpu_count()


def train_batches(
    examples, *, num_classes, image_size, batch_size, seed, augmentation, shard
):
    """Batches of augmented images.

    Args:
        examples: infinite tf.data.Dataset of (global position, encoded image, integer
            label) scalars, of this shard.
        num_classes: length of a target.
        image_size: height and width of the images, in pixels.
        batch_size: images per batch, of all shards together.
        seed: integer.
        augmentation: an `Augmentation`, or None for random crop and flip.
        shard: (index, count).

    Returns:
        Infinite tf.data.Dataset of images (local batch, height, width, 3) in 0..255,
        float32 if they are mixed or erased, else uint8, and of targets (local batch,
        num_classes) float32.
    """
    augmentation = augmentation or AUGMENTATIONS["light"]
    local = local_batch_size(batch_size, shard, augmentation.mixes)

    def load(position, encoded, label):
        image_seed, _ = _image_seeds(seed, position)
        image = training_image(encoded, image_size, image_seed, augmentation)
        if not augmentation.mixes:
            image = erase(position, image)
        return position, image, tf.one_hot(label, num_classes)

    def mix(positions, images, targets):
        # Below 0, where no image has its seed.
        batch_seed = tf.stack([seed, -1 - positions[0] // batch_size])
        images, targets = mix_pair(images, targets, batch_seed, augmentation)
        images = [erase(positions[i], image) for i, image in enumerate(images)]
        return positions, tf.stack(images), targets

    def erase(position, image):
        if not augmentation.erasing_probability:
            return image
        _, erasing_seed = _image_seeds(seed, position)
        return random_erasing(image, erasing_seed, augmentation.erasing_probability)

    def flat(_, images, targets):
        shape = (local, image_size, image_size, 3)
        return tf.reshape(images, shape), tf.reshape(targets, (local, num_classes))

    images = examples.map(load, num_parallel_calls=PARALLEL_CALLS)
    rows = local
    if augmentation.mixes:
        images = images.batch(2, drop_remainder=True)
        images = images.map(mix, num_parallel_calls=PARALLEL_CALLS)
        rows = local // 2
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
            images and labels: an integer each, or (labels,) of any number of them.
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
    check_evaluation(crop, interpolation)

    def load(encoded, label):
        image = evaluation_image(encoded, image_size, crop, interpolation)
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


def positions(start, stop, batch_size, shard):
    """Global positions of a shard's images number `start` up to `stop`, in order.

    Returns:
        tf.data.Dataset of int64 scalars.
    """
    local = local_batch_size(batch_size, shard)

    def position(number):
        return number // local * batch_size + shard[0] * local + number % local

    return tf.data.Dataset.range(start, stop).map(position)


def of_shard(examples, start, batch_size, shard):
    """The shard's part of a stream that holds all shards' examples in order.

    Args:
        examples: tf.data.Dataset of which the first has the global position `start`.

    Returns:
        tf.data.Dataset of (global position, example).
    """
    local = local_batch_size(batch_size, shard)
    return examples.enumerate(start).filter(
        lambda position, _: position % batch_size // local == shard[0]
    )


def shuffled_index(position, count, seed):
    """The image at a global position, where each epoch has a new random order.

    A permutation that is computed, not stored, needs no shuffle buffer, and a stream
    can start anywhere in it.

    Returns:
        int64 scalar in 0..count-1.
    """
    epoch, offset = position // count, position % count
    return tf.random.experimental.index_shuffle(
        offset, seed=tf.stack([seed, epoch]), max_index=count - 1
    )


def _image_seeds(seed, position):
    """One for what is done to an image before it is mixed, and one for after."""
    return tf.unstack(tf.random.split(tf.stack([seed, position]), 2))


def _finished(batches):
    options = tf.data.Options()
    options.deterministic = True
    # Images are handled in parallel; parallel operations inside them only add switches.
    options.threading.max_intra_op_parallelism = 1
    # Else closing a stream waits for the tuner's next round, up to a minute (TensorFlow
    # 2.21).
    options.autotune.enabled = False
    return batches.prefetch(2).with_options(options)
