"""A stamp that tells whether a file is still the one that was opened or indexed."""

import os
from typing import NamedTuple

from keras_t2t._ground.images import shown


class Stamp(NamedTuple):
    """What distinguishes a file from another one that replaces it."""

    size: int  # bytes
    modified: int  # nanoseconds

    @classmethod
    def of(cls, path):
        status = os.stat(path)
        return cls(status.st_size, status.st_mtime_ns)


def changed(paths, stamps):
    """A sentence on the first file that is not as its stamp says, or None."""
    for path, stamp in zip(paths, stamps, strict=True):
        try:
            same = Stamp.of(path) == stamp
        except OSError as error:
            return f"{shown(path)} cannot be read any more: {error.strerror}"
        if not same:
            return f"{shown(path)} changed since it was opened; start again"
    return None
