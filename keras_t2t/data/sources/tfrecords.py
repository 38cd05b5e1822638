"""TFRecord files, each record read from where it lies."""

import functools
import struct

import numpy as np

from keras_t2t._ground.images import shown

# A record follows its length and the length's checksum; its own checksum is after it.
BEFORE, AROUND = 12, 16


class TFRecords:
    """The records of some files, one file after the other, each as bytes.

    When the first record of a file is read, all its offsets are found by going from
    length to length. The checksums (CRC-32C) are not compared.
    """

    def __init__(self, paths, counts):
        self._paths, self._counts = paths, counts
        self._first = np.cumsum([0, *counts])
        self._offsets = functools.cache(self._find_offsets)

    def __len__(self):
        return int(self._first[-1])

    def __getitem__(self, index):
        """

        Raises:
            OSError, ValueError: the file is not there, or is cut short or damaged.
        """
        number = int(np.searchsorted(self._first, index, side="right")) - 1
        offsets = self._offsets(number)
        row = index - self._first[number]
        # Opened anew each time: ImageNet has as many files as a process may have.
        with open(self._paths[number], "rb", buffering=0) as file:
            file.seek(int(offsets[row]) + BEFORE)
            return file.read(int(offsets[row + 1] - offsets[row]) - AROUND)

    def _find_offsets(self, number):
        """(records + 1,) bytes: where each record begins, and where the last ends."""
        path, offsets = self._paths[number], [0]
        with open(path, "rb") as file:
            size = file.seek(0, 2)
            while offsets[-1] < size and len(offsets) <= self._counts[number]:
                file.seek(offsets[-1])
                length = file.read(8)
                if len(length) < 8:
                    break
                offsets.append(offsets[-1] + struct.unpack("<Q", length)[0] + AROUND)
        if offsets[-1] != size or len(offsets) != self._counts[number] + 1:
            raise ValueError(
                f"{shown(path)} is cut short or damaged: it does not hold "
                f"{self._counts[number]:,} records and no more"
            )
        return np.array(offsets)
