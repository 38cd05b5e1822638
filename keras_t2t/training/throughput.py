"""Images per second, in the progress bar and in the history."""

import time

import keras


class ImagesPerSecond(keras.callbacks.Callback):
    """Adds `images_per_second` of training to the logs of batches and epochs.

    Validation is left out, and so is the first step of the run, which compiles
    (unless an epoch has no other). It must come before callbacks that read it.

    Args:
        batch_size: int, images per step.
    """

    def __init__(self, batch_size):
        super().__init__()
        self.batch_size = batch_size
        self.by_epoch = []

    def on_epoch_begin(self, epoch, logs=None):
        self.start, self.images, self.rate = time.perf_counter(), 0, 0.0

    def on_train_batch_end(self, batch, logs=None):
        now = time.perf_counter()
        self.images += self.batch_size
        self.rate = self.images / (now - self.start)
        logs["images_per_second"] = self.rate
        if not self.by_epoch and batch == 0:
            self.start, self.images = now, 0

    def on_epoch_end(self, epoch, logs=None):
        self.by_epoch.append(self.rate)
        logs["images_per_second"] = self.rate

    @property
    def median(self):
        return sorted(self.by_epoch)[len(self.by_epoch) // 2]
