"""Images inside tars, read where they lie."""

import numpy as np

from keras_t2t._ground.images import shown
from keras_t2t.data.sources.source import Split
from keras_t2t.data.sources.stamp import changed


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
        self._first = np.cumsum([0, *(len(index.names) for index in indices)])
        self.labels = np.asarray(labels, "int64")

    def read(self, index):
        tar, row = self._place(index)
        found = self._indices[tar]
        size = int(found.sizes[row])
        # Opened anew each time: ImageNet has as many tars as a process may have files.
        with open(self._paths[tar], "rb", buffering=0) as file:
            file.seek(int(found.offsets[row]))
            content = file.read(size)
        if len(content) < size:
            raise OSError(f"{shown(self._paths[tar])} ended within an image")
        return content

    def name(self, index):
        tar, row = self._place(index)
        return f"{shown(self._paths[tar].name)}: {shown(self._indices[tar].names[row])}"

    def changed(self):
        return changed(self._paths, self._stamps)

    def _place(self, index):
        tar = int(np.searchsorted(self._first, index, side="right")) - 1
        return tar, int(index - self._first[tar])
