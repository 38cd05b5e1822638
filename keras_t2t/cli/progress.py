"""A line on the terminal that shows the progress of a long task."""

import sys
import time

EVERY = 0.2  # seconds


class ProgressLine:
    """Counts up to `total`; silent if standard error is no terminal.

    Args:
        total: function that gives the total; called only if progress is shown.
    """

    def __init__(self, total):
        self.shown = sys.stderr.isatty()
        self.total = total() if self.shown else 0
        self.begin = self.last = 0.0
        self.done = 0

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def step(self):
        self.done += 1
        now = time.monotonic()
        if self.done == 1:  # what came before it says nothing about the rest
            self.begin = self.last = now
        if self.shown and now - self.last > EVERY:
            self.last = now
            print(f"\r{self.line(now - self.begin)}\x1b[K", end="", file=sys.stderr)
            sys.stderr.flush()

    def line(self, seconds):
        rate = self.done / seconds
        left = max(0, self.total - self.done) / rate
        filled = 20 * self.done // max(1, self.total, self.done)
        return (
            f"[{'#' * filled:<20}] {self.done:,} of {self.total:,}, {rate:,.1f} "
            f"images/s, {int(left) // 60}:{int(left) % 60:02d} left"
        )
