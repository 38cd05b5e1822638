"""Images in files that hold many of them, and whether these files have changed."""

import os
import re

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t.data.sources.source import Split

OF_ALL = re.compile(r"([-_]of[-_]\d+.*)?\.\w+$", re.IGNORECASE)


def stamp_of(path):
    """What distinguishes a file from another one that replaces it: its size in bytes,
    and when it was changed, in nanoseconds."""
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


class PackedSplit(Split):
    """The images of some files, one file after the other; with the `stamp_of` each from
    before it was read, and the labels (images,) of each."""

    def __init__(self, paths, stamps, labels):
        self._paths, self._stamps = paths, stamps
        self._first = np.cumsum([0, *map(len, labels)])
        self.labels = np.concatenate(labels).astype("int64")

    def keys(self):
        keys = []
        for file, path in enumerate(self._paths):
            # Without the number of all files, and the hash after it, which change.
            name = OF_ALL.sub("", path.name)
            keys += [f"{name}/{key}" for key in self._keys_in(file)]
        return keys

    def _keys_in(self, file):
        """What the keys of the images of a file end in: here their rows."""
        return range(self._first[file + 1] - self._first[file])

    def changed(self):
        for path, stamp in zip(self._paths, self._stamps, strict=True):
            try:
                same = stamp_of(path) == stamp
            except OSError as error:
                return f"{shown(path)} cannot be read any more: {error.strerror}"
            if not same:
                return f"{shown(path)} changed since it was opened; start again"
        return None

    def _place(self, index):
        """The number of an image's file, and the image's row in that file."""
        file = int(np.searchsorted(self._first, index, side="right")) - 1
        return file, int(index - self._first[file])
