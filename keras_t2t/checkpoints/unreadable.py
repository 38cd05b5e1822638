"""Files from outside that are damaged, crafted, or not what their names say."""

import contextlib

from keras_t2t._ground.arguments import reason, shown

# The numbers in a file may have this many times its size, since it may be compressed
# (though weights hardly can be), plus these bytes.
MAX_RATIO, SPARE = 4, 64 << 20


class Unreadable(ValueError):
    """A file cannot be read; the message is one line that names it."""


@contextlib.contextmanager
def reading(path, otherwise):
    """Context in which anything that a damaged file raises becomes `Unreadable`: it "is
    damaged or `otherwise`"."""
    try:
        yield
    except (Unreadable, MemoryError):
        raise
    except Exception as error:  # HDF5, zip, pickle and JSON raise all kinds of errors
        raise Unreadable(
            f"{shown(path)} is damaged or {otherwise}: {reason(error)}"
        ) from None


def check_total(total, size):
    """Raises a ValueError unless a file of `size` bytes may hold `total` of numbers."""
    if total > MAX_RATIO * size + SPARE:
        raise ValueError(f"a file of {size} bytes cannot hold {total} of weights")
