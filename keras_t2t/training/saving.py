"""Callbacks that save: snapshots as a run goes and when it is stopped, and the weights
of its best epoch."""

import keras

from keras_t2t.training import state


class SaveSnapshots(keras.callbacks.Callback):
    """Saves the run every `every` steps, after each epoch, and when it is stopped;
    gives back what a snapshot holds before the first step.

    Args:
        progress: the run's `Progress`.
        snapshots: `Snapshots`.
        every: int, steps.
        devices: the run's `Devices`.
        stop: its `StopSignals`.
        facts: dict that goes into each snapshot.
        saved: function that is called after each snapshot.
        resumed: `Snapshot` to start from, or None.
        own: whether callbacks of one's own come before it, which may change what is
            saved, and may end the run.
    """

    def __init__(
        self,
        progress,
        snapshots,
        every,
        devices,
        stop,
        facts,
        saved,
        resumed=None,
        own=False,
    ):
        super().__init__()
        self.progress = progress
        self.snapshots = snapshots
        self.every = every
        self.devices = devices
        self.stop = stop
        self.facts = facts
        self.saved = saved
        self.resumed = resumed
        self.own = own
        self.generators = {}

    def due(self, step):
        """Whether a snapshot falls on this step. At the end of an epoch it waits for
        the epoch's results."""
        return step % self.every == 0 and step % self.progress.steps_per_epoch != 0

    def on_train_begin(self, logs=None):
        self.begins = True

    def on_train_batch_begin(self, batch, logs=None):
        if not self.begins:
            return
        # Not sooner: `fit` has cleared the metrics and made its iterator, for which
        # torch draws a number that a run without this `fit` would not draw.
        self.begins = False
        if self.resumed is not None:
            self.restore()
            self.resumed = None
            if self.progress.step_in_epoch == 0:
                self.model.reset_metrics()  # they are the last validation's
        state.restore_generators(self.generators)

    def restore(self):
        """Gives the model back what the snapshot holds."""
        between = self.progress.step_in_epoch == 0
        # What callbacks set as the epoch began stays; the rest is restored already.
        only = ("metrics",) if self.own and between else None
        state.restore(self.model, self.resumed.arrays, only)
        self.devices.separate(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.stop.held = True
        if self.own and self.model.stop_training:
            self.progress.ends = True  # not in the middle: with the results of an epoch
            self.model.stop_training = False
        if self.stop.asked(self.progress.step_in_epoch):
            self.model.stop_training = True
            if self.progress.step_in_epoch:
                self.save()
        elif self.due(self.progress.step):
            self.save()

    def on_epoch_end(self, epoch, logs=None):
        self.generators = state.generators()
        if self.own and (self.progress.ends or self.model.stop_training):
            self.progress.ended = self.model.stop_training = True
        self.save()

    def save_unvalidated(self, logs):
        """Saves the run where it is stopped at the end of an epoch's steps, of which
        `logs` are the results."""
        self.progress.unvalidated = logs
        self.model.stop_training = True
        self.save()

    def save(self):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        # Every process takes part; one keeps the file.
        arrays = self.devices.shared_state(state.collect(self.model))
        if self.devices.main:
            facts = {**self.facts, "history": self.progress.history}
            if self.progress.ended:
                facts["ended"] = True
            if self.progress.unvalidated is not None:
                facts["unvalidated"] = self.progress.unvalidated
            self.snapshots.save(self.progress.step, arrays, facts)
        self.saved()


class StopWhereItStalls(keras.callbacks.Callback):
    """Ends training where the last epochs brought nothing.

    Args:
        progress: the run's `Progress`.
    """

    def __init__(self, progress):
        super().__init__()
        self.progress = progress

    def on_epoch_end(self, epoch, logs=None):
        if self.progress.stalled:
            self.model.stop_training = True


class SaveBestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the highest `val_top1`.

    Keras's ModelCheckpoint writes in place, so that a killed run can leave half a
    file where the best weights were.

    Args:
        folder: `RunFolder`.
        history: list of dict, the epochs before a resume.
    """

    def __init__(self, folder, history=()):
        super().__init__()
        self.folder = folder
        self.best = max((row["val_top1"] for row in history), default=-1.0)

    def on_epoch_end(self, epoch, logs=None):
        self.keep(self.model, logs)

    def keep(self, model, logs):
        """Saves the weights if `logs` are of the best epoch so far."""
        if logs["val_top1"] > self.best:
            self.best = logs["val_top1"]
            self.folder.save_best(model)
