"""The real forward pass of a model, with intermediate tensors."""

import contextlib

import keras
from keras import ops


class Probe:
    """A model that also returns intermediate tensors.

    It is a functional model over the same, unchanged layers. It runs eagerly, as
    `model(x)` does, so that its output is equal to the last bit; a compiled `predict`
    may round differently.

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
    """Keeps torch from storing all intermediates for a gradient."""
    if keras.backend.backend() != "torch":
        yield
        return
    import torch

    with torch.no_grad():
        yield


def to_array(tensor):
    """A tensor of any float dtype as a float32 array."""
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))
