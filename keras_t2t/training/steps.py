"""The steps of a run: how far it is, and its callbacks, called without waiting for the
device at every step."""

import dataclasses
import math
import time

import keras
from keras import ops

# Seconds between two readings of the metrics, which wait for the device.
READ_EVERY = 1.0
# What a snapshot keeps of the progress, in addition to the step.
KEPT = ("history", "unvalidated", "ended", "ends")


@dataclasses.dataclass
class Progress:
    """Counts the steps and keeps the results of the epochs."""

    epochs: int
    steps_per_epoch: int
    patience: int = 0  # epochs without a better `val_top1` that end the run; 0: never
    step: int = 0
    history: list = dataclasses.field(default_factory=list)
    unvalidated: dict | None = None  # results of steps that still need a validation
    ended: bool = False  # by a custom callback
    ends: bool = False  # with the current epoch, as a custom callback has asked

    def kept(self):
        return {name: getattr(self, name) for name in KEPT}

    def take_over(self, metadata):
        """Continues from what a snapshot kept."""
        self.step = metadata["step"]
        for name in KEPT:
            setattr(self, name, metadata.get(name))

    @property
    def finished(self):
        """Whether all steps are done, or training no longer improves, or was ended."""
        done = self.step >= self.epochs * self.steps_per_epoch
        return self.unvalidated is None and (self.ended or self.stalled or done)

    @property
    def stalled(self):
        """Whether the last `patience` epochs brought no better `val_top1`."""
        return 0 < self.patience <= len(self.history) - 1 - self.best_epoch

    @property
    def best_epoch(self):
        """The first with the highest `val_top1`."""
        scores = [row["val_top1"] for row in self.history]
        return scores.index(max(scores)) if scores else 0

    @property
    def last_is_best(self):
        """Whether the last epoch has a higher `val_top1` than any before it."""
        return self.best_epoch == len(self.history) - 1

    @property
    def step_in_epoch(self):
        """Finished steps of the current epoch; 0 when an epoch has ended."""
        return self.step % self.steps_per_epoch

    def stretches(self):
        """What is left, as (first epoch, epoch to stop before, steps per epoch): the
        rest of the current epoch, then the whole epochs."""
        epoch = self.step // self.steps_per_epoch
        if self.step_in_epoch:
            yield epoch, epoch + 1, self.steps_per_epoch - self.step_in_epoch
            epoch += 1
        if epoch < self.epochs:
            yield epoch, self.epochs, self.steps_per_epoch


class Steps(keras.callbacks.CallbackList):
    """Calls the callbacks after each step; reads the metrics only now and then.

    Keras's own list turns every metric of every step into a float, so that the host
    waits for the device each time. Here the callbacks get the metrics of a step once a
    second, at both ends of an epoch and when `needs_metrics(step)`; at other steps they
    get an empty dict. A loss that is not finite stops the run with the error that
    `not_finite(step, loss)` gives for the step at which it occurred. Training begins
    and ends once for them, also where a resumed run needs two `fit`s: for the rest of
    an epoch and for the others.
    """

    def __init__(self, progress, callbacks, needs_metrics, not_finite, **params):
        self.progress = progress
        self.needs_metrics = needs_metrics
        self.not_finite = not_finite
        self.last_reading = -math.inf
        self.unread = []  # (step, loss on the device)
        self.begun, self.last_logs = False, None
        super().__init__(
            callbacks,
            add_history=True,
            add_progbar=params["verbose"] != 0,
            steps=progress.steps_per_epoch,
            **params,
        )

    def on_train_begin(self, logs=None):
        if not self.begun:
            self.begun = True
            super().on_train_begin(logs)

    def on_train_end(self, logs=None):
        self.last_logs = logs  # of one `fit`; another may follow

    def end(self):
        """Tells the callbacks that no `fit` follows."""
        super().on_train_end(self.last_logs)

    def on_epoch_begin(self, epoch, logs=None):
        # A resumed epoch begins in its middle.
        self.done_before = self.progress.step_in_epoch
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        for callback in self.callbacks:
            callback.on_train_batch_begin(batch + self.done_before, logs={})

    def on_train_batch_end(self, batch, logs=None):
        progress = self.progress
        progress.step += 1
        self.unread.append((progress.step, logs["loss"]))
        read_now = (
            time.monotonic() - self.last_reading > READ_EVERY
            or progress.step_in_epoch == 0
            or self.needs_metrics(progress.step)
        )
        read = self._read(logs) if read_now else {}
        for callback in self.callbacks:
            callback.on_train_batch_end(batch + self.done_before, logs=read)

    def on_epoch_end(self, epoch, logs=None):
        # Stopped in the middle: the results would be of a part of the epoch.
        if self.progress.step_in_epoch:
            return
        logs = {name: _number(value) for name, value in logs.items()}
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
            if self.progress.unvalidated is not None:
                return

    def _read(self, logs):
        read = {name: _number(value) for name, value in logs.items()}
        if not math.isfinite(read["loss"]):
            # The loss is a mean over the epoch, so the first bad one spoils the rest.
            for step, loss in self.unread:
                if not math.isfinite(_number(loss)):
                    raise self.not_finite(step, _number(loss))
        self.unread = []
        self.last_reading = time.monotonic()
        return read


def _number(value):
    return value if isinstance(value, float) else float(ops.convert_to_numpy(value))
