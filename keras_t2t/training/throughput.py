"""Images per second, in the progress bar and in the history."""

import time

import keras


class ImagesPerSecond(keras.callbacks.Callback):
    """Adds `images_per_second` of training to the logs of batches and epochs.

    Validation is left out, and so is the first step of the run, which compiles
    (unless an epoch has no other). It must come before callbacks that read it. It
    waits for nothing: the end of an epoch, where `fit` reads the metrics, is the time
    that counts.

    Args:
        batch_size: int, images per step.
        announce: whether to say how long the first step took.
    """

    def __init__(self, batch_size, announce=False):
        super().__init__()
        self.batch_size = batch_size
        self.announce = announce
        self.started = False

    def on_epoch_begin(self, epoch, logs=None):
        self.start, self.images = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        self.images += self.batch_size
        if logs:
            logs["images_per_second"] = self.rate()
        if not self.started:
            self.started = True
            now = time.perf_counter()
            if self.announce:
                print(f"First step: {now - self.start:.0f} s", flush=True)
            self.first = self.rate()
            self.start, self.images = now, 0

    def on_epoch_end(self, epoch, logs=None):
        if "images_per_second" not in logs:  # as in an epoch that was only validated
            logs["images_per_second"] = self.rate() if self.images else self.first

    def rate(self):
        return self.images / (time.perf_counter() - self.start)
