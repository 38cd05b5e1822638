"""Hides useless lines that TensorFlow prints on standard error while it is loaded,
before its own settings take effect."""

import contextlib
import os
import re
import tempfile

NOISE = re.compile(
    rb"WARNING: All log messages before absl::InitializeLog"
    rb"|[IW]0000 00:00:"
    rb"|E0000 00:00:.* Unable to register cu\w+ factory"
    rb"|\d{4}-\d\d-\d\d [\d:.]+: I "
    rb"|To enable the following instructions: "
)


@contextlib.contextmanager
def without_absl():
    """Context that holds back standard error: at its end all other lines are printed.
    Keep it short."""
    try:
        before = os.dup(2)
    except OSError:  # a program may have closed it
        yield
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            for line in kept:
                if not NOISE.match(line):
                    os.write(2, line)
