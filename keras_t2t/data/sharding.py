"""The rows of each global batch that one of several processes reads."""

from keras_t2t._ground.arguments import integer, is_integer


class Shard:
    """The part (i, n) of each global batch: rows [i, i + 1) x batch_size / n.

    The shards' batches, one after the other, are the batch that one process alone would
    get. A ValueError says what is no shard, or cannot be divided so or mixed in pairs.

    Attributes:
        batch_size: its own rows of a global batch.
    """

    def __init__(self, batch_size, shard, mixes=False):
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
        self._all, self.batch_size = batch_size, batch_size // count
        if mixes and self.batch_size % 2:
            raise ValueError(
                f"batch_size={batch_size} must be divisible by {2 * count}: mixup and "
                f"CutMix mix images two by two, in each of {count} shards"
            )
        self._first = shard[0] * self.batch_size

    def positions(self, numbers):
        """The global positions of images, from their numbers in this shard."""
        batches, rows = numbers // self.batch_size, numbers % self.batch_size
        return batches * self._all + self._first + rows

    def num_rows(self, count, pad=False):
        """How many of so many images it gets in one pass; with those that fill the last
        batch if that is to be whole."""
        whole, rest = divmod(count, self._all)
        rows = min(max(rest - self._first, 0), self.batch_size)
        if pad and rest:
            rows = self.batch_size
        return whole * self.batch_size + rows
