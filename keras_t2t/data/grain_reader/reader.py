"""A split of encoded images to batches: decoded, augmented and mixed in threads."""

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from keras_t2t._ground.arguments import check_choice, check_share
from keras_t2t._ground.images import decode_rgb
from keras_t2t._ground.optional_imports import import_grain
from keras_t2t.data.augmentation import AUGMENTATIONS
from keras_t2t.data.draws.image_draws import ImageDraws, batch_mixing, image_draws
from keras_t2t.data.draws.mixing import kept_share
from keras_t2t.data.draws.order import shuffled_indices
from keras_t2t.data.grain_reader.mixing import mix_pair
from keras_t2t.data.grain_reader.transforms import (
    METHODS,
    erase,
    evaluation_image,
    training_image,
)
from keras_t2t.data.sharding import local_batch_size, num_batches, num_local_images

grain = import_grain()

FOREVER = 2**62
THREADS = os.cpu_count()


class ReadError(Exception):
    """An image cannot be read or decoded."""


def train_batches(
    split,
    *,
    num_classes,
    image_size,
    batch_size,
    seed,
    augmentation,
    first_step,
    shard,
    exif_orientation=False,
):
    """An infinite stream; see `Dataset.train_batches`.

    Args:
        split: `Split`.
        num_classes: length of a target.
        image_size, batch_size, seed, augmentation, first_step, shard: as of
            `Dataset.train_batches`.
        exif_orientation: whether images are turned as their EXIF data says.

    Returns:
        `grain.IterDataset` of images and targets.
    """
    augmentation = augmentation or AUGMENTATIONS["light"]
    local = local_batch_size(batch_size, shard, augmentation.mixes)
    together = 2 if augmentation.mixes else 1

    def load(number):
        """So many images as are mixed with each other, one after the other."""
        positions = _positions(
            number * together + np.arange(together), batch_size, local, shard
        )
        indices = shuffled_indices(positions, len(split), seed, augmentation.repeats)
        draws = image_draws(positions, seed, image_size, augmentation)
        images, targets = [], []
        for index, *one in zip(indices, *draws, strict=True):
            with _reading(split, index) as (encoded, label):
                one = ImageDraws(*one)
                image = training_image(
                    encoded, image_size, one, augmentation, exif_orientation
                )
            images.append(image)
            targets.append(_target(label, num_classes))
        images, targets = np.stack(images), np.stack(targets)
        if augmentation.mixes:
            batch = int(positions[0]) // batch_size
            mixing = batch_mixing(batch, seed, image_size, augmentation)
            share = kept_share(mixing, image_size, image_size)
            images, targets = mix_pair(images, targets, *mixing, share)
        if augmentation.erasing_probability:
            images = images.astype("float32", copy=False)
            for image, box, position in zip(
                images, draws.erased, positions, strict=True
            ):
                erase(image, box, seed, int(position))
        return images, targets

    numbers = grain.MapDataset.range(first_step * local // together, FOREVER)
    return _batches(numbers.map(load), local // together)


def validation_batches(
    split,
    *,
    num_classes,
    image_size,
    batch_size,
    shard,
    pad,
    crop,
    interpolation,
    exif_orientation=False,
):
    """One pass; see `Dataset.validation_batches`.

    Args:
        split: `Split`.
        num_classes: length of a target.
        image_size, batch_size, shard, pad, crop, interpolation: as of
            `Dataset.validation_batches`.
        exif_orientation: as of `train_batches`.

    Returns:
        `grain.IterDataset` of images, targets and, with `pad`, weights.
    """
    local = local_batch_size(batch_size, shard)
    count = num_local_images(len(split), batch_size, shard)
    check_share("crop", crop)
    check_choice("interpolation", interpolation, METHODS)

    def load(number):
        if number >= count:
            image = np.zeros((1, image_size, image_size, 3), "uint8")
            return image, np.zeros((1, num_classes), "float32"), np.zeros(1, "float32")
        index = int(_positions(number, batch_size, local, shard))
        with _reading(split, index) as (encoded, label):
            image = evaluation_image(
                encoded, image_size, crop, interpolation, exif_orientation
            )
        columns = image[None], _target(label, num_classes)[None]
        return (*columns, np.ones(1, "float32")) if pad else columns

    if pad:
        count_padded = num_batches(len(split), batch_size) * local
    numbers = grain.MapDataset.range(count_padded if pad else count)
    return _batches(numbers.map(load), local)


def watched(batches, function):
    """The same batches; the function is called as each is handed over."""

    def call(batch):
        function()
        return batch

    return batches.map(call)


def unreadable_images(split):
    """Find the images that cannot be read or decoded.

    Args:
        split: `Split`.

    Returns:
        Array of the indices of those that are empty, cut off, no image, or of a format
        that Pillow does not know.
    """

    def is_readable(index):
        try:
            decode_rgb(split.read(index))
        except (OSError, ValueError):
            return False
        return True

    with ThreadPoolExecutor(THREADS) as threads:
        readable = list(threads.map(is_readable, range(len(split))))
    return np.flatnonzero(np.logical_not(readable))


def is_read_error(error):
    """Whether reading or decoding an image raised it."""
    # TensorFlow, training, wraps it in an error of its own.
    return isinstance(error, ReadError) or f"{ReadError.__name__}: " in str(error)


@contextlib.contextmanager
def _reading(split, index):
    """An image's bytes and label; errors become a `ReadError` that names the image."""
    try:
        yield split.example(index)
    except (OSError, ValueError) as error:
        raise ReadError(f"{split.name(index)}: {error}") from error


def _batches(examples, number):
    """Batches of so many elements, which hold one or two examples each, in order."""
    options = grain.ReadOptions(THREADS, prefetch_buffer_size=2 * max(number, THREADS))
    return examples.to_iter_dataset(options).batch(number, batch_fn=_joined)


def _joined(elements):
    return tuple(map(np.concatenate, zip(*elements, strict=True)))


def _positions(numbers, batch_size, local, shard):
    """Global positions of the shard's images of these numbers."""
    return numbers // local * batch_size + shard[0] * local + numbers % local


def _target(labels, num_classes):
    """(num_classes,) float32: 1 for each label."""
    target = np.zeros(num_classes, "float32")
    target[labels] = 1
    return target
