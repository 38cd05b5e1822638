"""AdamW at a rate per weight."""

import keras
from keras import ops


class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW, whose learning rate, decay included, differs from weight to
    weight.

    Args:
        shares: list of floats, learning rate of each trainable weight in the model's
            order over `learning_rate`.
        *args, **kwargs: of `keras.optimizers.AdamW`.
    """

    def __init__(self, shares, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.shares = shares

    def update_step(self, gradient, variable, learning_rate):
        rate = learning_rate * self.shares[self._get_variable_index(variable)]
        if self._use_weight_decay(variable):
            share = ops.cast(rate * self.weight_decay, variable.dtype)
            self.assign_sub(variable, ops.multiply(variable, share))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        """Keras's, at one rate for all; here a weight decays in its `update_step`."""
