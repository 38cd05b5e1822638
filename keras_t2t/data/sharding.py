"""The rows of each global batch that one of several processes reads."""

from keras_t2t._ground.arguments import integer, is_integer


def local_batch_size(batch_size, shard, mixes=False):
    """Rows of a global batch that one shard gets.

    Shard (i, n) gets rows [i, i + 1) x batch_size / n: the shards' batches, one after
    the other, are the batch that one process alone would get.

    Args:
        batch_size: rows of a global batch.
        shard: (index, count).
        mixes: whether rows are mixed two by two.

    Raises:
        ValueError: `shard` is no shard, or `batch_size` cannot be divided so.
    """
    is_pair = isinstance(shard, (tuple, list)) and len(shard) == 2
    if not (is_pair and is_integer(shard[1]) and is_integer(shard[0], 0)) or (
        shard[0] >= shard[1]
    ):
        raise ValueError(
            f"shard must be (index, count) with 0 <= index < count, got {shard!r}"
        )
    batch_size, count = integer("batch_size", batch_size), shard[1]
    if batch_size % count:
        raise ValueError(
            f"batch_size={batch_size} must be divisible by the number of shards, "
            f"{count}: it counts the images of all shards together"
        )
    if mixes and batch_size // count % 2:
        raise ValueError(
            f"batch_size={batch_size} must be divisible by {2 * count}: mixup and "
            f"CutMix mix images two by two, in each of {count} shards"
        )
    return batch_size // count


def positions_of(numbers, batch_size, local, shard):
    """The global positions of a shard's images, from their numbers in the shard.

    Args:
        batch_size: images of all shards together.
        local: those of each.
        shard: (index, count).
    """
    return numbers // local * batch_size + shard[0] * local + numbers % local


def num_batches(num_images, batch_size):
    """Global batches of one pass; the last may be smaller."""
    return -(-num_images // batch_size)


def num_local_images(num_images, batch_size, shard):
    """Images that one shard gets in one pass over all."""
    local = local_batch_size(batch_size, shard)
    whole, rest = divmod(num_images, batch_size)
    return whole * local + min(max(rest - shard[0] * local, 0), local)
