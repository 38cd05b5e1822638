"""AdamW at a rate per weight and, on a CPU under torch, in one pass over it."""

import math

import keras
from keras import ops


class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW to rounding, with two additions.

    The learning rate, decay included, can differ from weight to weight. And Keras goes
    over a weight in more than ten operations, which on a CPU cost more than reading it:
    where torch computes there, its fused kernel takes an eighth of their time. Averages
    of the weights move in one pass as well.

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
            return self.update_in_one_pass(gradient, variable, rate, decay)
        if decay:
            share = ops.cast(rate * decay, variable.dtype)
            self.assign_sub(variable, ops.multiply(variable, share))
        super().update_step(gradient, variable, rate)

    def update_in_one_pass(self, gradient, variable, rate, decay):
        import torch
        from torch.optim.adamw import adamw

        index = self._get_variable_index(variable)
        steps = int(self.iterations)
        # torch adds epsilon after the correction of the second moment, Keras before.
        correction = math.sqrt(1 - self.beta_2 ** (steps + 1))
        with torch.no_grad():
            adamw(
                [variable.value],
                [gradient.contiguous()],
                [self._momentums[index].value],
                [self._velocities[index].value],
                max_exp_avg_sqs=[],
                state_steps=[torch.tensor(float(steps))],
                fused=True,
                amsgrad=False,
                maximize=False,
                lr=float(rate),
                beta1=self.beta_1,
                beta2=self.beta_2,
                eps=self.epsilon / correction,
                weight_decay=decay,
            )

    def _update_model_variables_moving_average(self, trainable_variables):
        if keras.backend.backend() != "torch":
            return super()._update_model_variables_moving_average(trainable_variables)
        import torch

        share = 1 - self.ema_momentum if int(self.iterations) else 1.0
        averages = self._model_variables_moving_average
        with torch.no_grad():
            for variable, average in zip(trainable_variables, averages, strict=True):
                if average is not None:
                    average.value.lerp_(variable.value, share)

    def _apply_weight_decay(self, variables):
        """Keras's, at one rate for all; here a weight decays in its `update_step`."""


def has_fused_kernel(variable):
    """Whether torch's kernel for CPUs takes the variable; it reads it as it lies."""
    if keras.backend.backend() != "torch":
        return False
    return variable.value.device.type == "cpu" and variable.value.is_contiguous()
