"""One process on one device, and what several of them do differently."""

import contextlib


class Devices:
    """The devices of a run.

    Attributes:
        count: int, devices over all processes.
        processes, process: int, their number and the number of this one.
        accelerated: whether they are GPUs or TPUs.
        builds_within_scope: whether variables must be made within `scope`.
    """

    count = 1
    processes = 1
    process = 0
    builds_within_scope = False
    accelerated = False

    @property
    def main(self):
        """Whether this process writes files and talks."""
        return self.process == 0

    @property
    def shard(self):
        """(i, n): this process reads the i-th of n parts of each batch."""
        return self.process, self.processes

    def scope(self):
        """The context in which the model is built and trained."""
        return contextlib.nullcontext()

    def check(self, config):
        """
        Raises:
            ValueError: a setting of the filled-in config cannot be had on these
                devices.
        """
        if config.batch_size % self.count:
            raise ValueError(
                f"batch_size is for all devices together and must be divisible by "
                f"their number, {self.count}, got {config.batch_size}"
            )

    def check_optimizer(self, optimizer):
        """
        Raises:
            ValueError: what an optimizer does cannot be had on these devices.
        """

    def prepare(self, model):
        """Makes a compiled model train on all devices."""

    def largest(self, number):
        """The largest of an integer that each process has; every process must ask."""
        return number

    def differs(self, number):
        """Whether a number is not the same in all processes; every process must ask."""
        return False

    def reduce_metrics(self, model):
        """The metrics over all processes, where Keras gives those of this one: dict,
        empty where there is nothing to correct."""
        return {}

    def shared_state(self, arrays):
        """The state that a snapshot keeps, from that of each process."""
        return arrays

    def separate(self, model):
        """After a restore: gives each process the state that must not be shared."""

    def abandon(self, status):
        """Parts from the other processes though they may wait for this one; the process
        will end with that status."""

    def disconnect(self):
        """Parts from the other processes after a run that ended well in all."""


def refuse(config, names, reason):
    """
    Raises:
        ValueError: one of the attributes `names` is set.
    """
    for name in names:
        if getattr(config, name) is not None:
            raise ValueError(f"{name}={getattr(config, name)!r}: {reason}")
