"""One process on one device, and what several of them do differently."""

import contextlib
import zlib


class Devices:
    """The devices of a run."""

    count = 1
    processes, process = 1, 0  # their number, and the number of this one
    accelerated = False  # whether the devices are GPUs or TPUs
    # A `keras.distribution.DataParallel` or a `tf.distribute.Strategy`, which spreads a
    # model built within its `scope()` over devices.
    spread = None

    @property
    def main(self):
        """Whether this process writes files and prints."""
        return self.process == 0

    @property
    def shard(self):
        """(i, n): this process reads the i-th of n parts of each batch."""
        return self.process, self.processes

    def scope(self):
        """The context in which the model is built and trained."""
        return contextlib.nullcontext() if self.spread is None else self.spread.scope()

    def check(self, config):
        """Raises a ValueError if a setting of the complete config is not possible on
        these devices."""
        if config.batch_size % self.count:
            raise ValueError(
                f"batch_size is for all devices together and must be divisible by "
                f"their number, {self.count}, got {config.batch_size}"
            )

    def check_optimizer(self, optimizer):
        """Raises a ValueError if these devices cannot do what an optimizer does."""

    def prepare(self, model):
        """Makes a compiled model train on all devices."""

    def largest(self, number):
        """The largest value of an integer over all processes; all must call it."""
        return number

    def differs(self, number):
        """Whether an integer differs between processes; all must call it."""
        return self.largest(number) != -self.largest(-number)

    def check_same_images(self, dataset):
        """Raises a ValueError if a data set differs between processes, by what is known
        of it before it is read; all must call it."""
        counts = dataset.num_train, dataset.num_validation
        of_classes = dataset.class_counts
        of_classes = None if of_classes is None else [*map(int, of_classes)]
        known = counts, dataset.class_names, of_classes
        # Of custom batches the first targets are known too.
        first = getattr(dataset, "checksum", 0)
        if self.differs(zlib.crc32(repr(known).encode(), first) >> 1):
            raise ValueError(
                f"dataset: process {self.process} has other images ({counts[0]:,} to "
                f"train, {counts[1]:,} to validate), classes or first targets than "
                "another process: give all processes the same files, or the same whole "
                "batches, shuffled by the same seed"
            )

    def reduce_metrics(self, model):
        """The metrics over all processes, if Keras gives only those of this one: a
        dict, empty if there is nothing to correct."""
        return {}

    def average_statistics(self, model):
        """Gives all processes the mean of what layers gather in training, if each has
        its own."""

    def shared_state(self, arrays):
        """The state to keep in a snapshot, from the states of all processes."""
        return arrays

    def separate(self, model):
        """After a restore, gives each process the state that must differ."""

    def abandon(self, status):
        """Leaves the other processes without waiting for them, before this process ends
        with that status."""

    def disconnect(self):
        """Leaves the other processes after a run that ended well in all."""


def refuse(config, names, reason):
    """Raises a ValueError if one of the attributes `names` is set."""
    for name in names:
        if getattr(config, name) is not None:
            raise ValueError(f"{name}={getattr(config, name)!r}: {reason}")


def first(number, names):
    """The first `number` devices of a host; raises a ValueError if it has fewer."""
    if number > len(names):
        raise ValueError(f"devices={number}: this host has {len(names)}")
    return names[:number]
