"""What a writer is told besides the model and the path."""

from typing import NamedTuple


class Options(NamedTuple):
    """Plain values: they reach the writing process as JSON."""

    dynamic_batch: bool = True
    precision: str = "float32"
    include_preprocessing: bool = True
    crop: float = 0.9  # of `serve_jpeg`: side of the crop over the resized image's
    interpolation: str = "bicubic"
    calibration: str | None = None  # .npy file of images as the file takes them

    @property
    def batch_size(self):
        """Of the input's shape: None where it is dynamic."""
        return None if self.dynamic_batch else 1
