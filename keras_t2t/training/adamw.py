"""AdamW at a rate per weight, in one pass over each where torch has a kernel."""

import keras
from keras import ops

from keras_t2t.training.fused_kernels import fused_adamw, has_fused_kernel


class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW to rounding, whose learning rate, decay included, can differ from
    weight to weight.

    Args:
        shares: list of floats, learning rate of each trainable weight in the model's
            order over `learning_rate`; None: 1 for all.
        *args, **kwargs: of `keras.optimizers.AdamW`, but for `amsgrad`.
    """

    def __init__(self, shares=None, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.shares = shares

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = learning_rate * (self.shares[index] if self.shares else 1.0)
        decay = self.weight_decay if self._use_weight_decay(variable) else 0.0
        gradient = ops.cast(gradient, variable.dtype)
        if has_fused_kernel(variable):
            return fused_adamw(
                *(variable, gradient),
                *(self._momentums[index], self._velocities[index]),
                steps=int(self.iterations),
                rate=float(rate),
                beta_1=self.beta_1,
                beta_2=self.beta_2,
                epsilon=self.epsilon,
                weight_decay=decay,
            )
        if decay:
            share = ops.cast(rate * decay, variable.dtype)
            self.assign_sub(variable, ops.multiply(variable, share))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        """Keras's, at one rate for all; here a weight decays in its `update_step`."""

    def _update_model_variables_moving_average(self, trainable_variables):
        """In place on torch, where Keras's has four temporary copies of a weight."""
        if keras.backend.backend() != "torch":
            return super()._update_model_variables_moving_average(trainable_variables)
        import torch

        share = 1 - self.ema_momentum if int(self.iterations) else 1.0
        averages = self._model_variables_moving_average
        with torch.no_grad():
            for variable, average in zip(trainable_variables, averages, strict=True):
                if average is not None:
                    average.value.lerp_(variable.value, share)
