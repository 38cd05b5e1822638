"""Which rows a shard gets, and what is no shard."""

import pytest

from keras_t2t.data.sharding import local_batch_size, num_batches, num_local_images


@pytest.mark.parametrize("shards", [1, 2, 4])
@pytest.mark.parametrize("images", [1, 7, 8, 9, 12, 15, 16])
def test_all_images_are_in_one_shard(images, shards):
    expected = [0] * shards
    for image in range(images):
        expected[image % 8 // (8 // shards)] += 1
    assert [num_local_images(images, 8, (i, shards)) for i in range(shards)] == expected
    assert num_batches(images, 8) == (images + 7) // 8


def test_local_batch_size():
    assert local_batch_size(12, (0, 1)) == 12
    assert local_batch_size(12, (1, 4)) == 3
    assert local_batch_size(12, (1, 3), mixes=True) == 4


@pytest.mark.parametrize(
    ("batch_size", "shard", "mixes", "message"),
    [
        (8, (2, 2), False, r"shard must be .* got \(2, 2\)"),
        (8, (-1, 2), False, r"shard must be .* got \(-1, 2\)"),
        (8, 1, False, "shard must be .* got 1"),
        (8, (0, 1.5), False, "shard must be"),
        (0, (0, 1), False, "`batch_size` must be a positive integer, got 0"),
        (8.0, (0, 1), False, "`batch_size` must be a positive integer, got 8.0"),
        (9, (0, 2), False, "batch_size=9 must be divisible by the number of shards, 2"),
        (9, (0, 1), True, "batch_size=9 must be divisible by 2"),
        (6, (0, 2), True, "batch_size=6 must be divisible by 4"),
    ],
)
def test_bad_shards(batch_size, shard, mixes, message):
    with pytest.raises(ValueError, match=message):
        local_batch_size(batch_size, shard, mixes)
