"""A split of encoded images to batches: decoded, augmented and mixed in threads."""

import io
import os

import numpy as np

from keras_t2t._ground.images import Encoded
from keras_t2t._ground.optional_imports import import_library
from keras_t2t.data.draws.image_draws import draws_at
from keras_t2t.data.draws.order import shuffled_indices
from keras_t2t.data.examples import mixed_and_erased, target_of
from keras_t2t.data.grain_reader.transforms import transformed
from keras_t2t.data.sharding import Shard
from keras_t2t.preprocessing import IMAGENET_CLASSES

grain = import_library("grain")

FOREVER = 2**62
THREADS = os.cpu_count()
DECODING_ERRORS = OSError, ValueError


class ReadError(Exception):
    """An image cannot be read or decoded."""


def train_batches(split, asked, num_classes, exif_orientation=False):
    """See `readers`, as of all below."""
    augmentation = asked.augmentation
    shard = Shard(asked.batch_size, asked.shard, augmentation.mixes)
    together = 2 if augmentation.mixes else 1
    how = asked, num_classes, exif_orientation

    def load(number):
        """One image, or the two that are mixed with each other."""
        positions = shard.positions(number * together + np.arange(together))
        order = len(split), asked.seed, augmentation.repeats
        indices = shuffled_indices(positions, *order)
        numbered = zip(positions, indices, strict=True)
        examples = [_example(split, index, at, *how) for at, index in numbered]
        images, targets = map(np.stack, zip(*examples, strict=True))
        return mixed_and_erased(images, targets, positions, asked)

    each = shard.batch_size // together
    numbers = grain.MapDataset.range(asked.first_step * each, FOREVER)
    return _batches(numbers.map(load), each)


def validation_batches(split, asked, num_classes, exif_orientation=False):
    shard = Shard(asked.batch_size, asked.shard)
    black = np.zeros((asked.image_size, asked.image_size, 3), "uint8")
    nothing = black, np.zeros(num_classes, "float32")
    how = asked, num_classes, exif_orientation

    def load(number):
        index = int(shard.positions(number))
        there = index < len(split)
        example = _example(split, index, index, *how) if there else nothing
        columns = (*example, np.float32(there)) if asked.pad else example
        return tuple(column[None] for column in columns)

    numbers = grain.MapDataset.range(shard.num_rows(len(split), asked.pad))
    return _batches(numbers.map(load), shard.batch_size)


def watched(batches, function):
    def call(batch):
        function()
        return batch

    return batches.map(call)


def decode_roughly(encoded):
    Encoded(io.BytesIO(encoded)).decode(reduction=8)  # finds what all of it would


def is_read_error(error):
    # TensorFlow, training, wraps it in an error of its own.
    return isinstance(error, ReadError) or f"{ReadError.__name__}: " in str(error)


def _example(split, index, position, asked, num_classes, exif_orientation):
    """An image at a position of the stream, and its target; a `ReadError` names an
    image that cannot be read."""
    draws, reduced = draws_at(position, asked), num_classes < IMAGENET_CLASSES
    try:
        encoded, label = split.example(index)
        image = transformed(encoded, draws, asked, exif_orientation, reduced)
    except DECODING_ERRORS as error:
        raise ReadError(f"{split.name(index)}: {error}") from error
    return image, target_of(label, num_classes, split, index)


def _batches(examples, number):
    """Batches in order, of `number` elements that each hold one or two examples."""
    options = grain.ReadOptions(THREADS, prefetch_buffer_size=2 * max(number, THREADS))
    return examples.to_iter_dataset(options).batch(number, batch_fn=_joined)


def _joined(elements):
    return tuple(map(np.concatenate, zip(*elements, strict=True)))
