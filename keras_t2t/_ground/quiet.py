"""What TensorFlow says on standard error as it is loaded, before any setting of its own
holds: lines that tell a user nothing."""

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
    """Within, which is to be short, such lines do not reach standard error; all others
    do at its end."""
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
