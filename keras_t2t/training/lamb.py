"""LAMB with weight decay inside its trust ratio, which Keras's has outside."""

import keras
from keras import ops


class Lamb(keras.optimizers.Lamb):
    """You et al., "Large Batch Optimization for Deep Learning", 2020, algorithm 2.

    A weight that decays moves by `learning_rate * |w| / |u|` times `u`, Adam's step
    plus `weight_decay * w`; one that does not decay moves by Adam's step, as in Apex's
    FusedLAMB.

    Args:
        *args, **kwargs: of `keras.optimizers.Lamb`.
    """

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        rate = ops.cast(learning_rate, variable.dtype)
        gradient = ops.cast(gradient, variable.dtype)
        step = ops.cast(self.iterations + 1, variable.dtype)
        self.assign_add(momentum, (gradient - momentum) * (1 - self.beta_1))
        self.assign_add(velocity, (ops.square(gradient) - velocity) * (1 - self.beta_2))
        mean = momentum / (1 - ops.power(self.beta_1, step))
        square = velocity / (1 - ops.power(self.beta_2, step))
        update = mean / (ops.sqrt(square) + self.epsilon)
        if self._use_weight_decay(variable):
            update = update + self.weight_decay * variable
            weight_norm, update_norm = ops.norm(variable), ops.norm(update)
            both = ops.logical_and(weight_norm > 0, update_norm > 0)
            ratio = weight_norm / ops.where(both, update_norm, 1.0)
            update = ops.where(both, ratio, 1.0) * update
        self.assign_sub(variable, rate * update)

    def _apply_weight_decay(self, variables):
        """Keras's, apart from the ratio; here a weight decays in its `update_step`."""
