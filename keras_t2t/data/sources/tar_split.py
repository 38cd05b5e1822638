"""Images inside tars, read where they lie."""

import os

import numpy as np

from keras_t2t.data.sources.source import Split
from keras_t2t.data.sources.tar_index import Stamp
from keras_t2t.images import shown


class TarSplit(Split):
    """The images of some tars, one tar after the other.

    Args:
        paths: list of Path.
        indices: list of their `TarIndex`.
        stamps: list of their `Stamp`.
        labels: (images,) integers, of all tars.
    """

    def __init__(self, paths, indices, stamps, labels):
        self._paths, self._indices, self._stamps = paths, indices, stamps
        self._files = [None] * len(paths)
        self._first = np.cumsum([0, *(len(index.names) for index in indices)])
        self.labels = np.asarray(labels, "int64")

    def read(self, index):
        tar, row = self._place(index)
        if self._files[tar] is None:
            self._files[tar] = open(self._paths[tar], "rb")  # noqa: SIM115  kept open
        found = self._indices[tar]
        size = int(found.sizes[row])
        content = os.pread(self._files[tar].fileno(), size, int(found.offsets[row]))
        if len(content) < size:
            raise OSError(f"{shown(self._paths[tar])} ended within an image")
        return content

    def name(self, index):
        tar, row = self._place(index)
        return f"{shown(self._paths[tar].name)}: {shown(self._indices[tar].names[row])}"

    def changed(self):
        for path, stamp in zip(self._paths, self._stamps, strict=True):
            try:
                same = Stamp.of(path) == stamp
            except OSError as error:
                return f"{shown(path)} cannot be read any more: {error.strerror}"
            if not same:
                return f"{shown(path)} changed since it was indexed; start again"
        return None

    def _place(self, index):
        tar = int(np.searchsorted(self._first, index, side="right")) - 1
        return tar, int(index - self._first[tar])
