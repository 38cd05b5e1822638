"""Soft split: overlapping patches as tokens (paper section 3.1, equation 3)."""

import contextlib
from typing import Any

import keras
from keras import ops

from keras_t2t._ground.arguments import integer
from keras_t2t.layers.platform import convolution_is_exact, exact_convolution


@keras.saving.register_keras_serializable(package="keras_t2t")
class SoftSplit(keras.Layer):
    """Zero-pads an image or token grid and cuts it into overlapping patches.

    Neighbouring tokens share `kernel_size - strides` rows or columns, which relates
    neighbouring pixels, and the number of tokens shrinks.

    Args:
        kernel_size: int, height and width of a patch in pixels or tokens.
        strides: int, distance between the starts of neighbouring patches.
        padding: int, rows and columns of zeros added on each of the four sides.

    Input shape: `(batch, height, width, channels)`, channels last whatever
        `keras.config.image_data_format()` says.
    Output shape: `(batch, grid_height, grid_width, kernel_size**2 * channels)`,
        the last axis ordered (patch row, patch column, channel), where
        `grid_height = (height + 2 * padding - kernel_size) // strides + 1`.

    Raises:
        ValueError: if a size is out of range, the input's height or width is
            unknown, or the padded input is smaller than one patch.
    """

    # === Config ===
    def __init__(
        self, kernel_size: int, strides: int, padding: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.kernel_size = integer("kernel_size", kernel_size)
        self.strides = integer("strides", strides)
        self.padding = integer("padding", padding, at_least=0)

    def get_config(self):
        return {
            **super().get_config(),
            "kernel_size": self.kernel_size,
            "strides": self.strides,
            "padding": self.padding,
        }

    @property
    def sizes(self):
        return (self.kernel_size, self.strides, self.padding)

    # === Computation ===
    copies = False  # whether patches are cut out by copying alone

    def call(self, images):
        images = self.pad(images)
        # Keras extracts patches by a convolution, which would round the pixels.
        if self.copies or not convolution_is_exact(images):
            return self.sliced_patches(images)
        with exact_convolution():
            return ops.image.extract_patches(
                images,
                size=(self.kernel_size, self.kernel_size),
                strides=(self.strides, self.strides),
                padding="valid",
                data_format="channels_last",
            )

    def pad(self, images):
        # "same" padding would be asymmetric here, so the zeros are added first.
        sides = (self.padding, self.padding)
        return ops.pad(images, ((0, 0), sides, sides, (0, 0)))

    def sliced_patches(self, images):
        """The patches of padded images, by copying only."""
        rows = self.windows(images, axis=1)
        columns = [part for row in rows for part in self.windows(row, axis=2)]
        return ops.concatenate(columns, axis=-1)

    def windows(self, x, axis):
        """For each position in a patch along `axis`, the values of padded `x` there."""
        span = (x.shape[axis] - self.kernel_size) // self.strides * self.strides + 1
        before = (slice(None),) * axis
        return [
            x[(*before, slice(start, start + span, self.strides))]
            for start in range(self.kernel_size)
        ]

    def grid_size(self, size):
        """Number of patches along one side of `size` pixels or tokens."""
        if size is None or size + 2 * self.padding < self.kernel_size:
            raise ValueError(
                f"{self.name} needs a known height and width of at least "
                f"{self.kernel_size - 2 * self.padding}, got {size}"
            )
        return (size + 2 * self.padding - self.kernel_size) // self.strides + 1

    def compute_output_shape(self, input_shape):
        batch, height, width, channels = input_shape
        return (
            batch,
            self.grid_size(height),
            self.grid_size(width),
            self.kernel_size**2 * channels,
        )

    def macs(self, input_shape):
        """Multiply-accumulates of one image: none, pixels are only copied."""
        return 0


@contextlib.contextmanager
def copied_patches(model):
    """Context in which a model's soft splits cut patches out by copying, for graphs
    whose reader does not know the identity matrix that Keras makes for a convolution.
    """
    splits = [x for x in model._flatten_layers() if isinstance(x, SoftSplit)]
    for split in splits:
        split.copies = True
    try:
        yield
    finally:
        for split in splits:
            split.copies = False
