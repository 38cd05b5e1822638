"""The learning rate over a run: warmup, cosine, cooldown."""

import math

import keras
from keras import ops

# The rates at the first epoch and at the end, as in the authors' code for ImageNet.
WARMUP_START = 1e-6
FINAL = 1e-5


@keras.saving.register_keras_serializable(package="keras_t2t")
class WarmupCosineCooldown(keras.optimizers.schedules.LearningRateSchedule):
    """The authors' schedule (their training code, timm's cosine scheduler).

    With T = epochs - cooldown_epochs, at epoch e:

    - e < warmup_epochs: linear from 1e-6 to the peak;
    - then final + (peak - final) (1 + cos(pi e / T)) / 2;
    - from e = T on: final, but never more than the peak.

    The cosine starts at epoch 0, not after the warmup, so the rate jumps a little where
    they meet; Keras's CosineDecay starts it after the warmup.

    Args:
        peak: float, the rate at the end of the warmup.
        changes: `"epoch"`: e is the number of finished epochs, as in the authors' code;
            `"step"`: e grows with every step.
    """

    def __init__(
        self,
        peak,
        epochs,
        steps_per_epoch,
        warmup_epochs=0,
        cooldown_epochs=0,
        changes="epoch",
        final=FINAL,
    ):
        self.peak = peak
        self.epochs = epochs
        self.steps_per_epoch = steps_per_epoch
        self.warmup_epochs = warmup_epochs
        self.cooldown_epochs = cooldown_epochs
        self.changes = changes
        self.final = final

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
