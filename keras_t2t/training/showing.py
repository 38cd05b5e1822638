"""What one sees of a run while it goes: how long it will take, a line every so many
steps, a bar that moves in validation too."""

import time

import keras

# The first steps compile and fill buffers; so many after them tell how long one takes.
WARM, ENOUGH = 2, 20
LONG = 120.0  # seconds, from which on it is worth telling
VERY_LONG, SMALLER = 1800.0, 128  # seconds, from which a smaller image is proposed; px
VALIDATION = 1 / 3  # of a training step: it has no backward pass


class StepLog(keras.callbacks.Callback):
    """Tells the loss of the last steps every so many, and after the first 20 how long
    the run will take.

    Args:
        progress: the run's `Progress`.
        every: int, steps; 0: never.
        say: function of a line, None where nothing is to be said.
        estimate: function of the seconds that a step takes that gives a line or None.
        lines: whether to say the losses.

    Attributes:
        writers: list of functions (step, loss of the last steps), called as often.
    """

    def __init__(self, progress, every, say, estimate, lines):
        super().__init__()
        self.progress = progress
        self.every = every
        self.say = say
        self.estimate = estimate
        self.lines = lines
        self.writers = []
        self.done = 0  # steps, since this process began
        self.last = 0, 0.0  # step of the epoch, mean loss up to there

    def due(self, step):
        """Whether the results of this step are needed."""
        if self.say is not None and self.done + 1 in (WARM, ENOUGH):
            return True
        told = self.lines or self.writers
        return bool(told) and self.every > 0 and step % self.every == 0

    def on_epoch_begin(self, epoch, logs=None):
        self.last = 0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self.say is not None:
            if self.done == WARM:
                self.start = time.perf_counter()
            elif self.done == ENOUGH:
                seconds = time.perf_counter() - self.start
                if line := self.estimate(seconds / (ENOUGH - WARM)):
                    self.say(line)
        if logs and self.every > 0 and self.progress.step % self.every == 0:
            self.tell(logs)

    def tell(self, logs):
        step, steps = self.progress.step, self.progress.steps_per_epoch
        epoch, in_epoch = divmod(step - 1, steps)
        in_epoch += 1
        before, mean = self.last
        # What Keras gives is the mean over the epoch.
        loss = (in_epoch * logs["loss"] - before * mean) / (in_epoch - before)
        self.last = in_epoch, logs["loss"]
        for write in self.writers:
            write(step, loss)
        if not self.lines:
            return
        rate = logs.get("images_per_second")
        self.say(
            f"epoch {epoch + 1}/{self.progress.epochs}, step {in_epoch:,}/{steps:,}: "
            f"loss {loss:.4f}" + (f", {rate:,.0f} images/s" if rate else "")
        )


def time_it_takes(seconds_per_step, progress, config, images, passes, devices):
    """The line that says how long a run will take, None for a short one.

    Args:
        seconds_per_step: float, of training.
        progress: its `Progress`.
        config: its `TrainingConfig`.
        images: int, that validate.
        passes: int, over these after each epoch.
        devices: its `Devices`.
    """
    steps = progress.epochs * progress.steps_per_epoch - progress.step
    epochs = progress.epochs - progress.step // progress.steps_per_epoch
    steps += epochs * passes * images / config.batch_size * VALIDATION
    seconds = steps * seconds_per_step
    if seconds < LONG:
        return None
    kind = "accelerator" if devices.accelerated else "CPU"
    place = f"this {kind}" if devices.count == 1 else f"{devices.count} devices"
    line = f"This will take about {duration(seconds)} on {place}"
    if config.patience:
        line = line.replace("about", "at most about")
    size = config.image_size
    if not devices.accelerated and seconds > VERY_LONG and size > SMALLER * 1.2:
        less = duration(seconds * (SMALLER / size) ** 2)
        line += f"; with --image-size {SMALLER} about {less}"
    return line


def duration(seconds):
    """A length of time in words, to two digits at most."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            number = seconds / length
            return f"{number:.2g} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{seconds:.0f} s"


class Bar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, which goes on moving while the epoch is validated."""

    NAMES = ("validated", "average validated")

    def on_epoch_begin(self, epoch, logs=None):
        self.passes = 0
        super().on_epoch_begin(epoch, logs)

    def validated(self, batches, of):
        """To be called after each batch of validation; `of` is the number of all."""
        if self.verbose != 1:
            return
        self._maybe_init_progbar()
        self.passes += batches == 1
        self._forget()
        name = self.NAMES[self.passes > 1]
        self.progbar.update(self.target, [(name, batches / of)], finalize=False)

    def on_epoch_end(self, epoch, logs=None):
        self._forget()
        super().on_epoch_end(epoch, logs)

    def _forget(self):
        """The line of the epoch has its results alone."""
        for name in self.NAMES:
            if self.progbar is not None and name in self.progbar._values:
                del self.progbar._values[name]
                self.progbar._values_order.remove(name)
