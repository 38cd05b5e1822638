"""SGD as the authors fine-tune with it."""

import keras
from keras import ops


class FineTuningSGD(keras.optimizers.SGD):
    """torch's SGD with momentum 0.9, which the authors fine-tune with, at two rates.

    Keras's own has one rate for all weights, multiplies the rate into the momentum,
    and decays the weights apart from it.

    Args:
        learning_rate: float or schedule, of the head.
        backbone_learning_rate: float or schedule, of all other weights.
        in_head: list of bool, one per trainable weight in the model's order.
        coupled_decay: float, the share of a weight that is added to its gradient.
        **kwargs: of `keras.optimizers.SGD`.
    """

    def __init__(
        self, learning_rate, backbone_learning_rate, in_head, coupled_decay, **kwargs
    ):
        super().__init__(learning_rate, momentum=0.9, **kwargs)
        self.backbone_learning_rate = backbone_learning_rate
        self.in_head = in_head
        self.coupled_decay = coupled_decay

    def update_step(self, gradient, variable, learning_rate):
        index = self._get_variable_index(variable)
        rate = self.backbone_learning_rate
        if self.in_head[index]:
            rate = learning_rate
        elif callable(rate):
            rate = rate(self.iterations)
        gradient = ops.cast(gradient, variable.dtype)
        velocity = self.momentums[index]
        rate = ops.cast(rate, variable.dtype)
        decayed = ops.add(gradient, ops.multiply(variable, self.coupled_decay))
        new = ops.add(ops.multiply(velocity, self.momentum), decayed)
        self.assign(velocity, new)
        self.assign_sub(variable, ops.multiply(rate, new))
