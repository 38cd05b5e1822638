"""What a run shows while it trains: how long it will take, a line every so many steps,
a bar that also moves in validation, images per second, time spent waiting for data."""

import shutil
import time

import keras
import numpy as np

from keras_t2t.training.ema import has_average

# The first steps compile and fill buffers; the time of a step is measured after them.
WARM, ENOUGH = 2, 20
LONG = 120.0  # seconds from which the time is worth reporting
VERY_LONG, SMALLER = 1800.0, 128  # seconds from which smaller images are advised; px
VALIDATION = 1 / 3  # of a training step: it has no backward pass
# Waiting is reported from this share of the time on, after so many steps and seconds.
WAITS, LEAST_STEPS, LEAST_SECONDS = 0.15, 20, 20.0


class StepLog(keras.callbacks.Callback):
    """Reports how long the first step took, the loss of the last steps every
    `log_every` steps and, after the first 20 steps, how long the run will take.

    It comes after what saves a run: whoever reads of a step can rely on it.
    """

    def __init__(self, run):
        super().__init__()
        self.run, self.progress = run, run.progress
        self.lines = run.verbose == 2  # they would break a progress bar
        self.writers = []  # functions of a step and the loss of the last steps
        self.done = 0  # steps, since this process began
        self.last = 0, 0.0  # step of the epoch, mean loss up to it

    def due(self, step):
        """Whether the results of this step are needed."""
        if self.run.verbose and self.done + 1 in (WARM, ENOUGH):
            return True
        return bool(self.lines or self.writers) and self._falls_on(step)

    def on_epoch_begin(self, epoch, logs=None):
        self.last = 0, 0.0
        if self.done == 0:
            self.began = time.perf_counter()

    def on_train_batch_begin(self, batch, logs=None):
        done = self.progress.step_in_epoch
        if self.done == 0 and done and (self.lines or self.writers):
            # Resumed within an epoch: the snapshot had the mean up to here.
            mean = self.model.get_metrics_result()["loss"]
            self.last = done, float(keras.ops.convert_to_numpy(mean))

    def on_train_batch_end(self, batch, logs=None):
        self.done += 1
        if self.run.verbose and self.done == 1:
            seconds = time.perf_counter() - self.began
            print(f"First step: {seconds:.0f} s", flush=True)
        elif self.run.verbose and self.done == WARM:
            self.start = time.perf_counter()
        elif self.run.verbose and self.done == ENOUGH:
            seconds = (time.perf_counter() - self.start) / (ENOUGH - WARM)
            if line := time_it_takes(self.run, self.model, seconds):
                self.run.say_within(line)
        if logs and self._falls_on(self.progress.step):
            self.tell(logs)

    def _falls_on(self, step):
        every = self.run.config.log_every
        return every > 0 and step % every == 0

    def tell(self, logs):
        step, steps = self.progress.step, self.progress.steps_per_epoch
        epoch, done = divmod(step - 1, steps)
        in_epoch = done + 1
        before, mean = self.last
        # Keras gives the mean over the epoch.
        loss = (in_epoch * logs["loss"] - before * mean) / (in_epoch - before)
        self.last = in_epoch, logs["loss"]
        for write in self.writers:
            write(step, loss)
        if not self.lines:
            return
        rate = logs.get("images_per_second")
        self.run.say_within(
            f"epoch {epoch + 1}/{self.progress.epochs}, step {in_epoch:,}/{steps:,}: "
            f"loss {loss:.4f}" + (f", {rate:,.0f} images/s" if rate else "")
        )


def first_lines(plan, model, devices):
    """The lines that say what is trained, on how many devices, for how many steps, and
    what resuming will not restore."""
    parameters = keras.Model(model.inputs, model.outputs).count_params()
    epochs, steps = plan.config.epochs, plan.config.steps_per_epoch
    yield (
        f"{plan.model_name}, {parameters:,} parameters, on {keras.backend.backend()}: "
        f"{epochs} epoch{'s' * (epochs > 1)} of {steps} steps of "
        f"{plan.config.batch_size} images on {devices} device{'s' * (devices > 1)}, "
        f"{epochs * steps:,} steps in all"
    )
    if plan.not_restored:
        yield f"Resuming will not restore {'; nor '.join(plan.not_restored)}"


def time_it_takes(run, model, seconds_per_step):
    """The line that says how long a run will take; None for a short run."""
    progress, config, devices = run.progress, run.config, run.devices
    validated = (1 + has_average(model.optimizer)) * run.dataset.num_validation
    steps = progress.epochs * progress.steps_per_epoch - progress.step
    epochs = progress.epochs - progress.step // progress.steps_per_epoch
    steps += epochs * validated / config.batch_size * VALIDATION
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
    """A duration in words, with at most two digits."""
    for unit, length in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 1.5 * length:
            number = seconds / length
            return f"{number:.2g} {unit}" if number < 10 else f"{number:.0f} {unit}"
    return f"{seconds:.0f} s"


class Bar(keras.callbacks.ProgbarLogger):
    """Keras's progress bar, which also moves while the epoch is validated, and takes
    one line of the terminal while it moves: Keras cannot go back over two."""

    NAMES = ("validated", "average validated")
    REST = " 10:00:00 999ms/step"  # the longest that stands between the bar and values

    def on_epoch_begin(self, epoch, logs=None):
        self.passes, self.logs = 0, {}
        super().on_epoch_begin(epoch, logs)

    def on_train_batch_end(self, batch, logs=None):
        if self.verbose == 1:
            self.logs = logs or self.logs  # most steps have none
            logs = self._fitting(self.logs)
        super().on_train_batch_end(batch, logs)

    def validated(self, batches, of):
        """Called after each batch of validation; `of` is the number of all batches."""
        if self.verbose != 1:
            return
        self.passes += batches == 1
        values = {self.NAMES[self.passes > 1]: batches / of, **self.logs}
        fitting = list(self._fitting(values).items())
        self.progbar.update(self.target, fitting, finalize=False)

    def on_epoch_end(self, epoch, logs=None):
        self._forget()
        super().on_epoch_end(epoch, logs)

    def _fitting(self, values):
        """Of the values, one after the other, those for which the line has room."""
        self._forget()
        start = len(f"{self.target}/{self.target} ") + self.progbar.width
        columns = shutil.get_terminal_size().columns
        room, fitting = columns - start - len(self.REST), {}
        for name, value in values.items():
            mean = np.mean(value)  # as Keras shows what a custom callback adds
            number = f"{mean:.4f}" if abs(mean) > 1e-3 else f"{mean:.4e}"
            room -= len(f" - {name}: {number}")
            if room < 0:
                break
            fitting[name] = value
        return fitting

    def _forget(self):
        """Removes what the line has shown, which Keras would show again."""
        self._maybe_init_progbar()
        self.progbar._values.clear()
        self.progbar._values_order.clear()


class ImagesPerSecond(keras.callbacks.Callback):
    """Adds `images_per_second` of training to the logs of batches and epochs.

    Validation is left out, and so is the first step of the run, which compiles
    (unless an epoch has no other step). It must come before callbacks that read it. It
    does not wait for the device: the time that counts is the end of an epoch, where
    `fit` reads the metrics.
    """

    def __init__(self, run):
        super().__init__()
        self.run = run
        self.first = None  # the rate of the first step

    def on_epoch_begin(self, epoch, logs=None):
        self.start, self.images = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.images += self.run.config.batch_size
        if logs:
            logs["images_per_second"] = self.rate()
        if self.first is None:
            self.first = self.rate()
            self.start, self.images = time.perf_counter(), 0

    def on_epoch_end(self, epoch, logs=None):
        if "images_per_second" not in logs:  # as in an epoch that was only validated
            logs["images_per_second"] = self.rate() if self.images else self.first

    def rate(self):
        return self.images / (time.perf_counter() - self.start)


class WaitingForData(keras.callbacks.Callback):
    """Says once how much of the time steps wait for their batches."""

    def __init__(self, say):
        super().__init__()
        self.say = say
        self.said = False
        self.steps = 0
        self.waited = 0.0
        self.asked = self.handed_over = 0.0

    def delivered(self):
        """Called when each batch is handed over."""
        self.handed_over = time.perf_counter()

    def on_train_batch_begin(self, batch, logs=None):
        self.asked = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.steps += 1
        if self.steps <= 2:  # these fill the buffers and compile
            self.start = time.perf_counter()
            self.waited = 0.0
            return
        self.waited += max(0.0, self.handed_over - self.asked)
        seconds = time.perf_counter() - self.start
        if self.said or self.steps < LEAST_STEPS or seconds < LEAST_SECONDS:
            return
        if self.waited > WAITS * seconds:
            self.said = True
            self.say(
                f"input: {self.waited / seconds:.0%} of the time goes by waiting for "
                "images. More processor cores, smaller image files or "
                "--no-randaugment help; benchmarks/input_pipeline.py measures what one "
                "core can prepare"
            )
