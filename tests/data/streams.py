"""What every data set's streams promise, tested on each kind."""

import itertools

import numpy as np

from keras_t2t.data.draws.image_draws import ImageDraws, draws_at


def batches(stream, number=None):
    """Its first batches, as tuples of arrays."""
    return [tuple(map(np.asarray, b)) for b in itertools.islice(iter(stream), number)]


def image_draws(positions, *settings):
    """`ImageDraws` of arrays (images, ...) at some positions."""
    drawn = [draws_at(position, *settings) for position in positions]
    return ImageDraws(*map(np.stack, zip(*drawn, strict=True)))


def assert_same(ours, expected):
    assert len(ours) == len(expected)
    for batch, other in zip(ours, expected, strict=True):
        for column, other_column in zip(batch, other, strict=True):
            assert column.dtype == other_column.dtype
            np.testing.assert_array_equal(column, other_column)


def joined(shards):
    """Batches whose rows are those of the shards, one shard after the other."""
    return [
        tuple(np.concatenate(columns) for columns in zip(*rows, strict=True))
        for rows in zip(*shards, strict=True)
    ]


def check_training(dataset, augmentation=None, steps=7, first_steps=(1, 6)):
    """It starts at any step, and its shards are parts of the whole batch."""
    arguments = 16, 4, 3, augmentation
    whole = batches(dataset.train_batches(*arguments), steps)
    assert len(whole) == steps
    for first in first_steps:
        resumed = dataset.train_batches(*arguments, first_step=first)
        assert_same(batches(resumed, steps - first), whole[first:])
    halves = [
        batches(dataset.train_batches(*arguments, first_step=2, shard=(i, 2)), 3)
        for i in range(2)
    ]
    assert_same(joined(halves), whole[2:5])


def check_validation(dataset):
    """Its shards hold every image once; padding has weight 0 and evens batches out."""
    [whole] = batches(dataset.validation_batches(16, dataset.num_validation))
    for batch_size, shards in ((4, 1), (4, 4), (16, 2)):
        steps = -(-dataset.num_validation // batch_size)
        padded = []
        for i in range(shards):
            arguments = 16, batch_size, (i, shards)
            plain = batches(dataset.validation_batches(*arguments))
            padded.append(batches(dataset.validation_batches(*arguments, pad=True)))
            assert [len(b[0]) for b in padded[-1]] == [batch_size // shards] * steps
            # Without padding the same images, without weights.
            unpadded = [
                tuple(column[weights == 1] for column in columns)
                for *columns, weights in padded[-1]
                if weights.any()
            ]
            assert_same(plain, unpadded)
        images, labels, weights = (
            np.concatenate(c) for c in zip(*joined(padded), strict=True)
        )
        assert weights.dtype == np.float32 and set(weights) <= {0, 1}
        assert weights.sum() == dataset.num_validation
        assert_same([(images[weights == 1], labels[weights == 1])], [whole])
        assert not images[weights == 0].any() and not labels[weights == 0].any()


def check_bad_arguments(dataset):
    import pytest

    with pytest.raises(ValueError, match="batch_size=5 must be divisible by the numb"):
        dataset.train_batches(16, 5, 0, shard=(0, 2))
    with pytest.raises(ValueError, match="batch_size=5 must be divisible by the numb"):
        dataset.validation_batches(16, 5, shard=(0, 2))
    for step in (-1, 1.5, None):
        with pytest.raises(ValueError, match=rf"`first_step` must be .* got {step}"):
            dataset.train_batches(16, 4, 0, first_step=step)
    if dataset.name != "digits":
        with pytest.raises(ValueError, match=r"`crop` must be in \(0, 1\], got 0"):
            dataset.validation_batches(16, 4, crop=0)
        with pytest.raises(ValueError, match=r"`interpolation` must be .*'area'"):
            dataset.validation_batches(16, 4, interpolation="area")
