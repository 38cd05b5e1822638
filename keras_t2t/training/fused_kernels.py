"""Optimizers' steps in one pass over a weight: torch's kernels for CPUs.

Keras goes over a weight once for every operation of a formula, and on a CPU that costs
more than the arithmetic: two to five times as much (`benchmarks/optimizer_step.py`).
"""

import math

import keras


def has_fused_kernel(variable):
    """Whether there is one for the variable; it reads memory as it lies."""
    if keras.backend.backend() != "torch":
        return False
    return variable.value.device.type == "cpu" and variable.value.is_contiguous()


def fused_adamw(
    variable, gradient, m, v, *, steps, rate, beta_1, beta_2, epsilon, weight_decay
):
    """A step of `keras.optimizers.AdamW`, in place.

    Args:
        variable, m, v: Keras variables, the weight and its moments.
        gradient: tensor of the weight's shape and dtype.
        steps: int, the steps before this one.
        rate, beta_1, beta_2, epsilon: float, as `keras.optimizers.AdamW` has them.
        weight_decay: float, 0 for a weight that is not decayed.
    """
    import torch
    from torch.optim.adamw import adamw

    # torch adds epsilon after the correction of the second moment, Keras before.
    correction = math.sqrt(1 - beta_2 ** (steps + 1))
    with torch.no_grad():
        adamw(
            [variable.value],
            [gradient.contiguous()],
            [m.value],
            [v.value],
            max_exp_avg_sqs=[],
            state_steps=[torch.tensor(float(steps))],
            fused=True,
            amsgrad=False,
            maximize=False,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            eps=epsilon / correction,
            weight_decay=weight_decay,
        )


def fused_sgd(variable, gradient, velocity, *, rate, momentum, coupled_decay):
    """A step of torch's SGD, in place: the decay is a part of the gradient, the rate
    none of the velocity. Arguments as of `fused_adamw`."""
    import torch
    from torch.optim.sgd import sgd

    with torch.no_grad():
        sgd(
            [variable.value],
            [gradient.contiguous()],
            [velocity.value],
            fused=True,
            lr=rate,
            momentum=momentum,
            weight_decay=coupled_decay,
            dampening=0.0,
            nesterov=False,
            maximize=False,
        )
