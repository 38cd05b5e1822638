"""Saves a run while it goes on, and when it is stopped."""

import keras

from keras_t2t.training import state
from keras_t2t.training.evaluation import rate_after
from keras_t2t.training.snapshots import last_good


class SaveSnapshots(keras.callbacks.Callback):
    """Saves the run at regular intervals, after each epoch, and when it is stopped; and
    restores a snapshot before the first step.

    Custom callbacks come before it: they may change what is saved, and may end the run.
    """

    begins = False  # whether the next step is the first of a `fit`

    def __init__(self, run):
        super().__init__()
        self.run, self.progress = run, run.progress
        self.own = bool(run.plan.own.callbacks)
        self.generators = {}

    def due(self, step):
        """Whether to save at this step. At the end of an epoch, saving waits for the
        epoch's results."""
        every, steps = self.run.config.snapshot_every, self.progress.steps_per_epoch
        return step % every == 0 and step % steps != 0

    def on_train_batch_begin(self, batch, logs=None):
        if not self.begins:
            return
        self.run.stop.stop_before_steps()
        # Not sooner: `fit` clears the metrics and makes its iterator, for which torch
        # draws a random number that a run without this `fit` would not draw.
        self.begins = False
        if self.run.resumed is not None:
            self.restore()
            self.run.resumed = None
            if self.progress.step_in_epoch == 0:
                self.model.reset_metrics()  # those of the last validation
        state.restore_generators(self.generators)

    def restore(self):
        between = self.progress.step_in_epoch == 0
        # Keep what callbacks set as the epoch began; the rest is restored already.
        only = ("metrics",) if self.own and between else None
        state.restore(self.model, self.run.resumed.arrays, only)
        self.run.devices.separate(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.run.stop.unsaved = True
        if self.own and self.model.stop_training:
            self.progress.ends = True  # not now, but with the results of the epoch
            self.model.stop_training = False
        if self.run.stop.asked(self.progress.step_in_epoch):
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
        self.run.write_epoch(self.model)
        if self.progress.stalled:
            self.model.stop_training = True

    def save_unvalidated(self, logs):
        """Saves a run that is stopped between an epoch's last step and the end of its
        validation; `logs` are the results of the steps."""
        self.progress.unvalidated = logs
        self.model.stop_training = True
        self.save()

    def save(self):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        # Every process takes part; one writes the file.
        self.run.devices.average_statistics(self.model)
        arrays = self.run.devices.shared_state(state.collect(self.model))
        if self.run.devices.main:
            metadata = {"config": self.run.plan.record, **self.progress.kept()}
            kept = self.run.config.snapshots_kept
            self.run.folder.snapshots.save(self.progress.step, arrays, metadata, kept)
        self.run.folder.has_result()

    def not_finite(self, step, loss):
        """The error for a loss that is NaN or infinite."""
        epoch = (step - 1) // self.progress.steps_per_epoch + 1
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        rate = rate_after(self.model.optimizer, step - 1)
        return FloatingPointError(
            f"the loss became {loss} at step {step} (epoch {epoch}), at learning rate "
            f"{rate:.3g}; {last_good(self.run.folder.snapshots.paths())}. A lower "
            "--learning-rate, --clip-norm or another --mixed-precision may help"
        )
