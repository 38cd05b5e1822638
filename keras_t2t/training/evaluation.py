"""Validation after each epoch, of the raw weights and of their average."""

import functools

import keras

from keras_t2t.data.sharding import num_batches
from keras_t2t.training import state
from keras_t2t.training.ema import averaged_weights, has_average

MEAN = "sum_over_batch_size"


def evaluate(model, batches, num_images, batch_size, devices, stop, moved):
    """Loss and metrics over a validation set, every image counted once.

    Args:
        model: a compiled model whose metrics are `weighted_metrics`.
        batches: what `model.evaluate` takes; padding, which fills the last batch, has
            weight 0.
        num_images: int, without the padding.
        batch_size: int, over all devices.
        devices: the run's `Devices`.
        stop: its `StopSignals`, which may end it early.
        moved: function (finished batches, all batches), called after each.

    Returns:
        dict of floats, over all processes.
    """
    steps = num_batches(num_images, batch_size)
    watching = UntilStopped(stop, functools.partial(moved, of=steps), model)
    logs = model.evaluate(
        batches, steps=steps, callbacks=watching, verbose=0, return_dict=True
    )
    logs.update(devices.reduce_metrics(model))
    # Keras divides a batch's loss by its size, whatever the weights.
    if getattr(model.loss, "reduction", MEAN) in (MEAN, "mean"):
        logs["loss"] *= steps * batch_size / num_images
    return logs


class UntilStopped(keras.callbacks.CallbackList):
    """Ends an evaluation early if the run is to stop. Unlike Keras's own list, it does
    not read the metrics of each batch, which would make the host wait."""

    def __init__(self, stop, moved, model):
        super().__init__(model=model)
        self.stop = stop
        self.moved = moved
        self.batches = 0

    def on_test_batch_end(self, batch, logs=None):
        self.batches += 1
        self.moved(self.batches)
        if self.stop.asked(self.batches):
            self.model.stop_evaluating = True


class Validation(keras.callbacks.Callback):
    """Adds `val_*` of the raw weights to the logs of an epoch, and `val_*_ema`.

    Args:
        evaluate: function of a model that gives a dict of floats.
        devices, stop: the run's `Devices` and `StopSignals`.
        save_unvalidated: function of the logs, called if the run stops before the end
            of a validation. It saves the run without the validation's results; the
            resumed run repeats the validation.

    Attributes:
        resumed: whether the next logs come from such a snapshot.
    """

    resumed = False

    def __init__(self, evaluate, devices, stop, save_unvalidated):
        super().__init__()
        self.evaluate = evaluate
        self.devices = devices
        self.stop = stop
        self.save_unvalidated = save_unvalidated

    def on_epoch_end(self, epoch, logs=None):
        if not self.resumed:
            logs.update(self.devices.reduce_metrics(self.model))
        self.resumed = False
        before = dict(logs)
        generators = state.generators()
        if not self.stop.agreed:
            self.validate(logs)
        # On torch a validation draws random numbers, and in a resumed run other ones.
        state.restore_generators(generators)
        if self.stop.agreed:
            self.save_unvalidated(before)

    def validate(self, logs):
        raw = self.evaluate(self.model)
        logs.update({f"val_{name}": value for name, value in raw.items()})
        if has_average(self.model.optimizer) and not self.stop.agreed:
            with averaged_weights(self.model):
                average = self.evaluate(self.model)
            logs.update({f"val_{name}_ema": value for name, value in average.items()})
