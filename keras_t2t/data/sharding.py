"""The rows of each global batch that one of several processes reads."""

import numbers


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
    try:
        index, count = shard
        valid = all(isinstance(number, numbers.Integral) for number in shard)
    except (TypeError, ValueError):
        valid = False
    if not valid or not 0 <= index < count:
        raise ValueError(
            f"shard must be (index, count) with 0 <= index < count, got {shard!r}"
        )
    if not isinstance(batch_size, numbers.Integral) or batch_size < 1:
        raise ValueError(
            f"batch_size must be an integer of 1 or more, got {batch_size!r}"
        )
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


def check_first_step(first_step):
    """Raise a ValueError unless this is the number of a batch."""
    if not isinstance(first_step, numbers.Integral) or first_step < 0:
        raise ValueError(
            f"first_step must be an integer of 0 or more, got {first_step!r}"
        )


def num_batches(num_images, batch_size):
    """Global batches of one pass; the last may be smaller."""
    return -(-num_images // batch_size)


def num_local_images(num_images, batch_size, shard):
    """Images that one shard gets in one pass over all."""
    local = local_batch_size(batch_size, shard)
    whole, rest = divmod(num_images, batch_size)
    return whole * local + min(max(rest - shard[0] * local, 0), local)
