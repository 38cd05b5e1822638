"""The callbacks of a run, called without waiting for the device at every step."""

import math
import time

import keras
from keras import ops

# Seconds between two readings of the metrics, which wait for the device.
READ_EVERY = 1.0


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
