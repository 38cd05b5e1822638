"""The validation images of parquet files or tars, decoded one by one."""

from collections.abc import Sequence

from keras_t2t._ground.images import decode_rgb
from keras_t2t.data.sources.layouts import find_source, holds_containers


class SplitImages(Sequence):
    """Pillow images of mode RGB.

    Args:
        folder: Path of parquet files or tars, as `data.open_dataset` reads them.

    Raises:
        ValueError: they, or later an image, cannot be read.
    """

    holds = staticmethod(holds_containers)

    def __init__(self, folder):
        self._split = find_source(folder, evaluation_only=True).validation

    def __len__(self):
        return len(self._split)

    def __getitem__(self, index):
        index = range(len(self))[index]
        return decode_rgb(self._split.read(index), self._split.name(index))
