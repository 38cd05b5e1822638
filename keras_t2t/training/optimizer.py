"""AdamW with warmup and cosine decay, and what it must not decay."""

import keras

# Names of weights that are not decayed, whatever their shape: the class token and a
# learned position table.
NOT_DECAYED = ("class_token", "table")
# One-dimensional here, a depthwise kernel (channels, 1, 1) in the authors' code.
DECAYED = ("scale",)


def warmup_cosine(peak, warmup_steps, total_steps):
    """Learning rate: linear from 0 to `peak`, then half a cosine down to 0."""
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warmup_steps else peak,
        warmup_target=peak if warmup_steps else None,
        warmup_steps=warmup_steps,
        decay_steps=total_steps - warmup_steps,
    )


def adamw(model, learning_rate, weight_decay):
    """AdamW for `model`: what is one-dimensional (biases, norms) is not decayed, but
    for `DECAYED`, nor what is in `NOT_DECAYED`.

    Args:
        model: a built model.
        learning_rate: float or schedule.
        weight_decay: float, decoupled: a step subtracts learning rate times this
            times the weight.
    """
    optimizer = keras.optimizers.AdamW(
        learning_rate, weight_decay=weight_decay, beta_2=0.999, epsilon=1e-8
    )
    optimizer.exclude_from_weight_decay(
        var_list=[
            weight
            for weight in model.trainable_weights
            if weight.name in NOT_DECAYED
            or (len(weight.shape) == 1 and weight.name not in DECAYED)
        ]
    )
    return optimizer
