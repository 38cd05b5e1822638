"""Validation after each epoch, of the raw weights and of their average."""

import keras

from keras_t2t.data.sharding import num_batches
from keras_t2t.training.ema import averaged_weights, has_average


def evaluate(model, batches, num_images, batch_size, devices):
    """Loss and metrics over a validation set, every image counted once.

    Args:
        model: a compiled model whose metrics are `weighted_metrics`.
        batches: what `evaluate` takes; padding, which fills the last, has weight 0.
        num_images: int, without the padding.
        batch_size: int, over all devices.
        devices: the run's `Devices`.

    Returns:
        dict of floats, over all processes.
    """
    steps = num_batches(num_images, batch_size)
    logs = model.evaluate(batches, steps=steps, verbose=0, return_dict=True)
    logs.update(devices.reduce_metrics(model))
    # Keras divides a batch's loss by its size, whatever the weights.
    logs["loss"] *= steps * batch_size / num_images
    return logs


class Validation(keras.callbacks.Callback):
    """Adds `val_*` of the raw weights to the logs of an epoch, and `val_*_ema`.

    Args:
        evaluate: function of a model that gives a dict of floats.
        devices: the run's `Devices`.
    """

    def __init__(self, evaluate, devices):
        super().__init__()
        self.evaluate = evaluate
        self.devices = devices

    def on_epoch_end(self, epoch, logs=None):
        logs.update(self.devices.reduce_metrics(self.model))
        raw = self.evaluate(self.model)
        logs.update({f"val_{name}": value for name, value in raw.items()})
        if has_average(self.model.optimizer):
            with averaged_weights(self.model):
                average = self.evaluate(self.model)
            logs.update({f"val_{name}_ema": value for name, value in average.items()})
