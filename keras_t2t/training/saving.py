"""Callbacks that save snapshots during a run and when it is stopped, and the weights of
its best epoch."""

import keras

from keras_t2t.training import state
from keras_t2t.training.compiled_model import learning_rates
from keras_t2t.training.snapshots import last_good


class SaveSnapshots(keras.callbacks.Callback):
    """Saves the run at regular intervals, after each epoch, and when it is stopped; and
    restores a snapshot before the first step.

    Custom callbacks come before it: they may change what is saved, and may end the run.
    """

    def __init__(self, plan, snapshots, progress, devices, stop, resumed):
        super().__init__()
        self.plan, self.own = plan, bool(plan.own.callbacks)
        self.snapshots = snapshots
        self.progress = progress
        self.devices = devices
        self.stop = stop
        self.resumed = resumed
        self.generators = {}

    def due(self, step):
        """Whether to save at this step. At the end of an epoch, saving waits for the
        epoch's results."""
        every, steps = self.plan.config.snapshot_every, self.progress.steps_per_epoch
        return step % every == 0 and step % steps != 0

    def on_train_begin(self, logs=None):
        self.begins = True

    def on_train_batch_begin(self, batch, logs=None):
        if not self.begins:
            return
        # Not sooner: `fit` clears the metrics and makes its iterator, for which torch
        # draws a random number that a run without this `fit` would not draw.
        self.begins = False
        if self.resumed is not None:
            self.restore()
            self.resumed = None
            if self.progress.step_in_epoch == 0:
                self.model.reset_metrics()  # those of the last validation
        state.restore_generators(self.generators)

    def restore(self):
        """Restores the model from the snapshot."""
        between = self.progress.step_in_epoch == 0
        # Keep what callbacks set as the epoch began; the rest is restored already.
        only = ("metrics",) if self.own and between else None
        state.restore(self.model, self.resumed.arrays, only)
        self.devices.separate(self.model)

    def on_train_batch_end(self, batch, logs=None):
        self.stop.unsaved = True
        if self.own and self.model.stop_training:
            self.progress.ends = True  # not now, but with the results of the epoch
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
        """Saves a run that is stopped between an epoch's last step and the end of its
        validation; `logs` are the results of the steps."""
        self.progress.unvalidated = logs
        self.model.stop_training = True
        self.save()

    def save(self):
        if keras.backend.backend() == "jax":
            self.model.jax_state_sync()
        # Every process takes part; one writes the file.
        arrays = self.devices.shared_state(state.collect(self.model))
        if self.devices.main:
            facts = {"config": self.plan.record, **self.progress.kept()}
            self.snapshots.save(self.progress.step, arrays, facts)
        self.plan.folder.has_result()

    def not_finite(self, step, loss):
        """The error for a loss that is NaN or infinite."""
        epoch = (step - 1) // self.progress.steps_per_epoch + 1
        if self.plan.own.optimizer is None:
            rates = learning_rates(self.plan.config, self.progress.steps_per_epoch)
            rate = rates(step - 1)
        else:
            if keras.backend.backend() == "jax":
                self.model.jax_state_sync()
            rate = self.model.optimizer.learning_rate
        rate = float(keras.ops.convert_to_numpy(rate))
        return FloatingPointError(
            f"the loss became {loss} at step {step} (epoch {epoch}), at learning rate "
            f"{rate:.3g}; {last_good(self.snapshots.paths())}. A lower "
            "--learning-rate, --clip-norm or another --mixed-precision may help"
        )


class SaveBestWeights(keras.callbacks.Callback):
    """Keeps the weights of the epoch with the highest `val_top1`, and ends training
    when the last epochs brought no improvement.

    Keras's ModelCheckpoint writes in place, so that a killed run can leave half a
    file where the best weights were.
    """

    def __init__(self, folder, progress):
        super().__init__()
        self.folder = folder
        self.progress = progress

    def on_epoch_end(self, epoch, logs=None):
        if self.progress.last_is_best:
            self.folder.save_best(self.model)
        if self.progress.stalled:
            self.model.stop_training = True
