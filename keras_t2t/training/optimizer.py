"""The recipes' optimizers: what is not decayed, what is slower, clipping, averages."""

import re
from functools import partial

import keras

from keras_t2t.models.head import HEADS, head_layers
from keras_t2t.training.adamw import AdamW
from keras_t2t.training.ema import decay_for
from keras_t2t.training.lamb import Lamb
from keras_t2t.training.sgd import FineTuningSGD

# Names of weights that are not decayed, whatever their shape: the class token and a
# learned position table.
NOT_DECAYED = ("class_token", "table")
# One-dimensional here, a depthwise kernel (channels, 1, 1) in the authors' code.
DECAYED = ("scale",)


def adamw(
    model,
    learning_rate,
    weight_decay,
    clip_norm=None,
    accumulation=1,
    ema_decay=0.0,
    total_steps=1,
    scale_loss=False,
    backbone_rate=1.0,
    layer_decay=1.0,
):
    """AdamW for `model`: what is one-dimensional (biases, norms) is not decayed, but
    for `DECAYED`, nor what is in `NOT_DECAYED`.

    Args:
        model: a built model.
        learning_rate: float or schedule.
        weight_decay: float, decoupled: a step subtracts learning rate times this
            times the weight.
        clip_norm: float, the greatest norm of all gradients together, or None.
        accumulation: int, steps whose gradients are averaged into one update.
        ema_decay: float in [0, 1), of the moving average of the weights at its
            longest (see `ema.decay_for`); 0: no average.
        total_steps: int, steps of the whole run.
        scale_loss: whether to scale the loss, for float16's small gradients.
        backbone_rate: float, learning rate of all but the head over the head's.
        layer_decay: float, learning rate of a block over that of the next.

    Returns:
        A built `keras.optimizers.Optimizer`.
    """
    kind = keras.optimizers.AdamW
    if backbone_rate != 1 or layer_decay != 1:
        kind = partial(AdamW, rate_shares(model, backbone_rate, layer_decay))
    optimizer = kind(
        learning_rate=learning_rate,
        weight_decay=weight_decay,
        beta_2=0.999,
        epsilon=1e-8,
        **shared_settings(clip_norm, accumulation, ema_decay, total_steps),
    )
    exclude_from_decay(optimizer, model)
    return finished(optimizer, model, scale_loss)


def lamb(model, learning_rate, weight_decay, scale_loss=False, **settings):
    """`Lamb` for `model`, which decays what `adamw` does; arguments as of that."""
    optimizer = Lamb(
        learning_rate,
        weight_decay=weight_decay,
        epsilon=1e-8,
        **shared_settings(**settings),
    )
    exclude_from_decay(optimizer, model)
    return finished(optimizer, model, scale_loss)


def rate_shares(model, backbone_rate, layer_decay):
    """Of each trainable weight, its learning rate over the head's.

    The layer decay's power counts the blocks between a weight and the head (Clark et
    al., "ELECTRA", 2020, table 6): 0 for the head and the last norm, one more for each
    block from the last to the first, and one more for the tokens.
    """
    numbers = [re.match(r"block_(\d+)", layer.name) for layer in model.layers]
    numbers = [int(match[1]) if match else None for match in numbers]
    places = [i for i, number in enumerate(numbers) if number is not None]
    blocks = 1 + max((numbers[i] for i in places), default=-1)
    shares = {}
    for i, (layer, number) in enumerate(zip(model.layers, numbers, strict=True)):
        if number is not None:
            depth = blocks - number
        else:
            depth = 0 if not places or i > places[-1] else blocks + 1
        share = layer_decay**depth
        if layer.name not in HEADS:
            share *= backbone_rate
        shares.update((id(weight), share) for weight in layer.trainable_weights)
    return [shares[id(weight)] for weight in model.trainable_weights]


def fine_tuning_sgd(
    model,
    learning_rate,
    backbone_learning_rate,
    weight_decay,
    clip_norm=None,
    accumulation=1,
    ema_decay=0.0,
    total_steps=1,
    scale_loss=False,
):
    """SGD for a pretrained `model`, slower on its backbone than on its head.

    Args:
        model: a built model with a layer `head`.
        learning_rate, backbone_learning_rate: float or schedule, of the head and of all
            other weights.
        weight_decay: float, of all weights.
        clip_norm, accumulation, ema_decay, total_steps, scale_loss: as for `adamw`.

    Returns:
        A built `keras.optimizers.Optimizer`.
    """
    head = {id(weight) for layer in head_layers(model) for weight in layer.weights}
    optimizer = FineTuningSGD(
        learning_rate,
        backbone_learning_rate,
        [id(weight) in head for weight in model.trainable_weights],
        weight_decay,
        **shared_settings(clip_norm, accumulation, ema_decay, total_steps),
    )
    return finished(optimizer, model, scale_loss)


def exclude_from_decay(optimizer, model):
    optimizer.exclude_from_weight_decay(
        var_list=[
            weight
            for weight in model.trainable_weights
            if weight.name in NOT_DECAYED
            or (len(weight.shape) == 1 and weight.name not in DECAYED)
        ]
    )


def shared_settings(clip_norm=None, accumulation=1, ema_decay=0.0, total_steps=1):
    """The arguments that any optimizer of Keras takes, from those of `adamw`."""
    decay = decay_for(ema_decay, total_steps / accumulation) if ema_decay else 0.0
    return {
        "global_clipnorm": clip_norm,
        "gradient_accumulation_steps": accumulation if accumulation > 1 else None,
        "use_ema": bool(ema_decay),
        # Keras averages at each step, also at those between two updates.
        "ema_momentum": decay ** (1 / accumulation),
    }


def finished(optimizer, model, scale_loss):
    """`optimizer` with its variables made, scaling the loss if asked to."""
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if scale_loss and not scales:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # `fit` ends with this, which would put the averages in the weights' place.
    optimizer.finalize_variable_values = lambda variables: None
    optimizer.build(model.trainable_variables)
    return optimizer
