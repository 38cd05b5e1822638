"""Validation after each epoch, of the raw weights and of their average."""

import math

import keras
from keras import ops

from keras_t2t.training import state
from keras_t2t.training.ema import averaged_weights, has_average


def evaluate(run, model):
    """Loss and metrics over the validation images of all processes, every image counted
    once: padding, which fills the last batch, has weight 0 in `weighted_metrics`."""
    run.devices.average_statistics(model)
    num_images, batch_size = run.dataset.num_validation, run.config.batch_size
    steps = math.ceil(num_images / batch_size)
    batches = run.dataset.validation_batches(
        run.config.image_size,
        batch_size,
        run.devices.shard,
        pad=True,
        crop=run.config.crop,
        interpolation=run.config.interpolation,
    )
    logs = model.evaluate(
        batches,
        steps=steps,
        callbacks=UntilStopped(run, steps, model),
        verbose=0,
        return_dict=True,
    )
    logs.update(run.devices.reduce_metrics(model))
    sums = isinstance(model.loss, keras.losses.Loss) and model.loss.reduction == "sum"
    if not sums:  # then Keras divides a batch's loss by its size, whatever the weights
        # What regularizers add, and Keras to every batch's.
        regularized = (w for w in model.trainable_weights if w.regularizer is not None)
        penalties = (ops.convert_to_numpy(w.regularizer(w)) for w in regularized)
        penalty = sum(map(float, penalties))
        rest = logs["loss"] - penalty
        logs["loss"] = rest * (steps * batch_size / num_images) + penalty
    return logs


def last_rate(optimizer):
    """The learning rate of an optimizer's last step, a float. In float16, steps whose
    gradients overflow do not count."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    # `optimizer.learning_rate` is the next step's.
    finished = int(ops.convert_to_numpy(optimizer._iterations))
    return rate_after(optimizer, max(0, finished - 1))


def rate_after(optimizer, steps):
    """The learning rate of the step that follows so many, a float."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    rate = optimizer._learning_rate
    schedule = isinstance(rate, keras.optimizers.schedules.LearningRateSchedule)
    rate = rate(steps) if schedule else optimizer.learning_rate
    return float(ops.convert_to_numpy(rate))


class UntilStopped(keras.callbacks.CallbackList):
    """Moves the run's bar, and ends an evaluation early if the run is to stop; without
    the metrics of each batch, for which Keras's own list makes the host wait."""

    def __init__(self, run, steps, model):
        super().__init__(model=model)
        self.run, self.steps, self.batches = run, steps, 0

    def on_test_batch_end(self, batch, logs=None):
        self.batches += 1
        self.run.bar.validated(self.batches, self.steps)
        if self.run.stop.asked(self.batches):
            self.model.stop_evaluating = True


class ValidateEpoch(keras.callbacks.Callback):
    """Adds `val_*` of the raw weights to the logs of an epoch, and `val_*_ema`; and the
    logs to the history of the run. What stops in a validation is saved without its
    results by `save_unvalidated(logs)`, and the resumed run repeats it."""

    resumed = False  # whether the next logs come from such a snapshot

    def __init__(self, run, save_unvalidated):
        super().__init__()
        self.run, self.stop, self.save_unvalidated = run, run.stop, save_unvalidated

    def on_epoch_end(self, epoch, logs=None):
        if not self.resumed:
            logs.update(self.run.devices.reduce_metrics(self.model))
        self.resumed = False
        before = dict(logs)
        generators = state.generators()
        if not self.stop.agreed:
            self.validate(logs)
        # On torch a validation draws random numbers, and in a resumed run other ones.
        state.restore_generators(generators)
        if self.stop.agreed:
            self.save_unvalidated(before)
            return
        rate = last_rate(self.model.optimizer)
        history = self.run.progress.history
        history.append({"epoch": epoch, **logs, "learning_rate": rate})

    def validate(self, logs):
        raw = evaluate(self.run, self.model)
        logs.update({f"val_{name}": value for name, value in raw.items()})
        if has_average(self.model.optimizer) and not self.stop.agreed:
            with averaged_weights(self.model):
                average = evaluate(self.run, self.model)
            logs.update({f"val_{name}_ema": value for name, value in average.items()})
