"""The exponential moving average of the weights, which the optimizer keeps."""

import contextlib

from keras import ops

# The authors' 1 / (1 - 0.99996) = 25,000 steps are a 31st of their 775,620.
SHARE_OF_RUN = 31


def decay_for(decay, updates):
    """The decay for a run of `updates` optimizer updates.

    `min(decay, updates / (updates + 31))`: the average looks back no further than over
    a 31st of the run (and one update more), as the authors' does. With their 0.99996 in
    a short run it would still be near the initial weights at the end.
    """
    return min(decay, updates / (updates + SHARE_OF_RUN))


def has_average(optimizer):
    return getattr(optimizer, "inner_optimizer", optimizer).use_ema


def averages(optimizer):
    return [v for v in optimizer.variables if v.name.endswith("_average")]


@contextlib.contextmanager
def averaged_weights(model):
    """Within, the trainable weights of `model` are their averages."""
    raw = [ops.convert_to_numpy(weight) for weight in model.trainable_weights]
    _assign(model.trainable_weights, averages(model.optimizer))
    try:
        yield
    finally:
        _assign(model.trainable_weights, raw)


def _assign(weights, values):
    for weight, value in zip(weights, values, strict=True):
        weight.assign(ops.convert_to_numpy(value))
