"""Tells when training waits for its data."""

import time

import keras

SHARE = 0.15  # of the time, from which on it is worth telling
LEAST_STEPS = 20
LEAST_SECONDS = 20.0


class WaitingForData(keras.callbacks.Callback):
    """Says once how much of the time goes by before a step has its batch.

    Args:
        say: function of a line.
    """

    def __init__(self, say):
        super().__init__()
        self.say = say
        self.said = False
        self.steps = 0
        self.waited = 0.0
        self.asked = self.handed_over = 0.0

    def delivered(self):
        """To be called as each batch is handed over."""
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
        self.said = True
        if self.waited > SHARE * seconds:
            self.say(
                f"input: {self.waited / seconds:.0%} of the time goes by waiting for "
                "images. More processor cores, photographs stored smaller or "
                "--no-randaugment help; benchmarks/input_pipeline.py tells what a core "
                "prepares"
            )
