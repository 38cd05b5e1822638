"""The optimizers of the recipes, with their weight decay, learning rates per weight,
clipping and averages."""

import re

import keras
from keras import ops

from keras_t2t._ground.arguments import shown
from keras_t2t.checkpoints.official import HEADS
from keras_t2t.models.head import head_layers
from keras_t2t.training.ema import decay_for

# Weights that are not decayed, whatever their shape: the class token and a learned
# position table.
NOT_DECAYED = ("class_token", "table")
# One-dimensional here, a depthwise kernel (channels, 1, 1) in the authors' code.
DECAYED = ("scale",)


def adamw(
    model, learning_rate, weight_decay, backbone_rate=1.0, layer_decay=1.0, **settings
):
    """A built AdamW for `model`, which subtracts learning rate times `weight_decay`
    times the weight; `backbone_rate` is the ratio of the backbone's learning rate to
    the head's, `layer_decay` of a block's to the next block's."""
    settings |= {"weight_decay": weight_decay, "epsilon": 1e-8}
    if backbone_rate == layer_decay == 1:
        return built(keras.optimizers.AdamW, model, learning_rate, **settings)
    shares = rate_shares(model, backbone_rate, layer_decay)
    return built(AdamW, model, learning_rate, shares=shares, **settings)


def lamb(model, learning_rate, weight_decay, **settings):
    """`Lamb` for `model`; arguments as for `adamw`."""
    settings |= {"weight_decay": weight_decay, "epsilon": 1e-8}
    return built(Lamb, model, learning_rate, **settings)


def fine_tuning_sgd(
    model, learning_rate, backbone_learning_rate, weight_decay, **settings
):
    """A built `FineTuningSGD` for a pretrained `model`; `settings` as of `built`."""
    head = {id(weight) for layer in head_layers(model) for weight in layer.weights}
    return built(
        FineTuningSGD,
        model,
        learning_rate,
        backbone_learning_rate=backbone_learning_rate,
        in_head=[id(weight) in head for weight in model.trainable_weights],
        coupled_decay=weight_decay,
        **settings,
    )


def built(
    kind,
    model,
    learning_rate,
    clip_norm=None,
    accumulation=1,
    ema_decay=0.0,
    total_steps=1,
    scale_loss=False,
    **arguments,
):
    """An optimizer of class `kind` with its variables created. One-dimensional weights
    (biases, norms) are not decayed, except those in `DECAYED`; nor are those in
    `NOT_DECAYED`. The gradients of `accumulation` steps are averaged into one update.
    `ema_decay` is the decay of the weights' moving average in long runs (see
    `ema.decay_for`); 0: no average."""
    decay = decay_for(ema_decay, total_steps / accumulation)
    optimizer = kind(
        learning_rate=learning_rate,
        **arguments,
        global_clipnorm=clip_norm,
        gradient_accumulation_steps=accumulation if accumulation > 1 else None,
        use_ema=bool(ema_decay),
        # Keras averages at each step, even between two updates.
        ema_momentum=decay ** (1 / accumulation),
    )
    optimizer.exclude_from_weight_decay(
        var_list=[
            weight
            for weight in model.trainable_weights
            if weight.name in NOT_DECAYED
            or (len(weight.shape) == 1 and weight.name not in DECAYED)
        ]
    )
    return finished(optimizer, model, scale_loss)


def finished(optimizer, model, scale_loss):
    """`optimizer` with its variables created, scaling the loss if asked to."""
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    scales = scales or optimizer.loss_scale_factor is not None
    if scale_loss and not scales:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # `fit` calls this at its end, and it would replace the weights by the averages.
    optimizer.finalize_variable_values = lambda variables: None
    optimizer.build(model.trainable_variables)
    return optimizer


def begin_average(optimizer, weights):
    """Lets the average inside Keras's ScheduleFreeAdamW, which took the weights when it
    was built, begin with those of now."""
    optimizer = getattr(optimizer, "inner_optimizer", optimizer)
    kind = getattr(keras.optimizers, "ScheduleFreeAdamW", ())  # not in older ones
    if isinstance(optimizer, kind):
        for average, weight in zip(optimizer._momentums, weights, strict=True):
            if average is not None:
                average.assign(keras.ops.copy(weight))  # JAX's step gives both away


def rate_shares(model, backbone_rate, layer_decay):
    """For each trainable weight, the ratio of its learning rate to the head's.

    The exponent of the layer decay counts the blocks between a weight and the head
    (Clark et al., "ELECTRA", 2020, table 6): 0 for the head and the last norm, one more
    for each block from the last to the first, and one more for the tokens.
    """
    numbers = [re.match(r"block_(\d+)", layer.name) for layer in model.layers]
    numbers = [int(match[1]) if match else None for match in numbers]
    places = [i for i, number in enumerate(numbers) if number is not None]
    if layer_decay != 1 and not places:
        raise ValueError(
            f"layer_decay={layer_decay} needs layers block_0, block_1, ... in the model"
            f" itself, and {shown(model.name)} has none"
        )
    blocks = 1 + max((numbers[i] for i in places), default=-1)
    shares = {}
    for i, layer in enumerate(model.layers):
        # Between two blocks a layer counts as the later one.
        number = next((n for n in numbers[i:] if n is not None), blocks)
        depth = blocks + 1 if places and i < places[0] else blocks - number
        share = layer_decay**depth
        if layer.name not in HEADS:
            share *= backbone_rate
        shares.update((id(weight), share) for weight in layer.trainable_weights)
    return [shares[id(weight)] for weight in model.trainable_weights]


class AdamW(keras.optimizers.AdamW):
    """Keras's AdamW with a learning rate for each weight, also for its decay: `shares`
    are their ratios to `learning_rate`, in the order of the model's trainable weights.
    """

    def __init__(self, shares, **kwargs):
        super().__init__(**kwargs)
        self.shares = shares

    def update_step(self, gradient, variable, learning_rate):
        rate = learning_rate * self.shares[self._get_variable_index(variable)]
        if self._use_weight_decay(variable):
            share = ops.cast(rate * self.weight_decay, variable.dtype)
            self.assign_sub(variable, ops.multiply(variable, share))
        super().update_step(gradient, variable, rate)

    def _apply_weight_decay(self, variables):
        """Does nothing: here a weight decays in its `update_step`, at its own rate."""


class Lamb(keras.optimizers.Lamb):
    """LAMB (You et al., "Large Batch Optimization for Deep Learning", 2020, algorithm
    2), with weight decay inside the trust ratio; Keras's has it outside.

    A weight w that decays moves by `learning_rate * |w| / |u|` times u, where u is
    Adam's step plus `weight_decay * w`. A weight that does not decay moves by Adam's
    step, as in Apex's FusedLAMB.
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
        """Does nothing: here a weight decays in its `update_step`, within the ratio."""


class FineTuningSGD(keras.optimizers.SGD):
    """torch's SGD with momentum 0.9, with which the authors fine-tune, at two rates:
    for weights `in_head`, in the order of the model's trainable weights, and others.

    Keras's own has one rate for all weights, multiplies the rate into the momentum,
    and decays the weights separately; here `coupled_decay` is the share of a weight
    that is added to its gradient.
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
            rate = rate(self._iterations)  # steps, as Keras's; `iterations` are updates
        gradient = ops.cast(gradient, variable.dtype)
        velocity = self.momentums[index]
        rate = ops.cast(rate, variable.dtype)
        decayed = ops.add(gradient, ops.multiply(variable, self.coupled_decay))
        new = ops.add(ops.multiply(velocity, self.momentum), decayed)
        self.assign(velocity, new)
        self.assign_sub(variable, ops.multiply(rate, new))
