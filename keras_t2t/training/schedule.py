"""The learning rate over a run: warmup, cosine, cooldown."""

import dataclasses
import math

import keras
from keras import ops

WARMUP_START = 1e-6  # as in the authors' code for ImageNet


@keras.saving.register_keras_serializable(package="keras_t2t")
@dataclasses.dataclass(eq=False)
class WarmupCosineCooldown(keras.optimizers.schedules.LearningRateSchedule):
    """The authors' schedule (their training code, timm's cosine scheduler).

    With T = epochs - cooldown_epochs, at epoch e:

    - e < warmup_epochs: linear from 1e-6 to the peak;
    - then final + (peak - final) (1 + cos(pi e / T)) / 2;
    - from e = T on: final, but never more than the peak.

    The cosine starts at epoch 0, not after the warmup, so the rate jumps a little where
    they meet; Keras's CosineDecay starts it after the warmup. If the rate changes by
    "epoch", e is the number of finished epochs, as in the authors' code; by "step", e
    grows with every step.
    """

    peak: float
    epochs: int
    steps_per_epoch: int
    warmup_epochs: float = 0
    cooldown_epochs: float = 0
    changes: str = "epoch"
    final: float = 1e-5

    def get_config(self):
        return dict(vars(self))

    def __call__(self, step):
        """The rate (float32 scalar) of the step after `step` finished ones."""
        if self.changes == "epoch":
            # Of integers: XLA multiplies a float by 1 / steps_per_epoch, and the first
            # step of an epoch would count as one of the epoch before.
            epoch = ops.cast(ops.floor_divide(step, self.steps_per_epoch), "float32")
        else:
            epoch = ops.cast(step, "float32") / self.steps_per_epoch
        # A small batch can have a peak below the authors' first and last rate.
        start, final = min(WARMUP_START, self.peak), min(self.final, self.peak)
        warmup = start + epoch / max(self.warmup_epochs, 1e-6) * (self.peak - start)
        length = self.epochs - self.cooldown_epochs
        cosine = (1 + ops.cos(math.pi * epoch / length)) / 2
        rate = ops.where(
            epoch < self.warmup_epochs, warmup, final + (self.peak - final) * cosine
        )
        return ops.where(epoch < length, rate, final)
