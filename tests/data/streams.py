"""What every data set's streams promise, tested on each kind."""

import functools
import itertools
import re

import numpy as np
import pytest


def batches(stream, number=None):
    """Its first batches, as tuples of arrays."""
    return [tuple(map(np.asarray, b)) for b in itertools.islice(iter(stream), number)]


def read(stream, number=None):
    """The images and targets of its first batches."""
    return [np.concatenate(c) for c in zip(*batches(stream, number), strict=True)]


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
    """Its seed decides it, it starts at any step, and its shards are parts of the whole
    batch."""

    def stream(number, seed=3, **settings):
        stream = dataset.train_batches(16, 4, seed, augmentation, **settings)
        return batches(stream, number)

    whole = stream(steps)
    assert len(whole) == steps
    for first in first_steps:
        assert_same(stream(steps - first, first_step=first), whole[first:])
    halves = [stream(3, first_step=2, shard=(i, 2)) for i in range(2)]
    assert_same(joined(halves), whole[2:5])
    assert not np.array_equal(stream(1, seed=4)[0][0], whole[0][0])


def check_validation(dataset):
    """Its shards hold every image once; padding has weight 0 and evens batches out."""
    [whole] = batches(dataset.validation_batches(16, dataset.num_validation))
    for batch_size, shards in ((4, 1), (4, 4), (14, 2)):
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
        images, labels, weights = read(joined(padded))
        assert weights.dtype == np.float32 and set(weights) <= {0, 1}
        assert weights.sum() == dataset.num_validation
        assert_same([(images[weights == 1], labels[weights == 1])], [whole])
        assert not images[weights == 0].any() and not labels[weights == 0].any()


BAD = {"batch_size": [0, 8.0], "crop": [0], "interpolation": ["area"]}
BAD["shard"] = [(2, 2), (-1, 2), 1, (0, 1.5)]
BAD_TRAINING = {**BAD, "first_step": [-1, 1.5, None]}


def check_bad_arguments(dataset):
    train = functools.partial(dataset.train_batches, 16, seed=0)
    validation = functools.partial(dataset.validation_batches, 16)
    for stream, bad in ((train, BAD_TRAINING), (validation, BAD)):
        with pytest.raises(ValueError, match=r"batch_size=5 .* number of shards, 2"):
            stream(batch_size=5, shard=(0, 2))
        for name, values in bad.items():
            for value in values:
                message = f"`?{name}`? must be .* got {re.escape(repr(value))}"
                with pytest.raises(ValueError, match=message):
                    stream(**{"batch_size": 4, name: value})
