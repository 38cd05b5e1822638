"""The real forward pass of a model, with what is inside it."""

import contextlib

import keras
import numpy as np
from keras import ops

from keras_t2t._ground.arguments import shown
from keras_t2t.models.feature_grids import layer_grid
from keras_t2t.models.pixel_input import takes_pixels as takes_pixels_itself
from keras_t2t.visualization.image_view import model_input, model_view


class Probe:
    """A model that also returns the outputs of the layers `stages`, on their grids, and
    the inputs of the layers `attention`.

    It is a functional model over the same, unchanged layers. It runs eagerly, as
    `model(x)` does, so that its output is equal to the last bit; a compiled `predict`
    may round differently. For `takes_pixels` see `feature_maps`.
    """

    def __init__(self, model, stages=(), attention=(), takes_pixels=None):
        self.model, self.takes_pixels = model, takes_pixels
        self.stages, self.attention = list(stages), list(attention)
        tensors = [model.get_layer(name).output for name in self.stages]
        tensors += [model.get_layer(name).input for name in self.attention]
        # A Sequential model has no `input` and no `output`.
        tensors.append(model.outputs[0])
        self.probing = keras.Model(model.inputs[0], tensors)

    def __call__(self, image):
        """Runs the model on one image, see `model_view`.

        Returns:
            Dict of stage -> float32 array `(height, width, channels)`, dict of
            attention layer -> its input, and the model's own output; the last two are
            tensors with a batch axis.
        """
        view = model_view(self.model, image)
        # The first layers are followed once, not for every image.
        self.takes_pixels = takes_pixels_itself(self.model, self.takes_pixels)
        inputs = model_input(self.model, view, self.takes_pixels)
        with without_gradients():
            tensors = self.probing(ops.convert_to_tensor(inputs), training=False)
        *values, output = tensors
        features = {}
        for name, x in zip(self.stages, values, strict=False):
            rows, columns = layer_grid(self.model, self.model.get_layer(name))
            grid = to_array(x)[0]
            if grid.ndim == 2:  # tokens, perhaps after the class token
                grid = grid[len(grid) - rows * columns :].reshape(rows, columns, -1)
            if not np.isfinite(grid).all():
                raise FloatingPointError(
                    f"{shown(self.model.name)} gives values that are no numbers at "
                    f"{name}"
                )
            features[name] = grid
        inside = dict(zip(self.attention, values[len(self.stages) :], strict=True))
        return features, inside, output


def without_gradients():
    """Keeps torch from storing all intermediates for a gradient."""
    if keras.backend.backend() != "torch":
        return contextlib.nullcontext()
    import torch

    return torch.no_grad()


def to_array(tensor):
    """A tensor of any float dtype as a float32 array."""
    return ops.convert_to_numpy(ops.cast(tensor, "float32"))
