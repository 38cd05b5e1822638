"""The real forward pass of a model, with what it computes on the way."""

import contextlib

import keras
from keras import ops


class Probe:
    """A model that also gives tensors from its inside.

    It is a functional model over the same layers: nothing is added to them or
    changed. It runs eagerly, as `model(x)` does, so that its output has the same
    bits; a compiled `predict` may round otherwise.

    Args:
        model: a functional `keras.Model`.
        tensors: dict of name -> Keras tensor of the model.
    """

    def __init__(self, model, tensors):
        self.names = list(tensors)
        self.model = keras.Model(model.input, [*tensors.values(), model.output])

    def __call__(self, inputs):
        """`(values, output)`: dict of name -> tensor, and the model's own output."""
        with without_gradients():
            *values, output = self.model(ops.convert_to_tensor(inputs), training=False)
        return dict(zip(self.names, values, strict=True)), output


@contextlib.contextmanager
def without_gradients():
    """torch would keep all intermediates for a gradient otherwise."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield


def to_array(tensor):
    """A tensor of any float dtype as a float32 array."""
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))
