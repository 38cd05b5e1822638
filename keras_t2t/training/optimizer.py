"""AdamW as the recipe has it: what it must not decay, clipping, averages, scaling."""

import keras

from keras_t2t.training.ema import decay_for

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

    Returns:
        A built `keras.optimizers.Optimizer`.
    """
    decay = decay_for(ema_decay, total_steps / accumulation) if ema_decay else 0.0
    optimizer = keras.optimizers.AdamW(
        learning_rate,
        weight_decay=weight_decay,
        beta_2=0.999,
        epsilon=1e-8,
        global_clipnorm=clip_norm,
        gradient_accumulation_steps=accumulation if accumulation > 1 else None,
        use_ema=bool(ema_decay),
        # Keras averages at each step, also at those between two updates.
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
    if scale_loss:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    # `fit` ends with this, which would put the averages in the weights' place.
    optimizer.finalize_variable_values = lambda variables: None
    optimizer.build(model.trainable_variables)
    return optimizer
